from __future__ import annotations

import os
from datetime import timedelta
from functools import partial

import pytest
from asgiref.sync import async_to_sync

from mediagen import conf
from mediagen.breaker import BreakerKey, BreakerRules, Circuit, CircuitState
from mediagen.circuits import SharedBreaker, reset_breakers
from mediagen.errors import ConfigurationError, InvalidRequest, RateLimited, Unavailable
from mediagen.factory import ChainsNow, build_adapter, get_media_generator_chain
from mediagen.models import ProviderConfig, ProviderHealth
from mediagen.providers import MediaGeneratorProvider
from mediagen.types import utcnow
from tests.fakes import Duck

pytestmark = pytest.mark.django_db

SEVEN = ["sdxl", "openai_images", "flux", "replicate_sdxl", "figma_api", "canva_api", "noop_media"]
ALL = list(conf.BUILT_IN_PROVIDERS)
PLANTED = "sekrit-planted-0123456789"


class AcmeAdapter(MediaGeneratorProvider):
    name = "acme"


class PlainAdapter(Duck):
    """Knows nothing of our base class."""

    def __init__(self, colour="red"):
        super().__init__("plain", colour=colour)


def names(chain):
    return [provider.get_name() for provider in chain.providers]


def test_seven_providers_in_the_seeds_order():
    found = names(get_media_generator_chain())
    assert found == ALL
    assert [name for name in found if name in SEVEN] == SEVEN
    assert found[-1] == "noop_media"


def test_position_and_enabled_decide_at_once():
    ProviderConfig.objects.filter(name="flux").update(position=0)
    ProviderConfig.objects.filter(name="sdxl").update(enabled=False)
    assert names(get_media_generator_chain())[:2] == ["flux", "openai_images"]


def test_an_emptied_table_means_the_default_chain():
    ProviderConfig.objects.all().delete()
    assert names(get_media_generator_chain()) == ALL


def test_all_disabled_means_nobody():
    ProviderConfig.objects.update(enabled=False)
    assert names(get_media_generator_chain()) == []


def test_named_providers_in_the_order_given():
    assert names(get_media_generator_chain(["noop_media", "flux"])) == ["noop_media", "flux"]


@pytest.mark.parametrize("name", ["nobody", "flux"])
def test_one_that_is_missing_or_disabled(name):
    ProviderConfig.objects.filter(name="flux").update(enabled=False)
    with pytest.raises(InvalidRequest, match=name):
        get_media_generator_chain([name])


@pytest.mark.parametrize("entry", ["tests.test_factory.AcmeAdapter", {"ADAPTER": "tests.test_factory.AcmeAdapter"}])
def test_one_settings_line_adds_a_provider_before_the_placeholder(settings, entry):
    settings.MEDIAGEN = {"PROVIDERS": {"acme": entry}}
    assert names(get_media_generator_chain()) == [*ALL[:-1], "acme", "noop_media"]


def test_a_row_of_its_own_gives_it_a_place(settings):
    settings.MEDIAGEN = {"PROVIDERS": {"acme": "tests.test_factory.AcmeAdapter"}}
    ProviderConfig.objects.create(name="acme", adapter="acme", position=0)
    assert names(get_media_generator_chain()) == ["acme", *ALL]


def test_a_foreign_class_gets_what_is_configured_and_nothing_more(settings):
    settings.MEDIAGEN = {
        "PROVIDERS": {"plain": {"ADAPTER": "tests.test_factory.PlainAdapter", "OPTIONS": {"colour": "blue"}}}
    }
    assert get_media_generator_chain(["plain"]).providers[0].colour == "blue"


@pytest.mark.parametrize("path", ["nowhere.Adapter", "tests.test_factory.Missing", "tests.test_factory.PLANTED", "x"])
def test_a_path_that_leads_nowhere(settings, path):
    settings.MEDIAGEN = {"PROVIDERS": {"acme": path}}
    with pytest.raises(ConfigurationError, match="acme"):
        get_media_generator_chain(["acme"])


class TestCredentials:
    def test_the_row_goes_before_the_environment(self, monkeypatch):
        monkeypatch.setenv("BFL_API_KEY", "from-the-environment")
        config = ProviderConfig.objects.get(name="flux")
        assert build_adapter(config).credential == "from-the-environment"
        config.credentials = "from-the-row"
        config.save()
        assert build_adapter(ProviderConfig.objects.get(name="flux")).credential == "from-the-row"

    def test_it_is_encrypted_at_rest_and_shown_nowhere(self):
        config = ProviderConfig.objects.get(name="flux")
        config.credentials = PLANTED
        config.save()
        from django.core import serializers
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT credentials FROM mediagen_providerconfig WHERE name = 'flux'")
            column = cursor.fetchone()[0]
        dump = serializers.serialize("json", ProviderConfig.objects.all())
        shown = [column, dump, repr(config), str(config), repr(vars(config)), repr(build_adapter(config))]
        assert not [text for text in shown if PLANTED in text]
        assert column.startswith("fernet1:")
        assert config.credentials.describe() == "set, ends in 6789"

    def test_a_dump_can_be_loaded_again(self):
        from django.core import serializers

        config = ProviderConfig.objects.get(name="flux")
        config.credentials = PLANTED
        config.save()
        dump = serializers.serialize("json", ProviderConfig.objects.filter(name="flux"))
        ProviderConfig.objects.all().delete()
        for loaded in serializers.deserialize("json", dump):
            loaded.save()
        assert ProviderConfig.objects.get(name="flux").credentials.reveal().reveal() == PLANTED

    def test_keys_rotate_and_a_lost_key_breaks_nothing(self, settings):
        settings.MEDIAGEN = {"ENCRYPTION_KEYS": ["first"]}
        config = ProviderConfig.objects.get(name="flux")
        config.credentials = PLANTED
        config.save()
        settings.MEDIAGEN = {"ENCRYPTION_KEYS": ["second", "first"]}
        assert build_adapter(ProviderConfig.objects.get(name="flux")).credential == PLANTED
        settings.MEDIAGEN = {"ENCRYPTION_KEYS": ["second"]}
        config = ProviderConfig.objects.get(name="flux")
        adapter = build_adapter(config)
        assert (config.credentials.describe(), adapter.is_configured) == ("cannot be decrypted", False)
        assert "ENCRYPTION_KEYS" in adapter.credential_hint

    def test_only_and_defer_still_work(self):
        config = ProviderConfig.objects.only("name").get(name="flux")
        assert not config.credentials


class TestDryRun:
    @pytest.mark.parametrize(
        ("call", "row", "setting", "environment", "dry"),
        [
            (None, None, None, None, True),
            (None, None, None, "false", False),
            (None, None, True, "false", True),
            (None, False, True, None, False),
            (None, True, False, "false", True),
            (True, False, False, "false", True),
            (False, True, True, None, False),
        ],
    )
    def test_precedence(self, settings, monkeypatch, call, row, setting, environment, dry):
        settings.MEDIAGEN = {"DRY_RUN": setting}
        if environment:
            monkeypatch.setenv("DRY_RUN_MODE", environment)
        ProviderConfig.objects.filter(name="flux").update(dry_run=row)
        assert get_media_generator_chain(["flux"], dry_run=call).providers[0].dry_run is dry


class TestWrongSettings:
    def test_an_option_that_does_not_exist_is_said_with_those_that_do(self):
        ProviderConfig.objects.filter(name="sdxl").update(options={"stile": "anime"})
        with pytest.raises(ConfigurationError, match=r"stile.*style_preset"):
            get_media_generator_chain()

    def test_a_credential_among_the_options_would_not_be_encrypted(self):
        ProviderConfig.objects.filter(name="flux").update(options={"api_key": PLANTED})
        with pytest.raises(ConfigurationError, match="Move it to the credential") as wrong:
            get_media_generator_chain()
        assert PLANTED not in str(wrong.value)

    def test_a_foreign_constructors_error_does_not_give_its_arguments_away(self, settings):
        settings.MEDIAGEN = {
            "PROVIDERS": {"plain": {"ADAPTER": "tests.test_factory.PlainAdapter", "OPTIONS": {"api_key": PLANTED}}}
        }
        with pytest.raises(ConfigurationError) as wrong:
            get_media_generator_chain(["plain"])
        assert "api_key" in str(wrong.value)
        assert PLANTED not in str(wrong.value)


class TestSharedBreaker:
    KEY = BreakerKey("flux", "flux-2-pro", "generate_image")
    RULES = BreakerRules(failures=2, cooldown_s=30)

    def fail(self, breaker, error):
        change = partial(self.RULES.after_error, error=error, now=utcnow(), config_digest="a", default_cooldown_s=30)
        return async_to_sync(breaker.failed)(self.KEY, change)

    def test_what_is_known_is_read_while_another_thread_writes(self):
        breaker = SharedBreaker.now()
        other = BreakerKey("sdxl", "x", "generate_image")

        def change(circuit):
            breaker._unwritten.setdefault(other, [])  # as a thread does that begins to write just now
            return circuit

        breaker._unwritten[self.KEY] = [change]
        assert breaker.known()[self.KEY] == Circuit()

    def test_another_process_sees_it_open(self):
        ours, theirs = SharedBreaker.now(), SharedBreaker.now()
        self.fail(ours, Unavailable("one"))
        self.fail(theirs, Unavailable("two"))  # each has seen one failure; together it was the second
        assert ProviderHealth.objects.get().state == "open"
        assert SharedBreaker.now().known()[self.KEY].state is CircuitState.OPEN

    def test_a_probe_goes_to_one_process(self):
        self.fail(SharedBreaker.now(), RateLimited("slow", retry_after_s=0))
        first, second = SharedBreaker.now(), SharedBreaker.now()
        claim = {"now": utcnow(), "until": utcnow() + timedelta(seconds=60), "config_digest": "a"}
        assert async_to_sync(first.claim_probe)(self.KEY, **claim)
        assert not async_to_sync(second.claim_probe)(self.KEY, **claim)

    def test_a_probes_success_closes_it_for_all(self):
        breaker = SharedBreaker.now()
        self.fail(breaker, RateLimited("slow", retry_after_s=0))
        async_to_sync(breaker.succeeded)(self.KEY, was_probe=True)
        assert SharedBreaker.now().known()[self.KEY] == Circuit()
        assert ProviderHealth.objects.get().last_success_at is not None

    def test_success_after_success_writes_nothing(self, django_assert_num_queries):
        breaker = SharedBreaker.now()
        with django_assert_num_queries(0):
            async_to_sync(breaker.succeeded)(self.KEY, was_probe=False)

    def test_reset(self):
        self.fail(SharedBreaker.now(), RateLimited("slow", retry_after_s=600))
        assert reset_breakers("flux") == 1
        assert SharedBreaker.now().known() == {}


@pytest.mark.django_db
def test_an_address_from_the_environment_goes_before_the_settings_and_behind_the_row_and_gets_the_key(
    monkeypatch, settings
):
    settings.MEDIAGEN = {"PROVIDERS": {"flux": {"OPTIONS": {"base_url": "https://settings.example"}}}}
    monkeypatch.setenv("MEDIAGEN_FLUX_BASE_URL", "https://environment.example/v1")
    monkeypatch.setenv("BFL_API_KEY", "made-up-key-1234")
    row = ProviderConfig.objects.get(name="flux")
    adapter = build_adapter(row, dry_run=False)

    assert (adapter.base_url, adapter.is_configured) == ("https://environment.example/v1", True)

    row.base_url = "https://row.example"
    adapter = build_adapter(row, dry_run=False)
    assert (adapter.base_url, adapter.is_configured) == ("https://row.example", False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_takes_no_chain_and_no_held_lock_along():
    with ChainsNow._lock:
        ChainsNow._seen = "what the parent saw"
        child = os.fork()
        if not child:
            os._exit(ChainsNow._lock.locked() or ChainsNow._seen is not None)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
