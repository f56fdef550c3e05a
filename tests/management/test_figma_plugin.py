"""manage.py figma_plugin: three files that Figma can read, made out for this site."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings


def write(folder: Path, **options) -> dict:
    call_command("figma_plugin", output=str(folder), stdout=StringIO(), **options)
    return json.loads((folder / "manifest.json").read_text())


def test_for_a_site_on_the_web(tmp_path):
    manifest = write(tmp_path / "new" / "folder", site="https://media.example/")
    assert (manifest["documentAccess"], manifest["editorType"], manifest["api"]) == ("dynamic-page", ["figma"], "1.0.0")
    assert manifest["networkAccess"]["allowedDomains"] == ["https://media.example"]
    assert "devAllowedDomains" not in manifest["networkAccess"]
    assert "enablePrivatePluginApi" not in manifest
    code = (tmp_path / "new/folder/code.js").read_text()
    assert 'const API = "https://media.example/api/v1/"' in code
    assert "__MEDIAGEN" not in code + (tmp_path / "new/folder/ui.html").read_text() + json.dumps(manifest)


def test_for_a_site_on_this_machine(tmp_path):
    manifest = write(tmp_path, site="http://localhost:8000", plugin_id="1234567890", name="Ours")
    assert (manifest["id"], manifest["name"]) == ("1234567890", "Ours")
    assert manifest["networkAccess"]["allowedDomains"] == ["none"]
    assert manifest["networkAccess"]["devAllowedDomains"] == ["http://localhost:8000"]


def test_the_site_may_stand_in_the_settings(tmp_path, settings):
    settings.MEDIAGEN = {"SITE_URL": "https://media.example"}
    assert write(tmp_path)["name"] == "mediagen (media.example)"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "SITE_URL"),
        ({"site": "media.example"}, "is an address such as"),
        ({"site": "http://media.example"}, "only https"),
        ({"site": "https://media.example/path"}, "without a path"),
        ({"site": "https://user@media.example"}, "without a path"),
        ({"site": 'https://a"b.example'}, "is an address such as"),
        ({"site": "https://media.example", "plugin_id": "a b"}, "what Figma gave it"),
    ],
)
def test_what_cannot_be(tmp_path, options, says):
    with pytest.raises(CommandError, match=says):
        write(tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


@override_settings(ROOT_URLCONF="tests.no_urls")
def test_a_site_without_the_api(tmp_path):
    with pytest.raises(CommandError, match=r"mediagen\.api\.urls"):
        write(tmp_path, site="https://media.example")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written"):
        write(tmp_path / "file", site="https://media.example")
