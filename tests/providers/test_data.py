"""The vendors' tables: whole, dated, and never worse than those that we ship."""

from __future__ import annotations

import json
import logging
from datetime import date
from decimal import Decimal

import pytest

from mediagen.errors import ConfigurationError
from mediagen.providers import GeminiAdapter, OpenAIImagesAdapter
from mediagen.providers.data import SHIPPED, ProviderData, provider_data, write

NAMES = sorted(path.stem for path in SHIPPED.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_a_table_says_when_and_where_from(name):
    table = provider_data(name)
    assert date(2026, 11, 1) <= table.checked_on
    assert table.sources
    assert table.models
    assert not set(table.successors) & set(table.models)
    assert ProviderData.from_json(table.to_json(), name) == table


@pytest.fixture
def folder(settings, tmp_path):
    settings.MEDIAGEN = {"PROVIDER_DATA_DIR": str(tmp_path / "data")}
    return tmp_path / "data"


def newer(**changes) -> ProviderData:
    return provider_data("gemini").renewed("https://vendor.example", date(2027, 5, 1), **changes)


def test_a_newer_table_of_the_site_is_in_force_at_once(folder):
    models = (*GeminiAdapter.models, "gemini-4-image")
    path = write(newer(models=models, prices={"gemini-4-image/1K": "0.01"}))
    assert path == folder / "gemini.json"
    assert GeminiAdapter.models == models
    assert GeminiAdapter(model="gemini-4-image").prices == {"gemini-4-image/1K": Decimal("0.01")}
    assert [found.name for found in folder.iterdir()] == ["gemini.json"]


def test_an_older_one_is_not(folder):
    write(provider_data("gemini").renewed("x", date(2026, 1, 1), models=("old",)))
    assert "old" not in GeminiAdapter.models


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "[]",
        "{",
        '{"provider": "flux", "checked_on": "2027-01-01"}',
        '{"provider": "gemini"}',
        '{"provider": "gemini", "checked_on": "soon"}',
        '{"provider": "gemini", "checked_on": "2027-01-01", "models": "all"}',
        '{"provider": "gemini", "checked_on": "2027-01-01", "prices": {"x": "free"}}',
        '{"provider": "gemini", "checked_on": "2027-01-01", "prices": {"x": 1}}',
        '{"provider": "gemini", "checked_on": "2027-01-01", "ends": {"x": "never"}}',
        '{"provider": "gemini", "checked_on": "2027-01-01", "at_most": {"x": "1"}}',
        '{"provider": "gemini", "checked_on": "2027-01-01", "surprise": 1}',
    ],
)
def test_one_that_cannot_be_read_leaves_ours_in_force_and_is_said_once(folder, broken, caplog):
    folder.mkdir()
    (folder / "gemini.json").write_text(broken)
    with caplog.at_level(logging.WARNING, logger="mediagen.providers"):
        assert GeminiAdapter.default_model in GeminiAdapter.models
        assert provider_data("gemini").checked_on.isoformat() in caplog.text
        assert provider_data("gemini").prices
    assert len(caplog.records) == 1
    assert str(folder) in caplog.text


def test_without_a_folder_nothing_is_written(settings):
    settings.MEDIAGEN = {}
    with pytest.raises(ConfigurationError, match="PROVIDER_DATA_DIR"):
        write(newer())


def test_what_could_not_be_read_again_is_not_written(folder):
    with pytest.raises(ValueError, match="price"):
        write(newer(prices={"x": "-1"}))
    assert not list(folder.glob("*"))


def test_prices_of_the_operator_go_before_the_table():
    openai = OpenAIImagesAdapter(prices={"gpt-image-2": "0.5", "gpt-image-2/1M-image-out": 60})
    assert openai.estimate(prompt="x", quality="low") == Decimal("0.006")
    assert openai.estimate(prompt="x", width=1920, height=1080) == Decimal("0.5")


@pytest.mark.parametrize("wrong", ["x", -1, float("nan"), "inf"])
def test_a_price_when_unknown_that_is_none(wrong):
    with pytest.raises(ConfigurationError, match="price_when_unknown must be USD"):
        OpenAIImagesAdapter(price_when_unknown=wrong)


def test_a_price_when_unknown_is_held_and_never_booked():
    openai = OpenAIImagesAdapter(model="my-model", price_when_unknown="0.25")
    assert openai.estimate(prompt="x") == Decimal("0.25")
    assert "price_when_unknown" in openai.estimate_reason(prompt="x")
    assert OpenAIImagesAdapter(model="my-model", price_when_unknown=0).estimate(prompt="x") == 0
    assert OpenAIImagesAdapter(price_when_unknown=9).estimate(prompt="x", quality="low") == Decimal("0.006")


def test_the_files_are_plain_tables():
    for name in NAMES:
        assert json.loads((SHIPPED / f"{name}.json").read_text())["provider"] == name
