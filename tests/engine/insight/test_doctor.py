"""The doctor and the load balancer's question."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.test import Client
from django.urls import reverse

from mediagen.engine.insight import doctor, readiness
from mediagen.models import ProviderConfig, asset_storage
from tests.engine.insight.test_alerts import refuse
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def somebody_works(settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "RUN_IN_SERVER": True}


def codes(**given):
    return {finding.code for finding in doctor.examine(**given)}


def run(*arguments):
    out = StringIO()
    try:
        call_command("mediagen_doctor", *arguments, stdout=out)
    except CommandError as exc:
        return exc.returncode, out.getvalue()
    return 0, out.getvalue()


def test_a_fresh_site_has_no_error_and_is_told_what_runs_dry_and_why():
    code, said = run()

    assert code == 0
    assert "Placeholders are made by sdxl, openai_images" in said
    assert "0 errors, " in said


def test_json_has_one_object_per_finding_and_the_exit_code_follows_the_level():
    refuse()
    code, said = run("--json", "--offline")
    *found, summary = map(json.loads, said.splitlines())

    assert code == 1
    assert found[0] == {
        "event": "finding",
        "code": "provider_refused",
        "level": "error",
        "about": "provider:sdxl",
        "what": "Provider 'sdxl' is not asked any more until somebody acts: sdxl refused the key (401).",
        "next_step": "Set it right at the service (key, credit, model) or in its entry; then close its breaker.",
        "command": "manage.py check_providers sdxl --live --close",
    }
    assert summary["errors"] == 1


def test_a_key_that_is_refused_is_found_without_a_picture_asked_for(settings):
    ProviderConfig.objects.filter(name="sdxl").update(dry_run=False)

    assert "no_key" in codes()


def test_the_storage_is_tried_and_nothing_is_left_there(monkeypatch, tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path
    assert "storage_refuses" not in codes()
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(asset_storage()), "_save", full)
    [finding] = [one for one in doctor.examine() if one.code == "storage_refuses"]
    assert "It does not write: OSError: No space left on device." in finding.what


def test_constraints_that_are_gone_are_named(monkeypatch):
    assert "constraint_missing" not in codes(ask=False)

    monkeypatch.setattr(connection.introspection, "get_constraints", lambda *_: {})
    [finding] = [one for one in doctor.examine(ask=False) if one.code == "constraint_missing"]
    assert "mediagen_alert_unique" in finding.what


def test_clocks_that_are_apart_are_told(monkeypatch):
    now = doctor.utcnow()
    monkeypatch.setattr(doctor, "utcnow", lambda: now + timedelta(minutes=5))

    [finding] = [one for one in doctor.examine(ask=False) if one.code == "clocks_apart"]
    assert "ahead of the database's" in finding.what


def test_nobody_who_works_is_an_error(settings):
    settings.MEDIAGEN = {"RUN_IN_SERVER": False}

    assert "nobody_works" in codes(ask=False)


def test_a_task_engine_that_takes_no_message_is_told_without_its_address(settings, monkeypatch):
    settings.MEDIAGEN = {"TASK_BACKEND": "default"}

    def away(*_):
        raise ValueError("amqp://user:secret@broker")

    monkeypatch.setattr(doctor.task_engine, "send", away)
    [finding] = [one for one in doctor.examine() if one.code == "task_engine_away"]
    assert "secret" not in finding.what


def test_one_thing_that_cannot_be_examined_keeps_nothing_else_from_it(monkeypatch):
    def broken():
        raise RuntimeError("a password")

    monkeypatch.setattr(doctor, "_clock", broken)
    found = doctor.examine(ask=False)

    assert {"not_examined", "runs_dry"} <= {one.code for one in found}
    assert not any("a password" in one.what for one in found)


# ---------------------------------------------------------------------- the page


def signed_in(*may):
    client = Client()
    client.force_login(UserFactory(may=may))
    return client


def test_the_page_shows_the_findings_and_asks_only_those_who_may():
    refuse()
    viewer, chief = signed_in("view_alert"), signed_in("view_alert", "change_providerconfig")
    address = reverse("admin:mediagen_alert_doctor")

    assert "sdxl refused the key" in viewer.get(address).content.decode()
    assert viewer.post(address).status_code == 403
    assert "were looked at. Nothing that is billed" in chief.post(address).content.decode()
    assert signed_in("view_mediaasset").get(address).status_code == 403


# ---------------------------------------------------------------------- load balancers


@pytest.fixture
def ask(client):
    def get(path="/readyz"):
        readiness._storage.forget()
        answer = client.get(path)
        return answer.status_code, answer.json() if path == "/readyz" else answer.content

    return get


def test_a_dry_site_is_ready_and_one_whose_providers_all_refuse_is_not(ask):
    assert ask() == (200, {"ready": True, "database": "ok", "storage": "ok", "providers": "ok"})

    ProviderConfig.objects.exclude(name__in=["sdxl", "noop_media"]).update(enabled=False)
    refuse()
    assert ask() == (503, {"ready": False, "database": "ok", "storage": "ok", "providers": "failing"})


def test_a_storage_that_fails_or_hangs_is_not_ready(ask, monkeypatch):
    monkeypatch.setattr(readiness.probe, "why_not", lambda: "It does not write.")
    assert ask()[1]["storage"] == "failing"

    monkeypatch.setattr(readiness, "PATIENCE_S", 0.05)
    monkeypatch.setattr(readiness.probe, "why_not", lambda: time.sleep(0.3) or "")
    assert ask()[1]["storage"] == "failing"


def test_without_a_database_the_process_lives_and_is_not_ready(ask, monkeypatch):
    def away():
        raise OperationalError("password=secret")

    monkeypatch.setattr(connections["default"], "ensure_connection", away)
    assert ask("/healthz") == (200, b"ok\n")
    code, said = ask()
    assert (code, said["database"]) == (503, "failing")
    assert "secret" not in str(said)
