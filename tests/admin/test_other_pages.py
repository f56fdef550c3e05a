"""Libraries, tags, attempts and breakers in the admin."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mediagen.models import GenerationAttempt, MediaLibrary, MediaTag, ProviderHealth
from tests.admin.conftest import act, page, said
from tests.factories import (
    GenerationAttemptFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
    MediaTagFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

OURS = (
    "mediaasset",
    "medialibrary",
    "mediatag",
    "generationattempt",
    "generationbatch",
    "assetusage",
    "assetexport",
    "providerconfig",
    "providerhealth",
)


@pytest.mark.parametrize("model", OURS)
def test_every_list_opens_empty_and_for_those_who_may_look_only(admin_client, signed_in, model):
    assert admin_client.get(page(model)).status_code == 200
    assert signed_in(f"view_{model}").get(page(model)).status_code == 200
    assert signed_in().get(page(model)).status_code == 403


def test_the_models_have_words_in_the_index(admin_client):
    text = admin_client.get("/admin/").content.decode()

    assert "Media generation" in text
    for words in (
        "Media assets",
        "Media libraries",
        "Media tags",
        "Generation attempts",
        "Providers",
        "Provider health",
    ):
        assert words in text


def test_our_admins_are_on_the_sites_own_admin():
    names = {model._meta.model_name for model in admin.site._registry if model._meta.app_label == "mediagen"}

    assert set(OURS) <= names


@pytest.mark.parametrize("model", OURS)
def test_nothing_foreign_and_nothing_inline_is_in_our_lists(admin_client, model):
    """Django's own list has one style element when there are no actions; ours add none, and no script."""
    asset = MediaAssetFactory(ready=True)
    GenerationAttemptFactory(asset=asset)
    MediaTagFactory()
    ProviderHealth.objects.create(provider_name="sdxl", model_name="core", operation="generate_image", state="open")

    text = admin_client.get(page(model)).content.decode()

    assert "https://" not in text
    assert " style=" not in text
    assert " onclick=" not in text
    assert "<script>" not in text


# ---------------------------------------------------------------------- libraries


def test_the_list_counts_in_one_query(admin_client):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            text = admin_client.get(page("medialibrary")).content.decode()
        return len(captured), text

    library = MediaLibraryFactory(name="Shelf")
    asset = MediaAssetFactory(ready=True, library=library)
    MediaAssetFactory(failed=True, library=library)
    MediaAssetFactory(ready=True, library=library, status="deleted")
    few, text = queries()
    for _ in range(20):
        MediaAssetFactory(ready=True)
    many, _ = queries()

    assert ">1 asset</a>" in text
    assert f"{asset.file_size / 1024:.1f}" in text
    assert few == many


def test_what_a_library_spent_this_month_stands_against_its_budget(admin_client):
    library = MediaLibraryFactory(name="Shelf", budget_limit=Decimal(1), budget_warning=Decimal("0.05"))
    free = MediaLibraryFactory(name="Free")
    for traits in ({"cost": Decimal("0.03")}, {"unknown": True}):
        GenerationAttemptFactory(asset=MediaAssetFactory(library=library), **traits)
    GenerationAttemptFactory(
        asset=MediaAssetFactory(library=library), cost=Decimal(9), started_at=timezone.now() - timedelta(days=40)
    )
    GenerationAttemptFactory(asset=MediaAssetFactory(library=free), cost=Decimal(5), billable=False)

    text = admin_client.get(page("medialibrary")).content.decode()
    own = admin_client.get(page("medialibrary", "change", library.pk)).content.decode()

    # What may have been paid for counts as paid for.
    assert "$0.07 of $1.00" in text
    assert 'aria-label="Budget of Shelf"' in text
    assert "mediagen-progress-warns" in text
    assert "$0.07 of $1.00" in own
    assert "no limit" in admin_client.get(page("medialibrary", "change", free.pk)).content.decode()


def test_a_new_library_belongs_to_who_makes_it_and_has_a_slug(admin_client, admin_user):
    assert admin_client.get(page("medialibrary", "add")).context["adminform"].form.initial["owner"] == admin_user.pk
    data = {
        "name": "Übersicht 2026",
        "slug": "",
        "budget_period": "month",
        "ai_label": "always",
        "owner": admin_user.pk,
    }

    response = admin_client.post(page("medialibrary", "add"), data)

    assert response.status_code == 302, response.context["adminform"].form.errors
    library = MediaLibrary.objects.get(owner=admin_user)
    assert (library.name, library.slug) == ("Übersicht 2026", "ubersicht-2026")


def test_a_library_with_assets_is_not_deleted_and_says_why_in_numbers(admin_client):
    library = MediaLibraryFactory(name="Shelf")
    for _ in range(3):
        GenerationAttemptFactory(asset=MediaAssetFactory(failed=True, library=library, prompt="one of many"))

    response = admin_client.post(page("medialibrary", "delete", library.pk), {"post": "yes"})

    text = response.content.decode()
    assert "Shelf still has 3 assets" in text
    assert "one of many" not in text
    assert MediaLibrary.objects.filter(pk=library.pk).exists()


def test_an_empty_library_goes_and_its_attempts_stay(admin_client):
    library = MediaLibraryFactory()
    attempt = GenerationAttemptFactory(asset=None, library=library)

    response = admin_client.post(page("medialibrary", "delete", library.pk), {"post": "yes"})

    assert response.status_code == 302
    attempt.refresh_from_db()
    assert attempt.library is None


def test_default_tags_are_words_with_commas(admin_client):
    library = MediaLibraryFactory(name="Shelf")
    library.default_tags.add(MediaTagFactory(name="old"))
    data = {
        "name": "Shelf",
        "slug": library.slug,
        "budget_period": "month",
        "ai_label": "always",
        "tag_names": "Spring, sea air",
    }

    response = admin_client.post(page("medialibrary", "change", library.pk), data)

    assert response.status_code == 302, response.context["adminform"].form.errors
    assert [tag.name for tag in library.default_tags.all()] == ["sea air", "Spring"]
    assert "sea air, Spring" in admin_client.get(page("medialibrary", "change", library.pk)).content.decode()


def test_a_new_library_takes_its_default_tags(admin_client):
    data = {"name": "Shelf", "slug": "", "budget_period": "month", "ai_label": "always", "tag_names": "spring"}

    admin_client.post(page("medialibrary", "add"), data)

    assert [tag.name for tag in MediaLibrary.objects.get(name="Shelf").default_tags.all()] == ["spring"]


@pytest.mark.parametrize("may_change", [False, True])
def test_a_budget_needs_a_permission_of_its_own(client, may_change):
    budget = ["change_budget"] if may_change else []
    user = UserFactory(may=["view_medialibrary", "add_medialibrary", "change_medialibrary", "view_mediaasset", *budget])
    client.force_login(user)
    library = MediaLibraryFactory(name="Shelf", budget_limit=Decimal(1), owner=user)
    address = page("medialibrary", "change", library.pk)
    assert ('name="budget_limit"' in client.get(address).content.decode()) is may_change
    data = {"name": "Shelf", "slug": library.slug, "description": "new", "tag_names": "", "owner": user.pk}

    sent = client.post(address, {**data, "budget_limit": "999", "budget_period": "day", "budget_warning": "5"})

    assert sent.status_code == 302, sent.context["adminform"].form.errors
    library.refresh_from_db()
    assert library.description == "new"
    expected = (Decimal(999), "day") if may_change else (Decimal(1), "month")
    assert (library.budget_limit, library.budget_period) == expected
    assert client.get(page("medialibrary", "add")).status_code == 200


# ---------------------------------------------------------------------- tags


def test_a_tag_is_the_same_in_any_case(admin_client):
    MediaTagFactory(name="Spring Sale")

    response = admin_client.post(page("mediatag", "add"), {"name": "  spring   SALE "})

    assert "There is such a tag already" in response.content.decode()
    assert MediaTag.objects.count() == 1


def test_a_tag_changes_its_spelling(admin_client):
    tag = MediaTagFactory(name="spring sale")

    admin_client.post(page("mediatag", "change", tag.pk), {"name": "Spring  Sale"})

    tag.refresh_from_db()
    assert (tag.name, tag.key) == ("Spring Sale", "spring sale")


def test_a_tag_is_never_blank_or_too_long(admin_client):
    for name in ("   ", "ß" * 60):
        response = admin_client.post(page("mediatag", "add"), {"name": name})

        assert response.status_code == 200
        assert response.context["adminform"].form.errors["name"]
    assert not MediaTag.objects.exists()


def test_tags_are_found_by_any_spelling(admin_client):
    tag = MediaTagFactory(name="Straße")
    MediaTagFactory(name="Weg")

    assert list(admin_client.get(page("mediatag"), {"q": "STRASSE"}).context["cl"].result_list) == [tag]


def test_deleting_a_tag_does_not_list_its_assets(admin_client):
    tag = MediaTagFactory()
    asset = MediaAssetFactory(prompt="one of a million")
    asset.tags.add(tag)

    text = admin_client.get(page("mediatag", "delete", tag.pk)).content.decode()
    admin_client.post(page("mediatag", "delete", tag.pk), {"post": "yes"})

    assert "one of a million" not in text
    assert asset.tag_names == []


# ---------------------------------------------------------------------- attempts


def test_attempts_are_read_only(admin_client):
    attempt = GenerationAttemptFactory()
    own = page("generationattempt", "change", attempt.pk)

    assert admin_client.get(own).status_code == 200
    assert "<input" not in re_form(admin_client.get(own).content.decode())
    assert admin_client.post(own, {"message": "x"}).status_code == 403
    assert admin_client.get(page("generationattempt", "add")).status_code == 403
    assert admin_client.post(page("generationattempt", "delete", attempt.pk), {"post": "yes"}).status_code == 403
    assert "delete_selected" not in admin_client.get(page("generationattempt")).content.decode()
    assert GenerationAttempt.objects.filter(pk=attempt.pk).exists()


def re_form(text):
    """The page's form without the hidden token."""
    form = text[
        text.index('id="generationattempt_form"') : text.index("</form>", text.index('id="generationattempt_form"'))
    ]
    return form.replace('<input type="hidden" name="csrfmiddlewaretoken"', "")


def test_unknown_outcomes_are_the_first_filter(admin_client):
    unknown = GenerationAttemptFactory(unknown=True)
    open_one = GenerationAttemptFactory(in_flight=True)
    GenerationAttemptFactory()
    GenerationAttemptFactory(refused=True)

    response = admin_client.get(page("generationattempt"))
    spec = response.context["cl"].filter_specs[0]
    assert spec.title == "outcome"
    assert next(value for value, _ in spec.lookup_choices) == "unknown"
    assert list(admin_client.get(page("generationattempt"), {"outcome": "unknown"}).context["cl"].result_list) == [
        unknown
    ]
    assert list(admin_client.get(page("generationattempt"), {"outcome": "open"}).context["cl"].result_list) == [
        open_one
    ]


def test_attempts_take_the_same_queries_whatever_their_number(admin_client):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(page("generationattempt"))
        return len(captured)

    for _ in range(3):
        GenerationAttemptFactory(rate_limited=True)
    few = queries()
    for _ in range(27):
        GenerationAttemptFactory(skipped=True)

    assert queries() == few <= 12


def test_an_attempt_shows_what_may_have_been_spent(admin_client):
    GenerationAttemptFactory(unknown=True)
    GenerationAttemptFactory(asset=None, library=None, billable=False, cost=None)

    text = admin_client.get(page("generationattempt")).content.decode()

    assert "up to $0.04" in text
    assert "nothing" in text


# ---------------------------------------------------------------------- breakers


@pytest.fixture
def circuit():
    return ProviderHealth.objects.create(
        provider_name="sdxl", model_name="core", operation="generate_image", state="open", reason="answered 401"
    )


def test_a_breaker_is_read_and_reset(admin_client, circuit):
    other = ProviderHealth.objects.create(provider_name="flux", operation="generate_image", state="open")

    text = admin_client.get(page("providerhealth")).content.decode()
    detail = admin_client.get(page("providerhealth", "change", circuit.pk)).content.decode()
    response = act(admin_client, "providerhealth", "reset_breakers", circuit.pk)

    assert "when the configuration changes" in text
    assert "answered 401" in detail
    assert said(response) == ["1 breaker was reset."]
    assert list(ProviderHealth.objects.all()) == [other]


def test_a_breaker_is_reset_by_those_who_may(signed_in, circuit):
    act(signed_in("view_providerhealth"), "providerhealth", "reset_breakers", circuit.pk)
    assert ProviderHealth.objects.exists()

    act(signed_in("view_providerhealth", "change_providerhealth"), "providerhealth", "reset_breakers", circuit.pk)
    assert not ProviderHealth.objects.exists()


def test_a_breaker_is_neither_added_changed_nor_deleted(admin_client, circuit):
    own = page("providerhealth", "change", circuit.pk)

    assert admin_client.post(own, {"state": "closed"}).status_code == 403
    assert admin_client.get(page("providerhealth", "add")).status_code == 403
    assert admin_client.post(page("providerhealth", "delete", circuit.pk), {"post": "yes"}).status_code == 403
