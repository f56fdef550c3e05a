"""Pages of new rows are filled by their address: what a field cannot hold is left out, and is no error of ours."""

import pytest
from django.contrib import admin
from django.test import RequestFactory

from tests.admin.conftest import page
from tests.factories import MediaAssetFactory

pytestmark = pytest.mark.django_db

OURS = {
    model._meta.model_name: own for model, own in admin.site._registry.items() if model._meta.app_label == "mediagen"
}


@pytest.mark.parametrize("value", ["x", "9" * 400, "\0"], ids=["word", "number", "NUL"])
def test_whatever_the_address_of_a_new_row_says(value, admin_client, admin_user):
    request = RequestFactory().get("/")
    request.user = admin_user
    for model, own in OURS.items():
        if own.has_add_permission(request):
            names = [field.name for field in own.model._meta.get_fields()]
            assert admin_client.get(page(model, "add"), dict.fromkeys(names, value)).status_code == 200, model


def test_a_day_is_taken(admin_client):
    response = admin_client.get(page("apitoken", "add"), {"expires_at": "2030-01-01"})
    assert response.context["adminform"].form.initial["expires_at"].year == 2030


def test_what_a_field_can_hold_is_filled_in(admin_client):
    asset = MediaAssetFactory(ready=True)
    response = admin_client.get(page("assetusage", "add"), {"asset": str(asset.pk), "campaign": "Spring"})
    assert response.context["adminform"].form.initial == {"asset": str(asset.pk), "campaign": "Spring"}


@pytest.mark.parametrize("lookup", ["user", "id__in", "tags", "created_by__gte"])
def test_a_list_is_asked_for_numbers_that_no_column_holds(lookup, admin_client):
    for model in ("apitoken", "mediaasset", "providerconfig", "assetusage"):
        response = admin_client.get(page(model), {lookup: "9" * 30})
        assert response.status_code in (200, 302), model
