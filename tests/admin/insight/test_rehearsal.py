"""The page that rehearses the chain: it shows the route, and leaves nothing behind."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mediagen.models import GenerationAttempt, MediaAsset, ProviderConfig, ProviderHealth
from tests.admin.conftest import page
from tests.factories import ProviderConfigFactory

pytestmark = pytest.mark.django_db


def rehearse(client, **asked):
    return client.get(page("providerconfig", "rehearse"), asked)


def test_the_page_begins_with_a_first_provider_that_is_down(signed_in):
    text = rehearse(signed_in("view_providerconfig")).content.decode()

    for words in ("sdxl: not available", "openai_images: delivered", "Breaker open, passed over", "$1.688", "no key"):
        assert words in text, words
    assert ProviderHealth.objects.count() == GenerationAttempt.objects.count() == MediaAsset.objects.count() == 0


def test_the_list_leads_there(signed_in):
    assert 'href="rehearse/"' in signed_in("view_providerconfig").get(page("providerconfig")).content.decode()


def test_a_scenario_and_single_providers_are_chosen(admin_client):
    response = rehearse(admin_client, scenario="all_down", pictures="1", every_s="0", p2="refuses")

    (row,) = response.context["rows"]
    assert [attempt.provider for attempt in row.asked][-1] == "flux"
    assert row.asked[-1].outcome == "refused"
    assert response.context["form"].has_single


@pytest.mark.parametrize(
    ("field", "value"), [("scenario", "x"), ("pictures", "51"), ("pictures", "x"), ("every_s", "7"), ("p0", "x")]
)
def test_what_cannot_be_played_is_said_at_the_field(admin_client, field, value):
    response = rehearse(admin_client, **{"scenario": "all_well", "pictures": "1", "every_s": "0", field: value})

    assert response.status_code == 200
    assert list(response.context["form"].errors) == [field]
    assert response.context["rehearsal"] is None


def test_a_chain_that_cannot_be_made_is_said(admin_client, settings):
    settings.MEDIAGEN = {"PROVIDERS": {"acme": "tests.no_such_module.AcmeAdapter"}}
    ProviderConfigFactory(name="acme", adapter="acme")

    assert "cannot be imported" in rehearse(admin_client).context["problem"]


def test_an_empty_chain_delivers_nothing(admin_client):
    ProviderConfig.objects.update(enabled=False)

    response = rehearse(admin_client, scenario="all_well", pictures="2", every_s="0")

    assert response.context["rehearsal"].failed == 2


def test_it_is_for_those_who_may_see_providers(signed_in):
    assert rehearse(signed_in("view_mediaasset")).status_code == 403
    assert rehearse(signed_in(is_staff=False)).status_code == 302


def test_it_takes_few_queries(signed_in):
    client = signed_in("view_providerconfig")
    with CaptureQueriesContext(connection) as queries:
        rehearse(client, scenario="first_down", pictures="50", every_s="0")

    assert len(queries) < 12
