"""Who may have a key sent to another address than the vendor's, and what the form says to the others."""

import pytest
from django.contrib.admin.models import LogEntry

from mediagen.factory import build_adapter
from mediagen.models import ProviderConfig
from tests.admin.conftest import page
from tests.admin.providers.test_provider_form import errors, form_data

pytestmark = pytest.mark.django_db

KEY = "from-the-environment-1234"
GATEWAY = "https://gateway.example"


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return ProviderConfig.objects.get(name="openai_images")


@pytest.fixture
def change(signed_in, config):
    def post(*may, **changes):
        client = signed_in("view_providerconfig", "change_providerconfig", *may, is_staff=True)
        config.refresh_from_db()
        response = client.post(page("providerconfig", "change", config.pk), form_data(config, **changes))
        config.refresh_from_db()
        return client, response

    return post


@pytest.mark.parametrize(
    "moved", [{"base_url": GATEWAY}, {"adapter": "plain", "options": f'{{"base_url": "{GATEWAY}"}}'}]
)
@pytest.mark.parametrize("ticked", [{}, {"send_key_elsewhere": "on"}], ids=["silent", "ticked"])
def test_who_may_not_consent_moves_no_key(change, config, moved, ticked, settings):
    plain = {"ADAPTER": "tests.test_destinations.Plain", "OPTIONS": {"api_key": KEY}}
    settings.MEDIAGEN = {**settings.MEDIAGEN, "PROVIDERS": {"plain": plain}}

    client, response = change(**moved, **ticked)

    assert f"is not sent to {GATEWAY}" in errors(response)["new_credential"]
    assert (config.base_url, config.options, config.key_consent) == ("", {}, "")
    assert "send_key_elsewhere" not in client.get(page("providerconfig", "change", config.pk)).content.decode()


def test_a_consent_says_who_and_when_and_ends_with_the_address(change, config):
    client, response = change("send_key_elsewhere", base_url=GATEWAY, send_key_elsewhere="on")

    assert response.status_code == 302, errors(response)
    assert (config.key_consent_by, config.key_consent_at is not None) == (client.user, True)
    assert build_adapter(config).credential == KEY
    assert "Send the key to this address" in LogEntry.objects.get().get_change_message()
    assert (
        f"as {client.user.username} allowed on"
        in client.get(page("providerconfig", "change", config.pk)).content.decode()
    )
    since = config.key_consent_at

    _, response = change(base_url=GATEWAY, model="gpt-image-2")  # somebody else changes something else
    assert response.status_code == 302, errors(response)
    assert (config.model, config.key_consent_by, config.key_consent_at) == ("gpt-image-2", client.user, since)

    change(base_url="")
    assert (config.key_consent, config.key_consent_by, config.key_consent_at) == ("", None, None)


def test_a_consent_is_taken_back(change, config):
    change("send_key_elsewhere", base_url=GATEWAY, send_key_elsewhere="on")
    _, response = change("send_key_elsewhere", base_url=GATEWAY, new_credential="a-key-of-the-gateway")

    assert response.status_code == 302, errors(response)
    assert (config.key_consent, config.credentials_for) == ("", f"openai_images {GATEWAY}")
    assert build_adapter(config).credential == "a-key-of-the-gateway"


def test_removing_the_gateways_own_key_does_not_let_the_environments_go_there(change, config):
    change(base_url=GATEWAY, new_credential="a-key-of-the-gateway")

    _, response = change(base_url=GATEWAY, remove_credential="on")

    assert "is not sent to" in errors(response)["new_credential"]


def test_a_stored_key_is_not_moved_by_an_option(change, config, settings):
    """An adapter that declares no options takes its address from there."""
    settings.MEDIAGEN = {**settings.MEDIAGEN, "PROVIDERS": {"easel": f"{__name__}.Easel"}}
    change(adapter="easel", new_credential="a-key-of-the-easel")

    _, response = change(options=f'{{"base_url": "{GATEWAY}"}}')

    assert "given to another" in errors(response)["new_credential"]
    assert config.options == {}


class Easel:
    credential_env, credential_argument = "EASEL_API_KEY", "api_key"

    def __init__(self, **arguments):
        self.arguments = arguments

    def get_name(self):
        return "easel"
