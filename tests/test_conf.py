from __future__ import annotations

import pytest

from mediagen import conf
from mediagen.errors import ConfigurationError


@pytest.mark.parametrize(
    ("environment", "dry"),
    [
        (None, True),
        ("", True),
        ("true", True),
        ("1", True),
        ("flase", True),
        ("false", False),
        ("0", False),
        ("OFF", False),
    ],
)
def test_dry_run_is_left_only_by_a_clear_word(monkeypatch, settings, environment, dry):
    settings.MEDIAGEN = {}
    if environment is not None:
        monkeypatch.setenv("DRY_RUN_MODE", environment)
    assert conf.default_dry_run() is dry


def test_settings_go_before_the_environment(monkeypatch, settings):
    monkeypatch.setenv("DRY_RUN_MODE", "false")
    settings.MEDIAGEN = {"DRY_RUN": True}
    assert conf.default_dry_run() is True


def test_settings_are_read_late(settings):
    settings.MEDIAGEN = {"RETRIES": 7}
    assert conf.get("RETRIES") == 7
    settings.MEDIAGEN = {}
    assert conf.get("RETRIES") == conf.DEFAULTS["RETRIES"]


def test_a_name_that_does_not_exist():
    with pytest.raises(KeyError):
        conf.get("RETRYS")


def test_a_provider_needs_a_path(settings):
    settings.MEDIAGEN = {"PROVIDERS": {"acme": {"OPTIONS": {}}}}
    with pytest.raises(ConfigurationError, match="acme"):
        conf.adapter_paths()
