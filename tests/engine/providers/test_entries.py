"""The chain's entries: their order under many hands, what their settings come to, where their keys come from."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync

from mediagen import conf
from mediagen.engine.providers import entries
from mediagen.engine.providers.entries import CredentialState
from mediagen.errors import InvalidRequest
from mediagen.factory import build_adapter, chain_configs
from mediagen.models import ProviderConfig, ProviderHealth
from mediagen.types import utcnow
from tests.factories import ProviderConfigFactory

pytestmark = pytest.mark.django_db


def entry(name):
    return ProviderConfig.objects.get(name=name)


def order():
    return list(ProviderConfig.objects.in_chain_order().values_list("name", flat=True))


CHAIN = list(conf.BUILT_IN_PROVIDERS)


# ---------------------------------------------------------------------- order


@pytest.mark.parametrize(
    ("moved", "where", "anchor", "expected"),
    [
        ("flux", "before", "sdxl", ["flux", "sdxl", "openai_images"]),
        ("sdxl", "after", "flux", ["openai_images", "flux", "sdxl"]),
        ("sdxl", "before", "flux", ["openai_images", "sdxl", "flux"]),
        ("flux", "after", "sdxl", ["sdxl", "flux", "openai_images"]),
        ("sdxl", "before", "openai_images", ["sdxl", "openai_images", "flux"]),
        ("sdxl", "after", "sdxl", ["sdxl", "openai_images", "flux"]),
    ],
)
def test_an_entry_moves_before_or_after_another(moved, where, anchor, expected):
    rows = entries.move(entry(moved), **{where: entry(anchor)})

    assert order()[:3] == expected
    assert [row.name for row in rows] == order()
    assert [row.position for row in rows] == list(range(1, len(CHAIN) + 1))
    assert [config.name for config in chain_configs()] == order()


def test_to_the_very_end():
    entries.move(entry("sdxl"), after=entry("noop_media"))

    assert order() == [*CHAIN[1:], "sdxl"]


def test_a_move_needs_one_place():
    with pytest.raises(InvalidRequest, match="Name one other provider"):
        entries.move(entry("flux"))
    with pytest.raises(InvalidRequest, match="Name one other provider"):
        entries.move(entry("flux"), before=entry("sdxl"), after=entry("canva_api"))
    assert order() == CHAIN


def test_an_entry_that_is_gone_is_said_and_nothing_moves():
    gone, kept = entry("flux"), entry("sdxl")
    ProviderConfig.objects.filter(name="flux").delete()

    for move in (
        lambda: entries.move(gone, before=kept),
        lambda: entries.move(kept, after=gone),
        lambda: entries.shift(gone, 1),
    ):
        with pytest.raises(InvalidRequest, match="no longer there"):
            move()
    assert order() == [name for name in CHAIN if name != "flux"]


def test_positions_that_are_equal_or_have_gaps_are_put_right():
    ProviderConfig.objects.filter(name__in=("sdxl", "openai_images", "flux")).update(position=40)

    entries.shift(entry("flux"), -1)

    assert list(ProviderConfig.objects.in_chain_order().values_list("position", flat=True)) == list(
        range(1, len(CHAIN) + 1)
    )
    assert order()[-3:] == ["sdxl", "flux", "openai_images"]


@pytest.mark.parametrize(("places", "expected"), [(-1, 1), (1, 3), (-9, 0), (99, len(CHAIN) - 1), (0, 2)])
def test_an_entry_shifts_and_stops_at_the_ends(places, expected):
    entries.shift(entry("flux"), places)

    assert order().index("flux") == expected


def test_a_move_writes_what_it_moves_and_touches_no_credential():
    config = entry("sdxl")
    config.credentials = "a-plain-credential"
    config.save()
    stored, untouched = entry("sdxl").credentials.stored, entry("canva_api").updated_at

    entries.move(entry("openai_images"), before=entry("sdxl"))

    assert entry("sdxl").credentials.stored == stored
    assert entry("canva_api").updated_at == untouched
    assert entry("sdxl").updated_at > config.updated_at


def test_a_stale_entry_moves_from_where_it_is_now():
    stale = entry("flux")
    entries.move(entry("flux"), before=entry("sdxl"))

    entries.shift(stale, 1)

    assert order()[:3] == ["sdxl", "flux", "openai_images"]


def test_a_new_entry_stands_before_the_placeholder_and_another_placeholder_behind_it():
    entries.add(ProviderConfig(name="second key", adapter="openai_images"))
    entries.add(ProviderConfig(name="second noop", adapter="noop_media"))

    assert order()[-3:] == ["second key", "noop_media", "second noop"]


def test_the_first_entry_of_an_empty_chain():
    ProviderConfig.objects.all().delete()

    entries.add(ProviderConfig(name="only", adapter="sdxl"))

    assert entry("only").position == 1


def test_a_change_writes_its_fields_only():
    config = entry("sdxl")
    ProviderConfig.objects.filter(name="sdxl").update(position=5, enabled=False)
    config.model = "ultra"

    entries.change(config, ["model"])

    assert (entry("sdxl").model, entry("sdxl").position, entry("sdxl").enabled) == ("ultra", 5, False)


# ---------------------------------------------------------------------- settings


def trial(**values):
    return ProviderConfig(**{"name": "mine", "adapter": "sdxl", **values})


def test_what_works_has_no_problem():
    values = {"model": "sd3.5-large", "options": {"cfg_scale": 10}, "prices": {"ultra": "0.08"}, "timeout_s": 5}

    assert entries.problems(trial(base_url="https://proxy.example.org", **values)) == {}
    assert entries.problems(trial()) == {}


def test_each_problem_is_at_its_field():
    found = entries.problems(
        trial(
            base_url="ftp://x",
            model="dall-e",
            options={"cfg_scale": "wide"},
            prices={"core": "x"},
            timeout_s=float("inf"),
        )
    )

    assert set(found) == {"base_url", "model", "options", "prices", "timeout_s"}


def test_an_option_that_this_model_lacks_is_judged_with_the_model():
    assert entries.problems(trial(model="sd3.5-large", options={"cfg_scale": 30})).keys() == {"options"}
    assert entries.problems(trial(model="stable-diffusion-xl-1024-v1-0", options={"cfg_scale": 30})) == {}


@pytest.mark.parametrize("option", ["api_key", "dry_run", "base_url", "name", "no_such"])
def test_nothing_but_declared_options_is_an_option(option):
    """A key among the options would be stored as it is, and shown to everybody who may see the entry."""
    assert "There is no option" in entries.problems(trial(options={option: "x"}))["options"]


def test_a_provider_that_is_gone_is_the_adapters_problem():
    assert entries.problems(trial(adapter="gone")).keys() == {"adapter"}
    assert entries.takes_credential("gone")


# ---------------------------------------------------------------------- state


def test_where_a_credential_comes_from(monkeypatch, settings):
    def state(**values):
        return entries.credential_state(trial(**values))

    assert state() == CredentialState("missing")
    assert state(adapter="noop_media") == CredentialState("not needed")
    assert state(adapter="gone") == CredentialState("missing")
    monkeypatch.setenv("SDXL_API_KEY", "from-the-environment")
    assert state() == CredentialState("environment")
    assert state(credentials="long-enough-1234") == CredentialState("stored", "1234")
    assert state(credentials="short") == CredentialState("stored")
    assert state(credentials="fernet1:nonsense") == CredentialState("unreadable")
    monkeypatch.delenv("SDXL_API_KEY")
    settings.MEDIAGEN = {"PROVIDERS": {"sdxl": {"OPTIONS": {"api_key": "from-the-settings"}}}}
    assert state() == CredentialState("settings")


def test_what_is_said_of_a_credential_is_what_the_factory_takes(monkeypatch):
    monkeypatch.setenv("SDXL_API_KEY", "from-the-environment")

    assert build_adapter(trial()).credential == "from-the-environment"
    assert build_adapter(trial(credentials="its-own-credential")).credential == "its-own-credential"
    unreadable = build_adapter(trial(credentials="fernet1:nonsense"))
    assert unreadable.credential == ""


def test_whether_an_entry_is_live_follows_the_sites_precedence(settings, monkeypatch):
    def live(**values):
        (state,) = entries.states([trial(**values)])
        return state.is_live

    assert not live()
    monkeypatch.setenv("DRY_RUN_MODE", "false")
    assert live()
    settings.MEDIAGEN = {"DRY_RUN": True}
    assert not live()
    assert live(dry_run=False)
    settings.MEDIAGEN = {"DRY_RUN": False}
    assert not live(dry_run=True)


def test_states_are_one_query(django_assert_num_queries):
    rows = list(ProviderConfig.objects.in_chain_order())
    for row in rows:
        ProviderHealth.objects.create(provider_name=row.name, operation="generate_image", state="open")

    with django_assert_num_queries(1):
        found = entries.states(rows)

    assert [state.config for state in found] == rows
    assert [state.label for state in found][:2] == ["Stability AI (SDXL, Stable Image)", "OpenAI Images"]


def test_an_open_breaker_says_why_and_until_when():
    until = utcnow() + timedelta(minutes=5)
    ProviderHealth.objects.create(
        provider_name="sdxl",
        model_name="core",
        operation="generate_image",
        state="open",
        failures=5,
        open_until=until,
        reason="answered 429",
    )

    (state,) = entries.states([entry("sdxl")])

    (circuit,) = state.circuits
    assert (circuit.operation, circuit.status, circuit.reason) == ("generate_image", "open", "answered 429")
    assert (circuit.failures, circuit.reopens_at) == (5, until)


def test_resetting_closes_the_breakers_of_these_and_counts_them():
    for name in ("sdxl", "sdxl2", "flux"):
        ProviderHealth.objects.create(provider_name=name, operation="generate_image", state="open")
        ProviderHealth.objects.create(provider_name=name, operation="edit_image", state="half_open")

    assert entries.reset([entry("sdxl"), entry("canva_api")]) == 2
    assert set(ProviderHealth.objects.values_list("provider_name", flat=True)) == {"sdxl2", "flux"}
    assert entries.reset_circuits([ProviderHealth.objects.first().pk]) == 1
    assert ProviderHealth.objects.count() == 3


def test_adapters_without_an_entry_are_named(settings):
    assert entries.unlisted() == ([], "")

    settings.MEDIAGEN = {"PROVIDERS": {"acme": "tests.admin.acme.AcmeAdapter"}}
    assert entries.unlisted() == (["acme"], "")

    ProviderConfigFactory(name="acme", adapter="acme")
    assert entries.unlisted() == ([], "")
    settings.MEDIAGEN = {}
    names, problem = entries.unlisted()
    assert names == []
    assert "There is no provider 'acme'" in problem


def test_an_order_set_here_is_the_order_in_which_providers_are_asked():
    from mediagen.engine import get_media_engine

    entries.move(entry("flux"), before=entry("sdxl"))

    asset = async_to_sync(get_media_engine().generate_asset)("a pier", 64, 48)

    assert asset.provider_name == "flux"
