"""A TypeScript frontend: its types come from our schema, `tsc --strict` takes it, and Node runs it on a served site."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from mediagen.engine.library import tokens
from mediagen.models import MediaAsset
from tests.engine.work.working import use_local
from tests.factories import UserFactory
from tests.serving import served

__all__ = ["served"]

MODULES = os.environ.get("MEDIAGEN_CI_NODE_MODULES", "")
"""where `npm ci` has put what examples/frontend/package-lock.json names; .ci/outside.sh says it"""
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "frontend"

pytestmark = [
    pytest.mark.outside,
    pytest.mark.skipif(not MODULES, reason="npm ci of examples/frontend, and its folder in MEDIAGEN_CI_NODE_MODULES"),
    pytest.mark.filterwarnings("default"),
]


def run(folder: Path, *command: str, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_compiled_and_runs(served, settings, tmp_path):
    use_local(settings)
    user = UserFactory(may=["view_mediaasset", "add_mediaasset", "approve_mediaasset"], is_staff=False)
    key = tokens.issue(user, "frontend", scopes=["read", "generate", "approve"]).text.reveal()
    folder = tmp_path / "frontend"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "built", "schema.d.ts"))
    (folder / "node_modules").symlink_to(MODULES, target_is_directory=True)
    with urllib.request.urlopen(f"{served}/api/v1/schema/", timeout=30) as answer:
        (folder / "openapi.json").write_bytes(answer.read())

    run(folder, "node", "node_modules/openapi-typescript/bin/cli.js", "openapi.json", "--output", "schema.d.ts")
    run(folder, "node", "node_modules/typescript/bin/tsc", "--project", ".")
    said = run(folder, "node", "built/try.js", SITE=served, TOKEN=key).splitlines()

    asset = MediaAsset.objects.get()
    assert [line.split()[0] for line in said if line.split()[0] not in ("attempt", "asset")] == [
        "done",
        "gallery",
        "approved",
        "refused",
    ]
    assert "attempt local succeeded" in said
    assert "done ready" in said
    assert f"gallery {asset.pk} {asset.width} true" in said
    assert said[-2:] == ["approved approved", "refused urn:mediagen:problem:invalid prompt"]
    assert asset.status == "approved"
