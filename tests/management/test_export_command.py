"""manage.py mediagen_export_assets: what it takes, what it says, and how it ends."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from mediagen.engine.exports import canva
from mediagen.models import AssetExport, ExportState, ProviderConfig
from mediagen.providers import canva_api
from tests.factories import MediaAssetFactory, MediaLibraryFactory, MediaTagFactory
from tests.servers import Fault

pytestmark = pytest.mark.django_db

KEY = "abcDEF123456789012345"


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and output."""
    out = StringIO()
    try:
        call_command("mediagen_export_assets", *arguments, stdout=out)
    except CommandError as exc:
        return exc.returncode, f"{out.getvalue()}{exc}"
    return 0, out.getvalue()


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@pytest.fixture
def asset(db):
    return MediaAssetFactory(ready=True, name="Red fox")


def test_to_canva_in_dry_run(asset):
    code, output = run(asset.asset_id, "--to", "canva", "--title", "Spring", "--dry-run", "--json")
    export, summary = lines(output)
    assert code == 0
    assert (export["event"], export["asset_id"], export["state"], export["dry_run"]) == (
        "export", asset.asset_id, "placed", True,
    )  # fmt: skip
    assert export["design_id"].startswith("dry-")
    assert summary == {"event": "summary", "exports": 1, "states": {"placed": 1}}


def test_to_figma_in_dry_run_for_people(asset, monkeypatch):
    monkeypatch.setenv("FIGMA_API_TOKEN", "made-up")
    code, output = run(asset.asset_id, "--to", "figma", "--file-key", KEY)
    assert code == 0
    assert f"{asset.asset_id}  dry run  https://www.figma.com/" in output
    assert "1 exports: 1 placed." in output


def test_a_library_and_a_tag(asset):
    library = MediaLibraryFactory(name="Spring campaign")
    inside = [MediaAssetFactory(ready=True, library=library) for _ in range(3)]
    inside[0].tags.add(MediaTagFactory(name="hero"))
    MediaAssetFactory(library=library)
    assert lines(run("--library", "Spring campaign", "--to", "canva", "--json")[1])[-1]["exports"] == 3
    assert lines(run("--tag", "hero", "--to", "canva", "--json")[1])[0]["asset_id"] == inside[0].asset_id
    newest = lines(run("--library", str(library.pk), "--limit", "1", "--to", "canva", "--json")[1])
    assert newest[0]["asset_id"] == inside[-1].asset_id
    assert run("--tag", "nothing", "--to", "canva") == (0, "0 exports: nothing to export.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ID"], "--to figma or --to canva"),
        (["--to", "canva"], "Name assets"),
        (["ID", "--library", "x", "--to", "canva"], "Name assets"),
        (["nonsense", "--to", "canva"], "no id of an asset"),
        (["00000000-0000-7000-8000-000000000000", "--to", "canva"], "no ready asset"),
        (["--library", "nowhere", "--to", "canva"], "no media library"),
        (["ID", "--to", "figma"], "file_key is missing"),
        (["ID", "--to", "figma", "--file-key", KEY, "--folder", "F"], "folder is for Canva only"),
        (["ID", "--to", "canva", "--file-key", KEY], "file_key is for Figma only"),
        (["ID", "--to", "canva", "--folder", "a b"], "folder must be"),
        (["ID", "--to", "canva", "--limit", "0"], "--limit"),
        (["ID", "--waiting"], "--waiting takes no assets"),
    ],
)
def test_bad_usage_writes_nothing(asset, arguments, words):
    code, output = run(*[asset.asset_id if word == "ID" else word for word in arguments])
    assert (code, words in output) == (2, True), output
    assert not AssetExport.objects.exists()


@pytest.fixture
def server(provider_servers, monkeypatch, db):
    monkeypatch.setattr(canva_api, "POLL_INTERVAL_S", 0.005)
    found = provider_servers["canva_api"]
    ProviderConfig.objects.filter(name="canva_api").update(
        base_url=found.base_url, credentials=found.key, dry_run=False
    )
    return found


def test_live_with_a_failure(asset, server):
    server.fault("poll", Fault.job_failed("Because.", status="import_failed"))
    other = MediaAssetFactory(ready=True)
    code, output = run(asset.asset_id, other.asset_id, "--to", "canva", "--json")
    first, second, summary, *_ = lines(output)
    assert code == 1
    assert (first["state"], second["state"]) == ("failed", "placed")
    assert "import_failed" in first["message"]
    assert second["design_id"] in server.designs
    assert summary["states"] == {"failed": 1, "placed": 1}
    assert "1 of 2 exports were not placed" in output


def test_what_waits_is_sent(asset, server):
    row = canva.begin(asset.pk)
    code, output = run("--waiting")
    assert (code, "1 exports: 1 placed." in output) == (0, True)
    assert AssetExport.objects.get(pk=row.pk).state == ExportState.PLACED
    assert run("--waiting") == (0, "0 exports: nothing to export.\n")
