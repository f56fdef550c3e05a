"""Pictures for other people's tests: at once, without a network, counted; the rest of the site is in earnest."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mediagen.engine import get_media_engine
from mediagen.errors import GenerationFailed, Refused
from mediagen.models import GenerationAttempt, ProviderConfig
from mediagen.testing import factories
from mediagen.testing.instant import instantly
from mediagen.testing.plugin import canned_server, instant_pictures

__all__ = ["canned_server", "instant_pictures"]

pytestmark = pytest.mark.django_db


def test_pictures_are_made_at_once_and_counted(instant_pictures):
    engine = get_media_engine()
    assets = [engine.generate_asset_sync("A lighthouse", 320, 200, seed=number) for number in (1, 2)]

    assert instant_pictures.count == 2
    assert instant_pictures.prompts == ["A lighthouse", "A lighthouse"]
    assert instant_pictures.asked[0].provider == "sdxl"
    assert [(a.width, a.height, a.is_placeholder, a.dry_run) for a in assets] == [(320, 200, False, False)] * 2
    assert assets[0].content_hash != assets[1].content_hash


def test_failures_go_through_the_real_chain(instant_pictures):
    ProviderConfig.objects.filter(name="sdxl").update(after_refusal="next")
    instant_pictures.fail(Refused("not that"))
    asset = get_media_engine().generate_asset_sync("A lighthouse", 64, 64)
    assert asset.provider_name == "openai_images"

    instant_pictures.fail(*[Refused("not that")] * 9)
    ProviderConfig.objects.update(after_refusal="stop")
    with pytest.raises(GenerationFailed, match="not that"):
        get_media_engine().generate_asset_sync("A lighthouse", 64, 64)


def test_a_cost_is_booked():
    with instantly(cost="0.25") as made:
        asset = get_media_engine().generate_asset_sync("A lighthouse", 64, 64)
    assert asset.cost == Decimal("0.25")
    attempt = GenerationAttempt.objects.of(asset).get()
    assert (attempt.cost, attempt.billable, len(attempt.purchase_key)) == (Decimal("0.25"), True, 36)
    assert made.count == 1
    assert get_media_engine().generate_asset_sync("A lighthouse", 64, 64).is_placeholder  # over, and dry as before


def test_rows():
    asset = factories.make_asset(size=(40, 30))
    assert (asset.width, asset.height, asset.generation_state) == (40, 30, "ready")
    assert asset.file.size == asset.file_size
    assert factories.make_asset(ready=False).generation_state == "pending"
    assert factories.make_provider().adapter == "noop_media"


def test_a_canned_server_is_a_fixture(canned_server):
    assert canned_server({}).base_url.startswith("http://127.0.0.1:")
