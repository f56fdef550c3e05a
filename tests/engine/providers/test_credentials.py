"""Everything stored encrypted moves to the first key, whatever table it is in; what cannot be read is named."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import connection

from mediagen.engine.providers import credentials
from mediagen.models import CanvaConnection, ProviderConfig

pytestmark = pytest.mark.django_db

PLANTED = "planted-secret-5d1c-value-9876"


@pytest.fixture
def keys(settings):
    """`keys("new", "old")` configures these."""

    def configure(*names):
        settings.MEDIAGEN = {**settings.MEDIAGEN, "ENCRYPTION_KEYS": list(names)}

    configure("old")
    return configure


@pytest.fixture
def stored(keys):
    config = ProviderConfig.objects.get(name="flux")
    config.credentials = PLANTED
    config.save()
    return config


def run(**options):
    out, err = StringIO(), StringIO()
    code = 0
    try:
        call_command("mediagen_rotate_credentials", stdout=out, stderr=err, **options)
    except CommandError as exc:
        code = exc.returncode
        err.write(str(exc))
    assert PLANTED not in out.getvalue() + err.getvalue()
    return code, out.getvalue(), err.getvalue()


def value():
    return ProviderConfig.objects.get(name="flux").credentials.reveal().reveal()


def test_after_a_rotation_the_old_key_is_not_needed(stored, keys):
    keys("new", "old")

    code, out, _ = run()

    assert code == 0
    assert "provider 'flux': credentials: encrypted anew" in out
    assert "1 rotated, 0 current, 0 unreadable" in out
    keys("new")
    assert value() == PLANTED


def test_every_encrypted_column_of_every_table_is_rotated(stored, keys):
    tables = dict(credentials._encrypted())
    assert {model.__name__: names for model, names in tables.items()} == {
        "ProviderConfig": ["credentials"],
        "CanvaConnection": ["client_secret", "access_token", "refresh_token"],
        "WebhookEndpoint": ["secret"],
    }
    connection_row = CanvaConnection.objects.create(
        provider=ProviderConfig.objects.get(name="canva_api"), access_token=PLANTED, refresh_token=PLANTED + "r"
    )
    keys("new", "old")

    run()

    keys("new")
    connection_row.refresh_from_db()
    assert connection_row.refresh_token.reveal().reveal() == PLANTED + "r"
    assert credentials.unreadable() == []


def test_again_there_is_nothing_to_do(stored, keys):
    keys("new", "old")
    run()

    assert "0 rotated, 1 current, 0 unreadable" in run()[1]


def test_a_dry_run_changes_nothing(stored, keys):
    keys("new", "old")

    code, out, _ = run(dry_run=True)

    assert code == 0
    assert "would be encrypted anew" in out
    assert "1 to rotate" in out
    keys("new")
    assert credentials.unreadable() == ["provider 'flux': credentials"]


def test_what_no_key_fits_is_named_and_kept(stored, keys):
    before = ProviderConfig.objects.get(name="flux").credentials.stored
    sdxl = ProviderConfig.objects.get(name="sdxl")
    keys("other")
    sdxl.credentials = "another-credential"
    sdxl.save()
    keys("new", "other")

    code, out, err = run()

    assert code == 1
    assert "provider 'flux': credentials: cannot be decrypted" in err
    assert "Enter the unreadable ones again" in err
    assert "1 rotated, 0 current, 1 unreadable" in out
    assert ProviderConfig.objects.get(name="flux").credentials.stored == before
    keys("new")
    assert ProviderConfig.objects.get(name="sdxl").credentials.reveal().reveal() == "another-credential"


def test_a_value_that_is_entered_meanwhile_stays(stored, keys):
    keys("new", "old")
    row = ProviderConfig.objects.get(name="flux")
    ProviderConfig.objects.filter(name="flux").update(credentials="entered-meanwhile")

    credentials._rotated(row, "credentials", dry_run=False)

    assert value() == "entered-meanwhile"


def test_the_check_is_loud_and_harmless(stored, keys):
    keys("lost")

    (message,) = [m for m in checks.run_checks(databases=["default"]) if m.id == "mediagen.W003"]

    assert message.level == checks.WARNING
    assert "provider 'flux'" in message.msg
    assert "mediagen_rotate_credentials" in message.hint
    assert not [m for m in checks.run_checks(databases=[]) if m.id == "mediagen.W003"], "no query without --database"


def test_the_check_survives_an_empty_database(keys):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE mediagen_providerconfig RENAME TO gone")
    try:
        from mediagen.checks import check_stored_credentials

        if connection.vendor == "sqlite":  # elsewhere the error ends the test's own transaction
            assert check_stored_credentials(None, databases=["default"]) == []
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO mediagen_providerconfig")
