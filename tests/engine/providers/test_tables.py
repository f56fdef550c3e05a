"""The vendors' tables in a site: made newer by a command, and looked at by checks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from mediagen.engine.providers import tables
from mediagen.models import ProviderConfig
from mediagen.providers import GeminiAdapter
from mediagen.providers.data import provider_data
from tests.live_providers import live
from tests.servers import Fault

__all__ = ["live"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(settings, tmp_path):
    settings.MEDIAGEN = {"PROVIDER_DATA_DIR": str(tmp_path)}
    return tmp_path


def updated(*arguments, code=0) -> str:
    from io import StringIO

    out = StringIO()
    if code == 0:
        call_command("mediagen_update_provider_data", *arguments, stdout=out)
        return out.getvalue()
    with pytest.raises(CommandError) as caught:
        call_command("mediagen_update_provider_data", *arguments, stdout=out)
    assert caught.value.returncode == code
    return out.getvalue() + str(caught.value)


def test_a_vendor_with_an_api_gives_a_newer_table_without_cost(folder, live):
    gemini, openai = live("gemini", "openai_images")
    said = updated()
    assert "gemini: 4 models" in said
    assert "openai_images: " in said
    assert (folder / "gemini.json").is_file()
    assert provider_data("gemini").sources == (f"{gemini.base_url}/models",)
    assert gemini.purchases == openai.purchases == []


def test_one_that_answers_nonsense_leaves_the_old_one_in_force_and_says_so(folder, live):
    gemini, _ = live("gemini", "openai_images")
    gemini.fault("health", Fault.html_200(), times=None)
    before = provider_data("gemini")
    said = updated(code=1)
    assert f"the table of {before.checked_on} stays in force" in said
    assert "no newer table of gemini" in said
    assert provider_data("gemini") == before
    assert (folder / "openai_images.json").is_file()


def test_who_is_dry_has_no_key_or_no_api_is_not_asked(folder, live):
    (gemini,) = live("gemini")
    ProviderConfig.objects.update(dry_run=True)
    ProviderConfig.objects.filter(name__in=("flux", "openai_images")).update(enabled=True)
    said = updated()
    assert "gemini: dry run" in said
    assert "flux: its vendor has no API" in said
    assert gemini.requests == []
    assert "no credential is set" in updated("openai_images", "--live")


def test_bad_usage(settings, folder):
    assert "no provider 'nobody'" in updated("nobody", code=2)
    settings.MEDIAGEN = {}
    assert "PROVIDER_DATA_DIR" in updated(code=2)


# ---------------------------------------------------------------- checks


@pytest.fixture
def today(monkeypatch):
    def is_now(text: str) -> None:
        monkeypatch.setattr(tables, "db_now", lambda: datetime.fromisoformat(text).replace(tzinfo=UTC))

    return is_now


def warned(**how) -> dict[str, str]:
    found = run_checks(tags=["mediagen"], include_deployment_checks=False, **how)
    return {message.id: str(message.msg) for message in found if message.id in ("mediagen.W030", "mediagen.W031")}


def test_an_old_table_of_a_live_provider_is_warned_of(today, monkeypatch, settings):
    monkeypatch.setenv("GEMINI_API_KEY", "made-up")
    today("2027-06-01")
    assert warned() == {}  # dry: nothing of it matters
    settings.MEDIAGEN = {"DRY_RUN": False}
    assert "gemini were last confirmed" in warned()["mediagen.W030"]
    assert warned(databases=["default"]).keys() == {"mediagen.W030"}
    today(provider_data("gemini").checked_on.isoformat())
    assert warned() == {}


def test_a_model_that_is_over_is_warned_of(today, monkeypatch, settings):
    monkeypatch.setenv("GEMINI_API_KEY", "made-up")
    options = {"model": "gemini-3.1-flash-image", "dry_run": False}
    settings.MEDIAGEN = {"PROVIDERS": {"gemini": {"OPTIONS": options}}}
    today("2026-12-01")
    said = warned()["mediagen.W031"]
    assert "ended on 2026-10-29" in said
    assert GeminiAdapter.default_model in said


def test_what_stands_in_a_row_is_seen_with_the_database(today):
    config = ProviderConfig.objects.get(name="gemini")
    config.model, config.dry_run, config.credentials = "gemini-2.5-flash-image", False, "made-up"
    config.save()
    today("2027-01-10")
    assert warned(databases=["default"]) == {}
    today("2027-03-15")
    assert warned(databases=[]) == {}  # None means all of them from Django 6.1 on
    assert warned(databases=["default"]).keys() == {"mediagen.W030", "mediagen.W031"}
