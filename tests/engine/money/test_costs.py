"""One answer to "what did this cost", at every door, to the last digit; what is not known is never nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from mediagen.engine.insight import statistics
from mediagen.models import GenerationAttempt, GenerationBatch
from mediagen.models.costs import Cost, cost_of, costs_by
from tests.api.callers import Caller
from tests.factories import GenerationAttemptFactory, GenerationBatchFactory, MediaAssetFactory
from tests.servers import Fault

pytestmark = pytest.mark.django_db

BILLED = "0.635000"


@pytest.fixture
def batch(admin_user) -> GenerationBatch:
    """Of two pictures for 0.60, and 0.035 for one that did not come; one may have cost 0.04, one nobody knows what."""
    batch = GenerationBatchFactory(total=3, created_by=admin_user)
    assets = [MediaAssetFactory(batch=batch, row_key=str(n), ready=True, cost=Decimal("0.30")) for n in (1, 2)]
    lost = MediaAssetFactory(batch=batch, row_key="3", failed=True)
    for asset in assets:
        GenerationAttemptFactory(asset=asset, cost=Decimal("0.30"))
    GenerationAttemptFactory(asset=lost, refused=True, cost=Decimal("0.035"))
    GenerationAttemptFactory(asset=lost, unknown=True, cost_held=Decimal("0.04"))
    GenerationAttemptFactory(asset=lost, unknown=True, cost_held=None)
    GenerationAttemptFactory(asset=lost, unavailable=True)
    GenerationAttemptFactory(asset=lost, skipped=True)
    return batch


FACTS = {"cost": BILLED, "unsettled": 2, "possible_cost": None, "of_unknown_cost": 1}
WORDS = "$0.635 and up to $0.04 more and 1 of unknown cost"


def test_every_door_says_the_same(batch, admin_client, admin_user):
    assert batch.cost().facts() == FACTS

    def part(found):
        return {name: found[name] for name in FACTS}

    out = StringIO()
    call_command("mediagen_batches", json=True, stdout=out)
    assert part(json.loads(out.getvalue())) == FACTS
    out = StringIO()
    call_command("mediagen_batches", stdout=out)
    assert WORDS in out.getvalue()
    caller = Caller(admin_user)
    assert part(caller.get(f"/api/v1/batches/{batch.pk}/").json()) == FACTS
    [listed] = caller.get("/api/v1/batches/").json()["results"]
    assert part(listed) == FACTS
    total = caller.get("/api/v1/stats/").json()["total"]
    assert (total["spent"], total["possible"], total["of_unknown_cost"]) == (BILLED, "0.040000", 1)
    assert (total["unknown"], total["unknown_cost"]) == (2, None)
    for name, args in (("generationbatch_changelist", []), ("generationbatch_change", [batch.pk])):
        assert WORDS in admin_client.get(reverse(f"admin:mediagen_{name}", args=args)).content.decode()
    for page in (reverse("admin:mediagen_dashboard_changelist"), reverse("admin:app_list", args=["mediagen"])):
        shown = admin_client.get(page).content.decode()
        assert "$0.635" in shown
        assert "and up to $0.04 more and 1 of unknown cost" in shown


def test_of_one_asset_too(batch, admin_client, admin_user):
    lost = batch.assets.get(row_key="3")
    words = WORDS.replace("$0.635", "$0.035")
    caller = Caller(admin_user)
    facts = {**FACTS, "cost": "0.035000"}
    shown = caller.get(f"/api/v1/assets/{lost.pk}/attempts/").json()
    assert {name: shown[name] for name in FACTS} == facts
    assert caller.get(f"/api/v1/generations/{lost.pk}/").json()["billing"] == facts
    assert words in admin_client.get(reverse("admin:mediagen_mediaasset_change", args=[lost.pk])).content.decode()
    assert words in admin_client.get(reverse("mediagen:asset", args=[lost.pk])).content.decode()


def test_what_is_not_known_is_never_nothing(admin_client):
    batch = GenerationBatchFactory(total=1)
    asset = MediaAssetFactory(batch=batch, row_key="1", failed=True)
    GenerationAttemptFactory(asset=asset, unknown=True, cost_held=None, provider_name="replicate_sdxl")
    assert str(batch.cost()) == "1 of unknown cost"
    assert batch.cost().facts()["cost"] is None
    total = statistics.overview(None, statistics.Period.named("7d")).total
    assert (total.unknown, total.unknown_cost) == (1, None)
    for page in (reverse("admin:mediagen_dashboard_changelist"), reverse("admin:app_list", args=["mediagen"])):
        assert "may have cost" not in admin_client.get(page).content.decode()
        assert "1 of unknown cost" in admin_client.get(page).content.decode()
    [one] = [admin_client.get(reverse("admin:mediagen_mediaasset_change", args=[asset.pk])).content.decode()]
    assert "1 of unknown cost" in one


def test_the_command_counts_what_was_billed_in_vain(live, tmp_path):
    """What the service sold and what the summary says are one sum."""
    (server,) = live("sdxl")
    server.fault("submit", Fault.not_a_picture(), times=1)
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 2"):
        call_command("generate_assets", "x", "y", "--size=512x512", "--concurrency=1", "--json", stdout=out)
    *assets, summary = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(server.purchases) == 2
    assert [asset["made"] for asset in assets] == [False, True]
    assert (summary["made"], summary["failed"], Decimal(summary["cost"])) == (1, 1, cost_of(attempts()).billed)
    assert Decimal(summary["cost"]) + Decimal(summary["possible_cost"]) == Decimal("0.06")


def attempts():
    return GenerationAttempt.objects.all()


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (Cost(), "$0"),
        (Cost(billed=Decimal("0.60")), "$0.6"),
        (Cost(unsettled=1, possible=Decimal("0.04")), "up to $0.04"),
        (Cost(unsettled=2, without_price=2), "2 of unknown cost"),
        (
            Cost(billed=Decimal(1), unsettled=3, possible=Decimal("0.04"), without_price=2),
            "$1 and up to $0.04 more and 2 of unknown cost",
        ),
    ],
)
def test_in_words(cost, words):
    assert str(cost) == words


def test_in_memory_it_is_as_in_sql(batch):
    rows = list(attempts())
    assert sum(map(Cost.of, rows), Cost()) == cost_of(attempts()) == costs_by("batch", attempts())[batch.pk]
    GenerationAttemptFactory(in_flight=True, cost_held=Decimal("0.02"))
    assert sum(map(Cost.of, attempts()), Cost()) == cost_of(attempts())
