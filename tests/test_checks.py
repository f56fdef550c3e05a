"""Wrong settings are said at start, with what to do."""

import pytest
from django.core import checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections

from mediagen.checks import (
    check_database,
    check_encryption_keys,
    check_settings,
    check_storage,
    check_who_makes_pictures,
)
from mediagen.models.routing import alias


def found(settings, value):
    settings.MEDIAGEN = value
    return check_settings(None)


def test_nothing_set_is_right(settings):
    del settings.MEDIAGEN

    assert check_settings(None) == []


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"DRY_RUN": None, "FIT": "keep", "STORAGE": "default", "LEASE_S": 0.5, "TRUSTED_HOSTS": ["localhost:9000"]},
        {"DRY_RUN": False, "ENCRYPTION_KEYS": ("a", "b"), "MAX_IMAGE_BYTES": 1},
        {"PROVIDERS": {"acme": "tests.admin.acme.AcmeAdapter"}},
        {"PROVIDERS": {"flux": {"ADAPTER": "mediagen.providers.flux.FluxAdapter", "OPTIONS": {}}}},
        {"PROVIDERS": {"flux": {"OPTIONS": {"model": "flux-2-pro"}}}},
    ],
)
def test_what_can_work_is_right(settings, value):
    assert found(settings, value) == []


@pytest.mark.parametrize(
    ("value", "number", "words"),
    [
        (["DRY_RUN"], "E001", "must be a dict"),
        ({"DRYRUN": True}, "E002", "no setting 'DRYRUN'"),
        ({"PROVIDERS": ["flux"]}, "E003", "['PROVIDERS'] must be a dict, not list"),
        ({"TRUSTED_HOSTS": "localhost"}, "E003", "must be a list, not str"),
        ({"ENCRYPTION_KEYS": "key"}, "E003", "must be a list, not str"),
        ({"DEFAULT_LIBRARY": None}, "E003", "must be a str, not NoneType"),
        ({"UPLOAD_TO": 7}, "E003", "must be a str, not int"),
        ({"LEASE_S": 0}, "E004", "['LEASE_S'] must be a number greater than 0"),
        ({"DEADLINE_S": "900"}, "E004", "['DEADLINE_S'] must be a number"),
        ({"BREAKER_FAILURES": True}, "E004", "['BREAKER_FAILURES'] must be a number"),
        ({"FIT": "crop"}, "E005", '"resize" or "keep"'),
        ({"DRY_RUN": "yes"}, "E006", "True, False or None"),
        ({"PROVIDERS": {"acme": "no.such.module.Acme"}}, "E007", "cannot be imported"),
        ({"PROVIDERS": {"acme": "tests.admin.acme.Missing"}}, "E007", "cannot be imported"),
        ({"PROVIDERS": {"acme": {"OPTIONS": {}}}}, "E007", "needs an 'ADAPTER'"),
        ({"RUN_IN_SERVER": "later"}, "E003", 'True, False or "at_once"'),
        ({"SYNC_TO_DISK": 1}, "E003", "True or False"),
        ({"STORAGE": "bucket"}, "E008", "names 'bucket'"),
    ],
)
def test_what_cannot_work_is_said_with_its_name(settings, value, number, words):
    messages = found(settings, value)

    assert [message.id for message in messages] == [f"mediagen.{number}"]
    assert words in messages[0].msg
    assert messages[0].is_serious()


def test_several_mistakes_are_all_said(settings):
    messages = found(settings, {"FIT": "crop", "LEASE_S": -1, "NO_SUCH": 1})

    assert sorted(message.id for message in messages) == ["mediagen.E002", "mediagen.E004", "mediagen.E005"]


def test_an_unknown_name_is_answered_with_those_there_are(settings):
    (message,) = found(settings, {"LEASE": 60})

    assert "LEASE_S" in message.hint


@pytest.mark.django_db  # Django 6.1 asks it in every check
def test_they_run_with_the_sites_own_checks(settings):
    settings.MEDIAGEN = {"FIT": "crop"}

    with pytest.raises(SystemCheckError, match=r"mediagen\.E005"):
        call_command("check")


def test_a_key_of_its_own_is_recommended_when_a_site_goes_public(settings):
    settings.MEDIAGEN = {}
    (message,) = check_encryption_keys(None)
    assert (message.id, message.level) == ("mediagen.W001", checks.WARNING)
    assert message.id not in {found.id for found in checks.run_checks(databases=[])}
    assert message.id in {found.id for found in checks.run_checks(include_deployment_checks=True, databases=[])}

    settings.MEDIAGEN = {"ENCRYPTION_KEYS": ["a long random text"]}
    assert check_encryption_keys(None) == []


def test_an_empty_media_root_is_told(settings):
    assert check_storage(None) == []

    settings.MEDIA_ROOT = ""
    assert [message.id for message in check_storage(None)] == ["mediagen.W021"]


def test_a_storage_that_cannot_be_made_is_refused(settings):
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "no.such.Storage"}}
    assert [message.id for message in check_storage(None)] == ["mediagen.E020"]


def test_a_database_that_nobody_tried_is_told(monkeypatch):
    assert check_database(None) == []

    monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.vendor", "oracle")
    monkeypatch.setattr(type(connections["default"]), "vendor", "oracle")
    assert [message.id for message in check_database(None)] == ["mediagen.W020"]


class MariaDB:
    vendor, mysql_is_mariadb, mysql_version = "mysql", True, (10, 11, 6)

    def __init__(self, **values):
        self.settings_dict = {"OPTIONS": values.pop("OPTIONS", {})}
        vars(self).update(values)


@pytest.mark.parametrize(
    ("connection", "told"),
    [
        (MariaDB(), []),
        (MariaDB(OPTIONS={"isolation_level": "Read Committed"}), []),
        (MariaDB(OPTIONS={"isolation_level": None}), ["mediagen.W036"]),
        (MariaDB(mysql_version=(10, 6, 18)), ["mediagen.W020"]),
        (MariaDB(mysql_is_mariadb=False, mysql_version=(8, 4, 0)), ["mediagen.W020"]),
    ],
)
def test_what_is_no_mariadb_that_we_know_is_told(connection, told, monkeypatch):
    monkeypatch.setattr("django.db.connections", {alias(): connection})
    assert [message.id for message in check_database(None)] == told


def test_a_site_with_wsgi_alone_is_told_who_makes_its_pictures(settings):
    settings.MEDIAGEN, settings.ASGI_APPLICATION = {}, None
    [said] = check_who_makes_pictures(None)
    assert (said.id, "generate_worker" in said.hint) == ("mediagen.W032", True)
    settings.MEDIAGEN = {"RUN_IN_SERVER": True}
    assert check_who_makes_pictures(None) == []
    settings.MEDIAGEN, settings.ASGI_APPLICATION = {}, "config.asgi.application"
    assert check_who_makes_pictures(None) == []
