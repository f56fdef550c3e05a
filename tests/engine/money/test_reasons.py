"""The reason that is told is the real one: a budget that is used up, not what stood behind it in the chain."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mediagen.engine import get_media_engine
from mediagen.engine.generation import requests
from mediagen.engine.generation.requests import PictureRequest
from mediagen.engine.library.access import Access
from mediagen.errors import BudgetTooSmall, GenerationFailed
from mediagen.models import GenerationBatch, MediaAsset, MediaLibrary, ProviderConfig
from mediagen.providers import ReplicateSDXLAdapter
from mediagen.templatetags.mediagen import why
from tests.engine.work.working import batch_of, work
from tests.factories import UserFactory
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()


@pytest.fixture
def chain(live, settings, monkeypatch):
    """One whose price nobody knows, two that are dear, and a stand-in at the end."""
    settings.TIME_ZONE = "Asia/Tokyo"
    monkeypatch.setattr(ReplicateSDXLAdapter, "estimate", lambda self, **request: None)
    servers = live("replicate_sdxl", "sdxl", "openai_images")
    ProviderConfig.objects.filter(name="noop_media").update(enabled=True, position=9)
    return servers


def failure(library: MediaLibrary) -> str:
    with pytest.raises(GenerationFailed) as failed:
        engine.generate_asset_sync("x", 1024, 1024, library.pk)
    asset = MediaAsset.objects.order_by("-created_at")[0]
    assert asset.failure == str(failed.value)
    return asset.failure


@pytest.mark.parametrize("limit", ["0", "0.01"])
def test_of_a_library_whose_budget_is_used_up_or_too_small(chain, limit):
    library = MediaLibrary.objects.create(name="Small", budget_limit=limit, budget_period="day")
    text = failure(library)
    first = text.splitlines()[0]
    assert f"library 'Small' has ${limit} left" in first
    assert "The next day begins at" in first
    assert "(Asia/Tokyo)" in first
    assert "Raise the budget of library 'Small'" in first
    shown = why(MediaAsset.objects.get())
    assert shown.startswith(f"library 'Small' has ${limit} left")
    assert "noop_media" not in shown
    assert "is not known" not in shown
    assert not any(server.purchases for server in chain)


def test_of_a_batch(chain, tmp_path):
    MediaLibrary.objects.create(name="Default", budget_limit="0", budget_period="month")
    batch = batch_of(tmp_path, 2, defaults={"width": 1024, "height": 1024})
    work(batch)
    assert batch.state == "paused"
    assert batch.state_reason.startswith("library 'Default' has $0 left. The next month begins at")
    assert not any(server.purchases for server in chain)
    assert GenerationBatch.objects.get().cost().billed == 0


def test_of_a_price_that_is_not_known_while_there_is_room(chain):
    ProviderConfig.objects.exclude(name="replicate_sdxl").update(enabled=False)
    library = MediaLibrary.objects.create(name="Rich", budget_limit="100")
    assert "the price of replicate_sdxl" in failure(library).splitlines()[0]


def test_of_what_a_provider_said_where_one_was_asked(chain):
    chain[2].fault("submit", Fault.moderation(), times=None)
    library = MediaLibrary.objects.create(name="Rich", budget_limit="100")
    ProviderConfig.objects.filter(name="sdxl").update(budget_limit="0")
    ProviderConfig.objects.filter(name="replicate_sdxl").update(enabled=False)
    text = failure(library)
    assert text.splitlines()[0].endswith("attempt(s):")
    assert "openai_images: refused" in text
    assert "moderation" in why(MediaAsset.objects.get())
    assert "provider 'sdxl' has $0 left of $0" in text


@pytest.mark.parametrize("names", [("sdxl",), ("replicate_sdxl",)])
def test_before_anything_is_made(chain, names):
    library = MediaLibrary.objects.create(name="Empty", budget_limit="0", budget_period="day")
    access = Access(UserFactory(is_superuser=True))
    asked = PictureRequest(prompt="x", library="Empty", providers=names)
    with pytest.raises(BudgetTooSmall, match=r"Library 'Empty' has \$0 left, and .*The next day begins at"):
        requests.place(access, asked)
    assert not library.assets.exists()


def test_of_providers_whose_own_budgets_are_used_up(chain):
    ProviderConfig.objects.filter(name="sdxl").update(budget_limit=Decimal("0.01"), budget_period="month")
    access = Access(UserFactory(is_superuser=True))
    with pytest.raises(BudgetTooSmall, match=r"sdxl has \$0.01 left and costs \$0.03 a picture. The next month begins"):
        requests.place(access, PictureRequest(prompt="x", providers=("sdxl",)))
