"""A key goes to the vendor and to where the operator's settings say; elsewhere only when it was given for that."""

from typing import Any

import pytest
from django.core.checks import run_checks

from mediagen.destinations import destination, elsewhere
from mediagen.engine.providers import entries
from mediagen.errors import ConfigurationError
from mediagen.factory import build_adapter
from mediagen.models import ProviderConfig
from mediagen.providers import MediaGeneratorProvider
from mediagen.providers.openai_dialects import DIALECTS
from tests.factories import ProviderConfigFactory, UserFactory

pytestmark = pytest.mark.django_db

KEY = "from-the-environment-1234"
GATEWAY = "https://gateway.example"


class Plain:
    """A provider of somebody else's, who calls an address what he likes."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments

    def get_name(self) -> str:
        return "plain"


class Painter(MediaGeneratorProvider):
    name = "painter"
    credential_env = "PAINTER_API_KEY"
    default_base_url = "https://api.painter.example"
    key_hosts = (".painter.example",)


@pytest.fixture
def providers(settings):
    def set_providers(**entries: Any) -> None:
        paths = {"plain": f"{__name__}.Plain", "painter": f"{__name__}.Painter"}
        found = {
            name: {**({"ADAPTER": paths[name]} if name in paths else {}), "OPTIONS": entries.get(name, {})}
            for name in paths | entries
        }
        settings.MEDIAGEN = {**settings.MEDIAGEN, "PROVIDERS": found}

    set_providers()
    return set_providers


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://api.openai.com/v1", ""),
        ("https://API.openai.com:443", ""),
        ("http://api.openai.com/v1", "http://api.openai.com"),
        ("https://api.openai.com:8443/v1", "https://api.openai.com:8443"),
        ("https://api.openai.com.evil.example/v1", "https://api.openai.com.evil.example"),
        ("https://evilapi.openai.com/v1", "https://evilapi.openai.com"),
        ("https://Gateway.example:443/v1", GATEWAY),
        ("http://[::1]:9/v1", "http://[::1]:9"),
        ("nonsense", "nonsense"),
    ],
)
def test_what_is_elsewhere(url, place):
    assert elsewhere(ProviderConfig(adapter="openai_images", base_url=url)) == place
    assert elsewhere(ProviderConfig(adapter="openai_images", options={"base_url": url})) == place


def test_an_adapter_only_declares_its_hosts(providers):
    places = ["https://api.painter.example", "https://eu.painter.example", "https://painter.example"]
    assert [elsewhere(ProviderConfig(adapter="painter", base_url=url)) for url in places] == ["", "", ""]


@pytest.mark.parametrize("field", [{"base_url": GATEWAY}, {"options": {"base_url": GATEWAY}}], ids=["field", "options"])
@pytest.mark.parametrize("source", ["environment", "settings"])
def test_a_key_of_the_operators_is_not_taken_to_an_address_in_a_row(field, source, providers, monkeypatch):
    if source == "environment":
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
    else:
        providers(openai_images={"api_key": KEY})
    config = ProviderConfig(name="openai_images", adapter="openai_images", **field)

    adapter = build_adapter(config)

    assert (adapter.credential, adapter.is_configured) == ("", False)
    assert f"not sent to {GATEWAY}" in adapter.credential_hint
    assert entries.credential_state(config).source == "withheld"
    entries.consent(config, None)
    assert build_adapter(config).credential == KEY
    assert entries.credential_state(config).source == source


def test_an_address_in_the_settings_is_the_operators_word(providers, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    providers(openai_images={"base_url": f"{GATEWAY}/v1"})
    assert build_adapter(ProviderConfig(name="a", adapter="openai_images")).credential == KEY
    assert build_adapter(ProviderConfig(name="a", adapter="openai_images", base_url=f"{GATEWAY}/v2")).credential == KEY


def test_a_consent_is_for_one_address_and_one_adapter(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("BFL_API_KEY", KEY)
    config = ProviderConfig(name="a", adapter="openai_images", base_url=GATEWAY)
    entries.consent(config, None)

    for change in (
        {"base_url": "https://other.example"},
        {"adapter": "flux"},
        {"options": {"base_url": "http://b.example"}},
    ):
        values = {"name": "a", "adapter": "openai_images", "base_url": GATEWAY, "key_consent": config.key_consent}
        assert build_adapter(ProviderConfig(**{**values, **change})).credential == "", change


def test_a_stored_key_goes_where_it_was_typed_for():
    config = ProviderConfig(name="a", adapter="openai_images", base_url=GATEWAY)
    entries.keep_key(config, KEY)
    assert build_adapter(config).credential == KEY
    for url in ("", "https://other.example"):  # whatever changes the row
        config.base_url = url
        assert build_adapter(config).credential == ""
        assert "The stored key is not sent to" in build_adapter(config).credential_hint


@pytest.mark.parametrize("options", [{"base_url": GATEWAY}, {"endpoint": "gateway.example"}, {"a": {"b": [GATEWAY]}}])
def test_a_foreign_adapters_key_is_not_taken_along_either(options, providers):
    providers(plain={"api_token": KEY, "endpoint": "https://plain.example"})
    config = ProviderConfig(name="plain", adapter="plain", options=options)

    with pytest.raises(ConfigurationError, match="is not sent to") as caught:
        build_adapter(config)

    assert KEY not in str(caught.value)
    assert "is not sent to" in entries.problems(config)["options"]
    entries.consent(config, None)
    assert build_adapter(config).arguments["api_token"] == KEY


AT = {
    "openai": "https://api.openai.com/v1",
    "azure": "https://mine.openai.azure.com/openai/v1",
    "xai": "https://api.x.ai/v1",
    "seedream": "https://ark.ap-southeast.bytepluses.com/api/v3",
    "together": "https://api.together.ai/v1",
    "vllm": GATEWAY,
    "localai": GATEWAY,
    "generic": GATEWAY,
}


def of_dialect(dialect: str, base_url: str = "") -> ProviderConfig:
    return ProviderConfig(
        name="a", adapter="openai_images", model="m", base_url=base_url or AT[dialect], options={"dialect": dialect}
    )


@pytest.fixture
def keys_of_all(monkeypatch):
    for dialect in DIALECTS.values():
        if dialect.key_env:
            monkeypatch.setenv(dialect.key_env, f"key-of-{dialect.name}")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialects_key_goes_to_its_own_vendor_and_no_other(dialect, keys_of_all):
    for other, url in AT.items():
        config = of_dialect(dialect, url)
        own = other == dialect and url != GATEWAY
        assert build_adapter(config).credential == (f"key-of-{dialect}" if own else ""), url
        if DIALECTS[dialect].key_env:
            assert entries.credential_state(config).source == ("environment" if own else "withheld")
    for evil in ("https://openai.azure.com.evil.example", "http://api.x.ai/v1", "https://api.x.ai:8443/v1"):
        assert build_adapter(of_dialect(dialect, evil)).credential == ""
    config = of_dialect(dialect, GATEWAY)
    entries.consent(config, None)
    assert build_adapter(config).credential == (f"key-of-{dialect}" if DIALECTS[dialect].key_env else "")
    # The consent was for this dialect's key.
    config.options = {"dialect": "azure" if dialect != "azure" else "xai"}
    assert build_adapter(config).credential == ""


def test_a_stored_key_does_not_go_along_to_another_vendor(keys_of_all):
    config = ProviderConfig(name="a", adapter="openai_images")
    entries.keep_key(config, KEY)
    assert build_adapter(config).credential == KEY
    for dialect in ("xai", "together"):
        for url in ("", AT[dialect]):
            config.options, config.base_url, config.model = {"dialect": dialect}, url, "m"
            assert build_adapter(config).credential == ""
            assert entries.credential_state(config).source == "withheld"
    entries.keep_key(config, KEY)
    assert build_adapter(config).credential == KEY


def test_what_the_settings_say_of_one_vendor_is_not_said_of_another(providers, keys_of_all):
    providers(openai_images={"api_key": KEY, "base_url": GATEWAY})
    assert build_adapter(ProviderConfig(name="a", adapter="openai_images")).credential == "key-of-openai"
    for base_url in ("", GATEWAY):
        config = ProviderConfig(
            name="a", adapter="openai_images", model="m", base_url=base_url, options={"dialect": "xai"}
        )
        assert build_adapter(config).credential == ""
        assert entries.credential_state(config).source == "withheld"
    config.base_url = AT["xai"]
    assert build_adapter(config).credential == ""  # the settings' address is still another's
    providers(openai_images={"api_key": KEY})
    assert build_adapter(config).credential == "key-of-xai"


def test_the_settings_key_is_that_of_the_settings_dialect(providers):
    providers(openai_images={"api_key": KEY, "dialect": "xai"})
    assert build_adapter(ProviderConfig(name="a", adapter="openai_images")).credential == KEY
    config = of_dialect("azure")
    assert build_adapter(config).credential == ""
    assert entries.credential_state(config).source == "missing"
    assert "AZURE_OPENAI_API_KEY" in build_adapter(config).credential_hint


def test_a_check_names_where_keys_go(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    config = ProviderConfigFactory(name="gateway", adapter="openai_images", base_url=GATEWAY)
    assert warnings() == [f"Provider 'gateway': The key from the environment or the settings is not sent to {GATEWAY}."]

    entries.consent(config, UserFactory(username="bob"))
    config.save()

    assert warnings()[0].startswith(f"Provider 'gateway': a key is sent to {GATEWAY}, as bob allowed on 2")
    assert destination(config) == f"openai_images {GATEWAY}"


def warnings() -> list[str]:
    found = [message.msg for message in run_checks(databases=["default"]) if message.id == "mediagen.W004"]
    return [text.partition(" Enter a key")[0] for text in found]
