"""A site on a real socket, and the plugin that was written for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from mediagen.models import ApiToken
from tests.factories import UserFactory
from tests.figma.plugin import Figma
from tests.figma.serving import served


@pytest.fixture
def site(django_db_serialized_rollback: None, transactional_db: None) -> Iterator[str]:
    """The address of the project, answered by uvicorn."""
    with served() as address:
        yield address


@pytest.fixture
def folder(site: str, tmp_path: Path) -> Path:
    call_command("figma_plugin", output=str(tmp_path / "plugin"), site=site, stdout=StringIO())
    return tmp_path / "plugin"


@pytest.fixture
def figma(folder: Path) -> Iterator[Figma]:
    if shutil.which("node") is None:
        pytest.skip("There is no node here to run the plugin with.")
    with Figma(folder) as running:
        yield running


@pytest.fixture
def designer(db: None) -> tuple[object, str]:
    """(a person, the text of their token)"""
    user = UserFactory(may=["view_mediaasset", "add_mediaasset"], is_staff=False)
    _, text = ApiToken.objects.issue(user, "Figma", scopes=["figma"])
    return user, text
