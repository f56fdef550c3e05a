"""Adapters that an installed package brings: there to be chosen, in the chain when somebody says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mediagen import conf
from mediagen.factory import get_media_generator_chain
from mediagen.models import ProviderConfig
from mediagen.models.provider import provider_choices
from mediagen.providers.registry import adapter_class

pytestmark = pytest.mark.django_db

MODULE = """
from mediagen.providers import MediaGeneratorProvider

class Wheel(MediaGeneratorProvider):
    name = "wheel"
    default_base_url = "https://wheel.example"
    default_model = "wheel-1"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch):
    """An installed distribution with an adapter, and one that takes a name of ours."""
    (tmp_path / "from_a_wheel.py").write_text(MODULE)
    info = tmp_path / "from_a_wheel-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: from-a-wheel\nVersion: 1.0\n")
    points = "[mediagen.providers]\nwheel = from_a_wheel:Wheel\nflux = from_a_wheel:Wheel\ngone = nowhere_at_all:X\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    conf.installed_adapters.cache_clear()
    yield
    conf.installed_adapters.cache_clear()
    sys.modules.pop("from_a_wheel", None)


def names():
    return [provider.get_name() for provider in get_media_generator_chain().providers]


def test_it_can_be_chosen_and_is_not_asked_by_itself(package):
    assert ("wheel", "wheel") in provider_choices()
    assert adapter_class("wheel").__name__ == "Wheel"
    assert "wheel" not in names()
    ProviderConfig.objects.all().delete()
    assert "wheel" not in names()


def test_a_row_or_a_line_in_settings_puts_it_into_the_chain(package, settings):
    settings.MEDIAGEN = {"PROVIDERS": {"wheel": {"OPTIONS": {"model": "wheel-2"}}}}
    assert names()[-2:] == ["wheel", "noop_media"]
    settings.MEDIAGEN = {}
    ProviderConfig.objects.create(name="wheel", adapter="wheel", position=0)
    assert names()[0] == "wheel"


def test_a_name_of_ours_stays_ours_and_one_that_is_broken_stops_nobody(package):
    assert adapter_class("flux").__module__ == "mediagen.providers.flux"
    assert names()[-1] == "noop_media"
