"""The numbers of a period: of whom they are, what is in them, and that counting them takes few queries."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mediagen.engine.insight import statistics
from mediagen.engine.insight.buckets import LatencyClass, percentile, seconds_of
from mediagen.engine.insight.statistics import Period
from mediagen.engine.library.access import Access
from mediagen.errors import InvalidRequest
from mediagen.models import (
    ApiToken,
    GenerationAttempt,
    GenerationBatch,
    MediaLibrary,
    ProviderConfig,
    ProviderHealth,
    SpendAccount,
)
from tests.factories import GenerationAttemptFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def library():
    return MediaLibraryFactory(name="Fog")


def attempts(library, **values):
    return GenerationAttemptFactory(asset=None, library=library, **values)


def week(access=None):
    return statistics.overview(access, Period.named("7d"))


# ---------------------------------------------------------------------- what is counted


def test_a_period_without_attempts_says_so_and_invents_nothing():
    seen = week()

    assert (seen.total.asked, seen.total.images, seen.total.spent) == (0, 0, 0)
    assert seen.total.success_rate is None
    assert seen.total.p50_s is None
    assert seen.cost_per_approved is None
    assert (seen.providers, seen.breakers, seen.budgets) == ({}, (), ())
    assert len(seen.slots) == 8


def test_attempts_are_counted_by_outcome_and_provider(library):
    attempts(library, cost=Decimal("0.03"))
    attempts(library, cost=Decimal("0.04"), provider_name="flux")
    attempts(library, unavailable=True)
    attempts(library, refused=True)
    attempts(library, skipped=True)
    attempts(library, in_flight=True)

    total = week().total

    assert (total.asked, total.delivered, total.images) == (4, 2, 2)
    assert (total.skipped, total.under_way) == (1, 1)
    assert total.outcomes == {"succeeded": 2, "unavailable": 1, "refused": 1}
    assert total.success_rate == 0.5
    assert total.spent == Decimal("0.07")
    assert week().providers["flux"].spent == Decimal("0.04")
    assert list(week().providers) == ["sdxl", "flux"]


def test_what_is_not_known_is_apart_from_what_was_spent(library):
    attempts(library, unknown=True)
    attempts(library, cost=None, cost_held=Decimal("0.05"))
    attempts(library, cost=None, cost_held=None)
    attempts(library, unavailable=True, cost_held=Decimal("0.09"))

    total = week().total

    assert total.spent == 0
    assert total.possible == Decimal("0.09"), "0.04 of the unknown one and 0.05 of the one without a known cost"
    assert (total.unknown, total.unknown_cost) == (1, Decimal("0.04"))
    assert total.of_unknown_cost == 1


def test_cents_add_up_to_cents(library):
    for _ in range(30):
        attempts(library, cost=Decimal("0.10"))

    assert str(week().total.spent) == "3.000000"


def test_placeholders_are_in_no_other_number(library):
    attempts(library, dry_run=True, billable=False, cost=Decimal(0), latency_s=0.01)

    total = week().total

    assert total.placeholders == 1
    assert (total.asked, total.images, total.p50_s) == (0, 0, None)


def test_an_export_is_delivered_and_is_no_picture(library):
    attempts(library, operation="export_to_figma", provider_name="figma_api", cost=None)

    total = week().total

    assert (total.delivered, total.images) == (1, 0)


def test_latencies_are_those_of_what_was_delivered(library):
    for seconds in range(1, 101):
        attempts(library, latency_s=float(seconds))
    attempts(library, unavailable=True, latency_s=900.0)
    attempts(library, provider_name="flux", latency_s=0.25)

    seen = week()

    assert (seen.providers["sdxl"].p50_s, seen.providers["sdxl"].p95_s) == (50.0, 95.0)
    assert seen.providers["flux"].p50_s == 0.25
    assert seen.total.p50_s == 50.0


@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.29, 0.999, 1.0, 2.55, 7.33, 9.99, 10.0, 12.5, 99.9, 100.0, 431.0])
def test_a_latency_is_kept_to_three_digits(library, seconds):
    attempts(library, latency_s=seconds)

    found = GenerationAttempt.objects.annotate(latency=LatencyClass("latency_s")).get().latency

    assert seconds_of(found) == seconds


def test_a_percentile_is_the_nearest_rank():
    assert percentile({}, 0.5) is None
    assert percentile({5: 1}, 0.95) == 0.005
    assert percentile({1: 19, 900: 1}, 0.95) == 0.001
    assert percentile({1: 18, 900: 2}, 0.95) == 0.9


def test_the_cost_of_an_approved_picture_is_all_that_was_spent_for_them(library):
    asset = MediaAssetFactory(ready=True, library=library, status="approved")
    MediaAssetFactory(ready=True, library=library)
    MediaAssetFactory(placeholder=True, library=library, status="published")
    GenerationAttemptFactory(asset=asset, cost=Decimal("0.03"))
    attempts(library, cost=Decimal("0.05"))

    seen = week()

    assert seen.approved == 1
    assert seen.cost_per_approved == Decimal("0.08")


# ---------------------------------------------------------------------- when


def test_a_week_has_its_days_in_order_and_its_attempts_in_them(library):
    now = timezone.now()
    for days in (0, 1, 1, 6, 8):
        attempts(library, started_at=now - timedelta(days=days))

    slots = week().slots

    assert sum(slot.figures.images for slot in slots) == 4
    assert [slot.starts_at.date() for slot in slots] == [now.date() - timedelta(days=n) for n in range(7, -1, -1)]
    assert slots[-2].figures.images == 2
    assert slots[-2].providers["sdxl"].images == 2


def test_a_day_is_seen_by_the_hour(library):
    now = timezone.now()
    attempts(library, started_at=now - timedelta(hours=3))
    attempts(library, started_at=now - timedelta(hours=23, minutes=59))
    attempts(library, started_at=now - timedelta(hours=24, minutes=1))

    seen = statistics.overview(None, Period.named("24h"))

    assert seen.total.images == 2
    at = (now - timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    assert [slot.figures.images for slot in seen.slots if slot.starts_at == at] == [1]


def test_days_that_are_named_are_whole_days(library):
    for at in ("2026-02-28 23:59", "2026-03-01 00:00", "2026-03-02 23:59", "2026-03-03 00:00"):
        attempts(library, started_at=datetime.fromisoformat(at).replace(tzinfo=UTC))

    seen = statistics.overview(None, Period.between("2026-03-01", date(2026, 3, 2)))

    assert seen.total.images == 2
    assert (seen.period.name, seen.period.step) == ("custom", "hour")
    assert len(seen.slots) == 48


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": "9d"}, "period"),
        ({"first": "yesterday"}, "from"),
        ({"first": "2026-03-02", "last": "2026-03-01"}, "to"),
        ({"first": "2024-03-02", "last": "2026-03-01"}, "to"),
        ({"first": "2026-03-02", "last": "2026-02-30"}, "to"),
        ({"first": "9999-12-31"}, "from"),
    ],
)
def test_a_period_that_cannot_be_is_refused(arguments, field):
    with pytest.raises(InvalidRequest) as caught:
        Period.asked(**arguments)

    assert caught.value.field == field


def test_one_day_is_enough_to_name():
    assert Period.asked(first="2026-03-01") == Period.between("2026-03-01", "2026-03-01")
    assert Period.asked().name == "7d"


# ---------------------------------------------------------------------- who


def test_what_is_in_a_hidden_library_is_in_no_number(library):
    hidden = MediaLibraryFactory(owner=UserFactory(), budget_limit=Decimal(5))
    attempts(library, cost=Decimal("0.03"))
    attempts(hidden, cost=Decimal(7), latency_s=90.0, provider_name="flux")
    attempts(None, unknown=True)
    MediaAssetFactory(ready=True, library=hidden, status="approved")

    seen = week(Access(UserFactory(may=["view_mediaasset"])))

    assert seen.total.spent == Decimal("0.03")
    assert list(seen.providers) == ["sdxl"]
    assert (seen.total.unknown, seen.total.p95_s, seen.approved, seen.budgets) == (0, 4.0, 0, ())
    owner = Access(UserFactory(may=["view_mediaasset", "view_all_libraries"]))
    assert week(owner).total.spent == Decimal("7.03")
    assert week(owner).total.unknown == 1


def test_without_the_right_to_read_there_is_nothing(library):
    attempts(library)

    assert week(Access(UserFactory())).total.asked == 0


def test_a_token_of_one_library_counts_that_one(library):
    attempts(library)
    attempts(MediaLibraryFactory(), provider_name="flux")
    user = UserFactory(is_superuser=True)
    token = ApiToken(user=user, scopes=["read"], library=library)

    assert list(week(Access(user, token)).providers) == ["sdxl"]


# ---------------------------------------------------------------------- breakers and budgets


def broken(name="sdxl", **changes):
    config = ProviderConfig.objects.get(name=name)
    return ProviderHealth.objects.create(
        provider_name=name,
        model_name=statistics.states([config])[0].model,
        operation="generate_image",
        **{
            "state": "open",
            "failures": 5,
            "open_until": timezone.now() + timedelta(minutes=5),
            "reason": "503",
            **changes,
        },
    )


def test_open_breakers_are_for_those_who_may_see_providers():
    broken()
    broken("flux", state="closed", failures=1, open_until=None)

    assert [state.config.name for state in week().breakers] == ["sdxl"]  # and not flux, which only failed of late
    assert week(Access(UserFactory(may=["view_mediaasset"]))).breakers == ()
    operator = Access(UserFactory(may=["view_mediaasset", "view_providerconfig"]))
    assert week(operator).breakers[0].circuits[0].status == "open"


def test_budgets_say_what_is_used_of_them(library):
    MediaLibrary.objects.filter(pk=library.pk).update(budget_limit=10, budget_warning=8)
    ProviderConfig.objects.filter(name="flux").update(budget_limit=2, budget_period="total")
    batch = GenerationBatch.objects.create(name="Spring", fingerprint="f", options={"max_cost": "4"}, state="running")
    done = GenerationBatch.objects.create(name="Done", fingerprint="g", options={"max_cost": "4"}, state="finished")
    month = f"{timezone.now():%Y-%m}"
    SpendAccount.objects.create(owner=f"library:{library.pk}", period=month, limit=10, spent=8, held=1)
    SpendAccount.objects.create(owner=f"library:{library.pk}", period="2020-01", limit=10, spent=10)
    SpendAccount.objects.create(owner=f"batch:{batch.pk}", limit=4, spent=4)
    SpendAccount.objects.create(owner=f"batch:{done.pk}", limit=4, spent=4)
    attempts(library, provider_name="flux", cost=Decimal("0.50"))

    found = {report.name: report for report in week().budgets}

    assert list(found) == ["Spring", "Fog", "flux"]
    assert found["Spring"].is_used_up
    assert (found["Fog"].left, found["Fog"].share, found["Fog"].warns) == (Decimal(1), 0.9, True)
    assert found["flux"].spent == Decimal("0.50"), "counted from the attempts until an account is open"
    assert not found["flux"].warns


def test_an_overview_takes_few_queries_whatever_there_is(library):
    MediaLibrary.objects.filter(pk=library.pk).update(budget_limit=10)
    GenerationBatch.objects.create(name="Spring", fingerprint="f", options={"max_cost": "4"}, state="running")
    SpendAccount.objects.create(owner=f"library:{library.pk}", period=f"{timezone.now():%Y-%m}", limit=10)
    others = MediaLibraryFactory.create_batch(5, budget_limit=10)  # of whom no account is open yet
    attempts(others[0], cost=Decimal("0.25"))
    broken()
    for number in range(20):
        attempts(library, provider_name=f"provider{number}", started_at=timezone.now() - timedelta(days=number))
    access = Access(UserFactory(may=["view_mediaasset", "view_providerconfig"]))
    access.user.get_all_permissions()

    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = statistics.overview(access, Period.named("30d"))

    # One more than without libraries of which nothing was asked under a limit, and one for what may be seen of them.
    assert len(queries) <= 9, [query["sql"] for query in queries]
    assert {report.name: report.spent for report in found.budgets}[others[0].name] == Decimal("0.25")


# ---------------------------------------------------------------------- by provider


def test_providers_are_seen_over_a_day_and_a_month(library):
    now = timezone.now()
    attempts(library, latency_s=2.0, started_at=now - timedelta(hours=1))
    attempts(library, latency_s=8.0, started_at=now - timedelta(days=9))
    attempts(library, unavailable=True, started_at=now - timedelta(days=9))
    attempts(library, provider_name="flux", started_at=now - timedelta(days=31))

    with CaptureQueriesContext(connection) as queries:
        found = statistics.by_provider()

    assert len(queries) == 2
    day, month = found["sdxl"]["24h"], found["sdxl"]["30d"]
    assert (day.asked, day.success_rate, day.p95_s, day.spent) == (1, 1.0, 2.0, Decimal("0.03"))
    assert (month.asked, month.delivered, month.p95_s, month.spent) == (3, 2, 8.0, Decimal("0.06"))
    assert month.last_delivered_at == now - timedelta(hours=1)
    assert "flux" not in found
