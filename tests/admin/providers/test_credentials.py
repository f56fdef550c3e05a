"""A credential goes in and never comes out: not in a page, the history, a message, a log, a dump or an error report."""

import logging
import sys

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.views.debug import ExceptionReporter

from mediagen.admin.providers.provider_form import ProviderConfigForm
from mediagen.engine.providers import entries
from mediagen.models import ProviderConfig
from tests.admin.conftest import act, page, said
from tests.admin.providers.test_provider_form import errors, form_data
from tests.factories import ProviderConfigFactory

pytestmark = pytest.mark.django_db

PLANTED = "planted-secret-7f3a-value-4321"


@pytest.fixture(autouse=True)
def every_log_and_query_without_it(caplog):
    """Whatever a test does, neither the logs nor the statements that reach the database hold the value."""
    caplog.set_level(logging.DEBUG)
    with CaptureQueriesContext(connection) as queries:
        yield
    assert PLANTED not in caplog.text
    assert not [query["sql"] for query in queries if PLANTED in query["sql"]]


@pytest.fixture
def config():
    row = ProviderConfig.objects.get(name="sdxl")
    row.credentials = PLANTED
    row.save()
    return row


def stored(config):
    return ProviderConfig.objects.get(pk=config.pk).credentials.reveal().reveal()


def change(client, config, **changes):
    return client.post(page("providerconfig", "change", config.pk), form_data(config, **changes), follow=True)


def text_of(response):
    return response.content.decode() + " ".join(said(response)) + str(response.headers)


# ---------------------------------------------------------------------- where it goes in


def test_a_new_entry_with_a_credential(admin_client):
    data = form_data(name="mine", adapter="sdxl", new_credential=f"  {PLANTED}\n")

    response = admin_client.post(page("providerconfig", "add"), data, follow=True)

    assert PLANTED not in text_of(response)
    assert "set, ends in 4321" in response.content.decode()
    assert stored(ProviderConfig.objects.get(name="mine")) == PLANTED


def test_a_changed_one_is_kept_encrypted(admin_client):
    config = ProviderConfig.objects.get(name="sdxl")

    response = change(admin_client, config, new_credential=PLANTED)

    assert PLANTED not in text_of(response)
    assert stored(config) == PLANTED
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM mediagen_providerconfig WHERE name = 'sdxl'")
        (column,) = cursor.fetchone()
    assert column.startswith("fernet1:")


def test_an_empty_field_keeps_what_is_there(admin_client, config):
    change(admin_client, config, model="ultra")

    assert stored(config) == PLANTED
    assert ProviderConfig.objects.get(name="sdxl").model == "ultra"


def test_the_checkbox_removes_it(admin_client, config):
    response = change(admin_client, config, remove_credential="on")

    assert stored(config) == ""
    assert PLANTED not in text_of(response)


def test_to_enter_and_to_remove_is_a_contradiction(admin_client, config):
    response = change(admin_client, config, new_credential="another-one", remove_credential="on")

    assert list(errors(response)) == ["remove_credential"]
    assert stored(config) == PLANTED


@pytest.mark.parametrize("wrong", [f"{PLANTED} with blanks", f"{PLANTED}ä", f"fernet1:{PLANTED}", PLANTED * 200])
def test_a_value_that_cannot_be_one_is_refused_without_being_repeated(admin_client, wrong):
    config = ProviderConfig.objects.get(name="sdxl")

    response = change(admin_client, config, new_credential=wrong)

    assert list(errors(response)) == ["new_credential"]
    assert PLANTED not in text_of(response)
    assert stored(config) == ""


@pytest.mark.parametrize(
    "changes",
    [{"base_url": "https://elsewhere.example.org"}, {"base_url": "http://api.stability.ai"}, {"adapter": "flux"}],
)
def test_it_is_not_handed_to_somebody_else(admin_client, config, changes):
    """Or else whoever may change an address could have the key sent there."""
    config.base_url = "https://api.stability.ai"
    config.save()

    response = change(admin_client, config, **changes)

    assert list(errors(response)) == ["new_credential"]
    assert "Enter it again" in errors(response)["new_credential"]
    assert ProviderConfig.objects.get(name="sdxl").base_url == "https://api.stability.ai"


def test_another_path_of_the_same_address_keeps_it(admin_client, config):
    config.base_url = "https://proxy.example.org/a"
    config.save()

    change(admin_client, config, base_url="https://proxy.example.org/b")

    assert ProviderConfig.objects.get(name="sdxl").base_url == "https://proxy.example.org/b"
    assert stored(config) == PLANTED


def test_another_address_with_a_new_one_or_none_is_fine(admin_client, config):
    change(admin_client, config, base_url="https://elsewhere.example.org", new_credential="another-one")
    assert stored(config) == "another-one"

    change(admin_client, config, base_url="https://third.example.org", remove_credential="on")
    assert stored(config) == ""
    assert ProviderConfig.objects.get(name="sdxl").base_url == "https://third.example.org"


# ---------------------------------------------------------------------- where it must not come out


def test_the_form_itself_holds_it_wrapped():
    """Whoever logs a form's data shows nothing."""
    config = ProviderConfig.objects.get(name="sdxl")
    form = ProviderConfigForm(form_data(config, new_credential=PLANTED), instance=config)

    assert form.is_valid(), form.errors
    assert PLANTED not in repr(form.cleaned_data)
    assert PLANTED not in repr(form) + repr(form.save(commit=False).__dict__) + form.as_p()


def test_an_invalid_form_does_not_echo_what_was_typed(admin_client):
    config = ProviderConfig.objects.get(name="sdxl")

    response = change(admin_client, config, new_credential=PLANTED, model="no-such-model")

    assert list(errors(response)) == ["model"]
    assert PLANTED not in text_of(response)
    assert 'type="password" name="new_credential" autocomplete="new-password"' in response.content.decode()
    assert stored(config) == ""


def test_no_page_shows_it(admin_client, config):
    change(admin_client, config, new_credential=PLANTED + "x", name="renamed")
    change(admin_client, config, name="sdxl", remove_credential="on")
    change(admin_client, config, new_credential=PLANTED)
    pages = [
        admin_client.get(page("providerconfig")),
        admin_client.get(page("providerconfig", "change", config.pk)),
        admin_client.get(page("providerconfig", "history", config.pk)),
        admin_client.get(page("providerconfig", "delete", config.pk)),
        admin_client.get(page("providerconfig"), {"q": "planted"}),
        act(admin_client, "providerconfig", "delete_selected", config.pk),
        admin_client.get("/admin/"),
    ]

    for response in pages:
        assert response.status_code == 200
        text = text_of(response)
        assert PLANTED not in text
        assert "fernet1:" not in text
    assert "set, ends in 4321" in pages[0].content.decode()
    assert "set, ends in 4321" in pages[1].content.decode()
    history = pages[2].content.decode()
    assert "New credential" in history
    assert "Remove the stored credential" in history
    assert not [entry for entry in LogEntry.objects.all() if PLANTED in entry.change_message + entry.object_repr]


def test_the_history_survives_the_entry_without_it(admin_client, config):
    response = admin_client.post(page("providerconfig", "delete", config.pk), {"post": "yes"}, follow=True)

    assert PLANTED not in text_of(response)
    assert not ProviderConfig.objects.filter(name="sdxl").exists()


def test_a_dump_has_the_cipher_text_and_loads_again(config, tmp_path):
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "mediagen", output=str(dump), verbosity=0)
    ProviderConfig.objects.filter(pk=config.pk).update(credentials="")

    call_command("loaddata", str(dump), verbosity=0)

    assert PLANTED not in dump.read_text()
    assert "fernet1:" in dump.read_text()
    assert stored(config) == PLANTED


def test_it_cannot_be_guessed_through_the_lists_address(admin_client, config):
    for lookup in ("credentials__startswith", "credentials__contains", "credentials"):
        response = admin_client.get(page("providerconfig"), {lookup: "fernet1:"})

        assert response.status_code == 400, lookup


def test_an_error_report_of_a_failed_save_has_none_of_it(admin_client, monkeypatch):
    """What Django mails to the site's admins when a page fails in the middle."""

    def fail(config, fields):
        raise RuntimeError("the database went away")

    reports = []

    def report(sender, request, **kwargs):
        reporter = ExceptionReporter(request, *sys.exc_info())
        reports.extend([reporter.get_traceback_text(), reporter.get_traceback_html()])

    monkeypatch.setattr(entries, "change", fail)
    config = ProviderConfig.objects.get(name="sdxl")
    admin_client.raise_request_exception = False
    got_request_exception.connect(report)
    try:
        response = admin_client.post(
            page("providerconfig", "change", config.pk), form_data(config, new_credential=PLANTED)
        )
    finally:
        got_request_exception.disconnect(report)

    assert response.status_code == 500
    assert len(reports) == 2
    for text in reports:
        assert "the database went away" in text
        assert PLANTED not in text


def test_an_environments_key_is_not_shown_at_all(admin_client, monkeypatch):
    monkeypatch.setenv("SDXL_API_KEY", PLANTED)
    config = ProviderConfig.objects.get(name="sdxl")

    text = admin_client.get(page("providerconfig", "change", config.pk)).content.decode()

    assert "from the environment" in text
    assert PLANTED not in text
    assert "4321" not in text


def test_a_key_from_the_settings_is_not_shown_at_all(admin_client, settings):
    settings.MEDIAGEN = {
        "PROVIDERS": {
            "sdxl": {"ADAPTER": "mediagen.providers.sdxl.SDXLAdapter", "OPTIONS": {"api_key": PLANTED}},
        }
    }

    text = admin_client.get(page("providerconfig")).content.decode()

    assert "from the settings" in text
    assert PLANTED not in text


def test_a_short_one_shows_nothing_of_itself(admin_client):
    config = ProviderConfigFactory(credentials="tiny-key")

    text = admin_client.get(page("providerconfig", "change", config.pk)).content.decode()

    assert "tiny-key" not in text
    assert "set, ends in" not in text


def test_an_undecryptable_one_is_loud_and_can_be_replaced(admin_client, settings, config):
    settings.MEDIAGEN = {"ENCRYPTION_KEYS": ["not the key that it was encrypted with"]}

    text = admin_client.get(page("providerconfig", "change", config.pk)).content.decode()
    assert "cannot be decrypted" in text

    change(admin_client, config, new_credential="a-fresh-credential")
    assert stored(config) == "a-fresh-credential"
