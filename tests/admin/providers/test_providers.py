"""The list of providers: their order, their switches, how each is doing, and what can be done about it."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils import timezone

from mediagen import conf
from mediagen.engine.providers import entries
from mediagen.models import ProviderConfig, ProviderHealth
from tests.admin.conftest import act, page, said
from tests.admin.providers.test_provider_form import errors, form_data
from tests.factories import GenerationAttemptFactory, ProviderConfigFactory

pytestmark = pytest.mark.django_db

CHAIN = list(conf.BUILT_IN_PROVIDERS)


def names():
    return list(ProviderConfig.objects.in_chain_order().values_list("name", flat=True))


def positions():
    return list(ProviderConfig.objects.in_chain_order().values_list("position", flat=True))


# ---------------------------------------------------------------------- order


@pytest.mark.parametrize(
    ("name", "direction", "expected"),
    [
        ("openai_images", "up", ["openai_images", "sdxl", "flux"]),
        ("sdxl", "down", ["openai_images", "sdxl", "flux"]),
        ("sdxl", "up", ["sdxl", "openai_images", "flux"]),
    ],
)
def test_a_button_moves_an_entry_one_place(admin_client, name, direction, expected):
    config = ProviderConfig.objects.get(name=name)

    response = admin_client.post(page("providerconfig", "move", config.pk), {"direction": direction})

    assert names()[:3] == expected
    assert positions() == list(range(1, len(CHAIN) + 1))
    assert response.status_code == 302
    assert response.url == f"{page('providerconfig')}#move-{config.pk}-{direction}"


def test_the_last_entry_stays_last(admin_client):
    last = ProviderConfig.objects.get(name="noop_media")

    admin_client.post(page("providerconfig", "move", last.pk), {"direction": "down"})

    assert names()[-1] == "noop_media"
    assert not LogEntry.objects.exists()


def test_a_move_is_in_the_history(admin_client, admin_user):
    config = ProviderConfig.objects.get(name="flux")

    admin_client.post(page("providerconfig", "move", config.pk), {"direction": "up"})

    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr, entry.get_change_message()) == (admin_user, "flux", "Changed position.")


@pytest.mark.parametrize(
    ("where", "expected"),
    [("before", ["flux", "sdxl", "openai_images"]), ("after", ["sdxl", "flux", "openai_images"])],
)
def test_a_script_puts_an_entry_next_to_another_and_gets_the_order(admin_client, where, expected):
    flux, sdxl = (ProviderConfig.objects.get(name=name) for name in ("flux", "sdxl"))

    response = admin_client.post(
        page("providerconfig", "move", flux.pk), {where: sdxl.pk}, headers={"accept": "application/json"}
    )

    assert response.json()["order"] == list(ProviderConfig.objects.in_chain_order().values_list("pk", flat=True))
    assert f"number {expected.index('flux') + 1} " in response.json()["message"]
    assert names()[:3] == expected
    assert positions() == list(range(1, len(CHAIN) + 1))
    assert said(response) == []


def test_a_place_that_does_not_exist_is_none(admin_client):
    flux, sdxl = (ProviderConfig.objects.get(name=name) for name in ("flux", "sdxl"))
    address = page("providerconfig", "move", flux.pk)
    before = names()

    for wrong in ({"before": 999_999}, {"after": "x"}, {"before": sdxl.pk, "direction": "up"}, {"after": ""}):
        assert admin_client.post(address, wrong, headers={"accept": "application/json"}).status_code == 404
    assert names() == before


def test_moving_needs_a_post_a_direction_and_an_entry(admin_client):
    address = page("providerconfig", "move", ProviderConfig.objects.get(name="flux").pk)
    before = names()

    assert admin_client.get(address).status_code == 405
    assert admin_client.post(address, {"direction": "sideways"}).status_code == 404
    assert admin_client.post(address).status_code == 404
    assert admin_client.post(page("providerconfig", "move", 999_999), {"direction": "up"}).status_code == 404
    assert names() == before


def test_moving_needs_the_permission_to_change(signed_in):
    config = ProviderConfig.objects.get(name="flux")
    before = names()

    looker = signed_in("view_providerconfig").post(page("providerconfig", "move", config.pk), {"direction": "up"})
    stranger = signed_in(is_staff=False).post(page("providerconfig", "move", config.pk), {"direction": "up"})

    assert looker.status_code == 403
    assert stranger.status_code == 302
    assert stranger.url.startswith("/admin/login/")
    assert names() == before


def test_the_buttons_are_for_those_who_may_change_and_stop_at_the_ends(admin_client, signed_in):
    first, last = (ProviderConfig.objects.get(name=name) for name in ("sdxl", "noop_media"))

    editor = admin_client.get(page("providerconfig")).content.decode()
    looker = signed_in("view_providerconfig").get(page("providerconfig")).content.decode()

    assert editor.count("formaction=") == 2 * len(CHAIN)
    assert f'id="move-{first.pk}-up" aria-label="Move sdxl up" disabled' in editor
    assert f'id="move-{last.pk}-down" aria-label="Move noop_media down" disabled' in editor
    assert editor.count(" disabled>") == 2
    assert "formaction=" not in looker
    assert "noop_media" in looker


def test_a_new_entry_comes_before_the_placeholder(admin_client):
    response = admin_client.post(page("providerconfig", "add"), form_data(name="second key", adapter="sdxl"))

    assert response.status_code == 302, errors(response)
    assert names()[-2:] == ["second key", "noop_media"]
    assert positions() == list(range(1, len(CHAIN) + 2))


def test_the_switch_in_the_list_changes_nothing_else(admin_client):
    flux = ProviderConfig.objects.get(name="flux")
    flux.credentials = "a-credential-of-flux"
    flux.save()
    rows = list(ProviderConfig.objects.in_chain_order())
    data = {"form-TOTAL_FORMS": f"{len(rows)}", "form-INITIAL_FORMS": f"{len(rows)}", "_save": "Save"}
    for number, row in enumerate(rows):
        data[f"form-{number}-id"] = row.pk
        if row.name != "flux":
            data[f"form-{number}-enabled"] = "on"

    response = admin_client.post(page("providerconfig"), data)

    assert response.status_code == 302
    assert list(ProviderConfig.objects.filter(enabled=False).values_list("name", flat=True)) == ["flux"]
    flux.refresh_from_db()
    assert flux.credentials.reveal().reveal() == "a-credential-of-flux"
    assert names() == [row.name for row in rows]


# ---------------------------------------------------------------------- the list


def test_the_list_says_what_every_entry_comes_to(admin_client, monkeypatch):
    monkeypatch.setenv("BFL_API_KEY", "an-environment-key-1234")
    ProviderConfig.objects.filter(name="sdxl").update(dry_run=False)
    stored = ProviderConfig.objects.get(name="sdxl")
    stored.credentials = "a-stored-key-5678"
    stored.save()
    ProviderConfig.objects.filter(name="replicate_sdxl").update(options={"no_such_option": 1})
    ProviderConfig.objects.filter(name="canva_api").update(credentials="fernet1:nonsense")

    text = admin_client.get(page("providerconfig")).content.decode()

    for expected in (
        "Stability AI (SDXL, Stable Image)",
        "core",
        "live",
        "dry run",
        "set, ends in 5678",
        "from the environment",
        "not set",
        "not needed",
        "cannot be decrypted",
        "cannot work",
        "has no option no_such_option",
    ):
        assert expected in text, expected
    assert "an-environment-key-1234" not in text
    assert "a-stored-key-5678" not in text


def circuit(name, **values):
    adapter_model = {"sdxl": "core"}.get(name, "")
    return ProviderHealth.objects.create(
        provider_name=name, model_name=adapter_model, operation="generate_image", **values
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"state": "closed", "failures": 2, "reason": "answered 503"}, ["closed, 2 failures in a row", "answered 503"]),
        (
            {"state": "open", "open_until": timezone.now() + timedelta(hours=1), "reason": "answered 429"},
            ["mediagen-bad", "until ", "answered 429"],
        ),
        ({"state": "open", "open_until": timezone.now() - timedelta(hours=1)}, ["half open", "the next request tries"]),
        (
            {"state": "half_open", "probe_until": timezone.now() + timedelta(hours=1)},
            ["half open", "being tried now"],
        ),
        ({"state": "closed", "failures": 0}, ["closed"]),
    ],
)
def test_the_list_says_how_a_breaker_stands(admin_client, values, expected):
    circuit("sdxl", **values)

    state = admin_client.get(page("providerconfig")).context["cl"].result_list[0].admin_state
    text = admin_client.get(page("providerconfig")).content.decode()

    assert state.config.name == "sdxl"
    for words in expected:
        assert words in text


def test_a_breaker_open_for_good_closes_with_a_new_setting(admin_client):
    config = ProviderConfig.objects.get(name="sdxl")
    config.credentials = "the-refused-credential"
    config.save()
    from mediagen.factory import build_adapter

    circuit("sdxl", state="open", open_until=None, config_digest=build_adapter(config).config_digest)
    assert "until its configuration changes" in admin_client.get(page("providerconfig")).content.decode()

    config.credentials = "another-credential"
    config.save()

    assert "the next request tries it" in admin_client.get(page("providerconfig")).content.decode()


def test_breakers_of_a_model_that_is_no_longer_in_use_are_not_shown(admin_client):
    ProviderHealth.objects.create(
        provider_name="sdxl", model_name="ultra", operation="generate_image", state="open", reason="old story"
    )

    assert "old story" not in admin_client.get(page("providerconfig")).content.decode()


def test_the_number_of_queries_does_not_grow_with_the_providers(signed_in):
    operator = signed_in("view_providerconfig", "change_providerconfig", "view_mediaasset", "add_mediaasset")

    def count():
        with CaptureQueriesContext(connection) as queries:
            assert operator.get(page("providerconfig")).status_code == 200
        return [query["sql"] for query in queries]

    few = count()
    for number in range(20):
        ProviderConfigFactory()
        circuit(f"more{number}", state="open")
    many = count()

    assert len(many) == len(few)
    assert sum("providerhealth" in sql for sql in many) == 1
    assert len(many) < 12


def test_the_list_has_the_numbers_of_a_day_and_a_month(admin_client):
    now = timezone.now()
    for hours in (1, 2, 48, 49):
        GenerationAttemptFactory(latency_s=float(hours), started_at=now - timedelta(hours=hours))
    GenerationAttemptFactory(unavailable=True)
    GenerationAttemptFactory(unknown=True)
    GenerationAttemptFactory(provider_name="flux", dry_run=True, billable=False)

    rows = admin_client.get(page("providerconfig")).context["cl"].result_list
    text = admin_client.get(page("providerconfig")).content.decode()

    figures = {row.name: row.admin_figures for row in rows}
    assert (figures["sdxl"]["24h"].asked, figures["sdxl"]["30d"].asked) == (4, 6)
    for words in (
        "50 %",
        "67 %",
        "p95",
        "49 s",
        "$0.06",
        "$0.12",
        "and up to $0.04 more",
        "1 placeholder",
        "last success 1",
    ):
        assert words in text.replace("\xa0", " "), words
    assert "not asked in 30 days" in text


@pytest.mark.parametrize(
    ("model", "words"),
    [("gpt-image-1-mini", "the vendor calls it deprecated"), ("dall-e-3", "ended on May 12, 2026"), ("", "")],
)
def test_a_model_whose_end_the_vendor_announced_is_marked(admin_client, model, words):
    ProviderConfig.objects.filter(name="openai_images").update(model=model)

    text = admin_client.get(page("providerconfig")).content.decode()

    if words:
        assert words in text
    else:
        assert "deprecated" not in text
        assert "ended on" not in text


@pytest.mark.parametrize(
    ("changes", "circuits", "expected"),
    [
        ({}, {}, "well"),
        ({"dry_run": False}, {}, "no key"),
        ({"credentials": "fernet1:nonsense"}, {}, "broken"),
        ({"options": {"nonsense": 1}}, {}, "broken"),
        ({}, {"state": "open", "open_until": timezone.now() + timedelta(hours=1)}, "down"),
        ({}, {"state": "closed", "failures": 1}, "failing"),
    ],
)
def test_health_is_one_word(changes, circuits, expected):
    ProviderConfig.objects.filter(name="sdxl").update(**changes)
    if circuits:
        circuit("sdxl", **circuits)

    (state,) = entries.states([ProviderConfig.objects.get(name="sdxl")])

    assert state.health == expected


def test_one_that_was_never_asked_is_not_called_well(admin_client):
    ProviderConfig.objects.exclude(name__in=("sdxl", "flux")).delete()
    GenerationAttemptFactory(provider_name="sdxl")

    text = admin_client.get(page("providerconfig")).content.decode()

    assert (text.count(">well<"), text.count("not asked yet")) == (1, 1)


def test_a_credential_that_no_key_fits_is_loud_and_breaks_nothing(admin_client):
    ProviderConfig.objects.filter(name="flux").update(credentials="fernet1:nonsense")

    text = admin_client.get(page("providerconfig")).content.decode()

    assert "The credential of flux cannot be decrypted with any configured key" in text
    assert admin_client.get(page("providerconfig", "change", config_of("flux").pk)).status_code == 200


def config_of(name):
    return ProviderConfig.objects.get(name=name)


def test_providers_that_only_the_settings_name_are_mentioned(admin_client, settings):
    settings.MEDIAGEN = {"PROVIDERS": {"acme": "tests.admin.acme.AcmeAdapter"}}

    assert "The settings add acme" in admin_client.get(page("providerconfig")).content.decode()


def test_a_chain_that_cannot_be_made_is_loud(admin_client, settings):
    settings.MEDIAGEN = {"PROVIDERS": {"acme": "tests.no_such_module.AcmeAdapter"}}
    ProviderConfigFactory(name="acme", adapter="acme")

    text = admin_client.get(page("providerconfig")).content.decode()

    assert "No picture can be made now" in text
    assert "tests.no_such_module.AcmeAdapter cannot be imported" in text


# ---------------------------------------------------------------------- actions


def test_resetting_the_breakers_of_the_chosen_ones(admin_client):
    circuit("sdxl", state="open")
    circuit("flux", state="open")
    chosen = ProviderConfig.objects.get(name="sdxl")

    response = act(admin_client, "providerconfig", "reset_breakers", chosen.pk)

    assert list(ProviderHealth.objects.values_list("provider_name", flat=True)) == ["flux"]
    assert said(response) == ["1 breaker was reset."]


def test_checking_now_says_what_was_found(admin_client):
    chosen = ProviderConfig.objects.filter(name__in=("sdxl", "noop_media"))

    response = act(admin_client, "providerconfig", "check_now", *[config.pk for config in chosen])

    first, second = sorted(said(response))
    assert first == "noop_media: healthy: always there"
    assert second.startswith("sdxl: healthy: dry run: nothing was asked")


def test_checking_a_live_provider_without_a_key_is_an_error(admin_client):
    ProviderConfig.objects.filter(name="sdxl").update(dry_run=False)

    response = act(admin_client, "providerconfig", "check_now", ProviderConfig.objects.get(name="sdxl").pk)

    (message,) = said(response)
    assert message.startswith("sdxl: not healthy: ")
    assert "SDXL_API_KEY" in message


def test_actions_need_the_permission_to_change(signed_in):
    circuit("sdxl", state="open")
    looker = signed_in("view_providerconfig")

    act(looker, "providerconfig", "reset_breakers", ProviderConfig.objects.get(name="sdxl").pk)

    assert ProviderHealth.objects.count() == 1


def test_actions_run_outside_a_sites_request_transaction():
    assert "default" in resolve(page("providerconfig")).func._non_atomic_requests
