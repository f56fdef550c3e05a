"""An order for the chain, proposed by what has a key, what it costs and how long it takes."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from mediagen.engine.insight.proposals import propose
from mediagen.engine.providers import entries
from mediagen.models import ProviderConfig
from mediagen.types import utcnow
from tests.factories import GenerationAttemptFactory

pytestmark = pytest.mark.django_db


def order() -> list[str]:
    return list(ProviderConfig.objects.in_chain_order().values_list("name", flat=True))


def said(*arguments) -> str:
    out = io.StringIO()
    call_command("mediagen_setup", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def keys(monkeypatch):
    for name in ("SDXL_API_KEY", "OPENAI_API_KEY", "BFL_API_KEY"):
        monkeypatch.setenv(name, "made-up")


def test_who_has_a_key_comes_first_the_cheap_before_the_dear(keys):
    names = [row.config.name for row in propose()]
    assert names[:3] == ["sdxl", "flux", "openai_images"]  # 0.03, 0.06, 0.211
    assert names[-1] == "noop_media"
    assert set(names[-3:-1]) == {"figma_api", "canva_api"}
    assert sorted(names) == sorted(order())


def test_an_unknown_price_stands_behind_a_known_one_and_a_slow_one_behind_a_quick_one(keys):
    ProviderConfig.objects.filter(name="sdxl").update(prices={"core": "0.06"})
    ended = utcnow() - timedelta(hours=1)
    for name, seconds in (("sdxl", 20.0), ("flux", 3.0)):
        GenerationAttemptFactory(provider_name=name, latency_s=seconds, started_at=ended, finished_at=ended)
    ProviderConfig.objects.filter(name="openai_images").update(model="my-model")
    rows = propose()
    assert [row.config.name for row in rows[:3]] == ["flux", "sdxl", "openai_images"]
    assert rows[2].usd is None
    assert rows[0].seconds == pytest.approx(3, rel=0.1)


def test_what_is_disabled_broken_or_over_is_said_and_stands_behind(keys):
    ProviderConfig.objects.filter(name="sdxl").update(enabled=False)
    ProviderConfig.objects.filter(name="flux").update(options={"steps": "many"})
    ProviderConfig.objects.filter(name="openai_images").update(model="gpt-image-1-mini")
    text = said()
    assert "1. openai_images" in text
    assert "its vendor ends gpt-image-1-mini without a day yet" in text
    assert "sdxl             disabled" in text
    assert "option steps must be" in text


def test_what_a_provider_lacks_is_said_in_its_own_words():
    text = said()
    assert "comfyui          no workflow is set, workflow, up to $0\n" in text
    assert "flux             no credential is set (BFL_API_KEY), flux-2-pro, up to $" in text
    assert "key: missing" not in text


def test_nothing_is_written_without_a_yes(keys):
    entries.move(ProviderConfig.objects.get(name="flux"), before=ProviderConfig.objects.get(name="sdxl"))
    before = order()
    assert "Nothing was changed" in said()
    assert order() == before
    assert "Written" in said("--yes")
    assert order()[:3] == ["sdxl", "flux", "openai_images"]
    assert order()[-1] == "noop_media"
    assert "This is the order already" in said("--yes")


def test_prices_are_of_the_size_that_is_asked_for(keys):
    assert "up to $0.06" in said("--size", "1920x1080")
    assert "up to $0.09" in said("--size", "4096x4096")
    with pytest.raises(CommandError, match="--size"):
        said("--size", "large")


def test_without_any_key_it_says_what_to_do():
    assert "No provider has a key yet" in said()


def test_an_entry_that_came_meanwhile_stands_behind(keys):
    proposed = propose()
    ProviderConfig.objects.create(name="new", adapter="sdxl", position=1)
    entries.arrange([row.config for row in proposed])
    assert order()[-2:] == ["noop_media", "new"]


def test_a_server_of_ones_own_misses_no_key():
    config = ProviderConfig.objects.get(name="openai_images")
    config.options, config.base_url, config.model = {"dialect": "vllm"}, "http://127.0.0.1:1/v1", "m"
    config.save()
    (state,) = entries.states([config])
    assert state.credential.source == "not needed"
