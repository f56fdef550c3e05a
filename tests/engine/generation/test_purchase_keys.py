"""What was bought, or may have been, is found out by its key: in the same run, and by whoever has the row next."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from mediagen.chain import MediaGeneratorChain
from mediagen.engine import get_media_engine
from mediagen.engine.library.cancelling import cancel
from mediagen.engine.work.worker import Until
from mediagen.errors import GenerationFailed
from mediagen.models import GenerationAttempt, MediaAsset, ProviderConfig
from mediagen.testing import Answer, CannedServer, png
from mediagen.testing.keyed import ROUTE, KeyedAdapter
from tests.engine.work.working import work

pytestmark = pytest.mark.django_db

engine = get_media_engine()
PICTURE = Answer(content=png(64, 64), headers={"content-type": "image/png"})


@pytest.fixture
def server(settings):
    with CannedServer({ROUTE: PICTURE}, idempotency_header="Idempotency-Key") as server:
        options = {"base_url": server.base_url, "api_key": server.key, "timeout_s": 2.0}
        settings.MEDIAGEN = {
            "DRY_RUN": False,
            "BACKOFF_S": 0.001,
            "PROVIDERS": {"keyed": {"ADAPTER": "mediagen.testing.KeyedAdapter", "OPTIONS": options}},
        }
        ProviderConfig.objects.update(enabled=False)
        yield server


def lost(server, **changes):
    """(asset, attempt) that a worker left when it was killed between request and answer."""
    server.fault(ROUTE, "reset", times=0)
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 64, 64)
    server.clear_faults()
    attempt = GenerationAttempt.objects.latest("id")
    values = {"state": "submitted", "outcome": "", "finished_at": None, "message": "", "provider_job": {}, **changes}
    GenerationAttempt.objects.filter(pk=attempt.pk).update(**values)
    return attempt.asset, attempt


def rows(asset):
    return [(a.provider_name, a.state, a.cost) for a in GenerationAttempt.objects.of(asset)]


def test_the_key_is_stored_before_the_request_leaves(server):
    seen = []

    def answer(request):
        seen.append(request.headers["idempotency-key"])
        return PICTURE

    server.answers[ROUTE] = answer
    asset = engine.generate_asset_sync("a lighthouse", 64, 64)
    assert seen == [GenerationAttempt.objects.of(asset).get().purchase_key]


def test_a_lost_answer_is_asked_for_again_with_the_same_key(server):
    server.fault(ROUTE, "reset")
    asset = engine.generate_asset_sync("a lighthouse", 64, 64)
    assert rows(asset) == [("keyed", "succeeded", Decimal("0.05"))]
    assert len(server.requests) == 2
    assert len({request.headers["idempotency-key"] for _, request in server.requests}) == 1
    assert len(server.purchases) == 1


def test_a_killed_workers_purchase_is_brought_to_its_end_in_its_one_row(server):
    asset, attempt = lost(server)
    engine.regenerate_asset_sync(asset.pk)
    assert rows(asset) == [("keyed", "adopted", Decimal("0.05"))]
    assert GenerationAttempt.objects.of(asset).get().purchase_key == attempt.purchase_key
    assert len(server.purchases) == 1


@pytest.mark.parametrize("fault", ["503", "429", "401", "404", "reset"])
def test_an_answer_that_says_nothing_of_the_purchase_leaves_it_unknown(server, fault):
    asset, _ = lost(server)
    server.fault(ROUTE, fault, times=0)
    with pytest.raises(GenerationFailed):
        engine.regenerate_asset_sync(asset.pk)
    assert [row[:2] for row in rows(asset)] == [("keyed", "unknown")]
    assert len(server.purchases) == 1


def test_a_key_that_the_service_has_forgotten_is_not_asked_with(server):
    asset, attempt = lost(server, started_at=timezone.now() - timedelta(hours=25))
    engine.regenerate_asset_sync(asset.pk)
    assert [row[:2] for row in rows(asset)] == [("keyed", "unknown"), ("keyed", "succeeded")]
    assert server.requests[-1][1].headers["idempotency-key"] != attempt.purchase_key


def test_stop_after_unknown_lets_the_purchase_be_asked_for_and_nobody_else(server):
    ProviderConfig.objects.create(name="keyed", adapter="keyed", after_unknown="stop")
    ProviderConfig.objects.filter(name="noop_media").update(enabled=True)
    asset, _ = lost(server)
    server.fault(ROUTE, "503", times=0)
    with pytest.raises(GenerationFailed):
        engine.regenerate_asset_sync(asset.pk)
    assert len(server.purchases) == 1
    GenerationAttempt.objects.update(state="submitted", outcome="", finished_at=None, provider_job={})
    server.clear_faults()
    engine.regenerate_asset_sync(asset.pk)
    assert len(server.purchases) == 1
    assert [row[:2] for row in rows(asset)] == [("keyed", "adopted")]


def test_a_cancelled_asset_is_not_asked_for_with_its_key(server):
    """It might be bought now, if it never came there."""
    asset, attempt = lost(server)
    MediaAsset.objects.filter(pk=asset.pk).update(generation_state="pending", lease_token=1)
    assert cancel([asset.pk]).ending == (asset.pk,)
    asked = len(server.requests)
    work(until=Until.IDLE)
    asset.refresh_from_db()
    attempt.refresh_from_db()
    assert (asset.generation_state, attempt.state, attempt.cost_held) == ("cancelled", "unknown", Decimal("0.05"))
    assert len(server.requests) == asked


def test_of_a_cancelled_asset_is_found_out_what_can_be_looked_for():
    class Lister:
        def get_name(self):
            return "lister"

        def find_purchase(self, key, **request): ...

    chain = MediaGeneratorChain([Lister(), KeyedAdapter(api_key="k", dry_run=False)])
    assert chain.purchases_resolved_for_s().keys() == {"lister", "keyed"}
    assert chain.purchases_resolved_for_s(by_looking=True).keys() == {"lister"}


def test_a_dry_run_does_not_touch_what_was_left(server):
    asset, attempt = lost(server)
    engine.regenerate_asset_sync(asset.pk, dry_run=True)
    attempt.refresh_from_db()
    assert attempt.state == "unknown"
    assert len(server.purchases) == 1
