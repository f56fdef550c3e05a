"""A budget's day and month are the site's, also where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from mediagen.engine.money.ledger import Budget

DAY, MONTH, TOTAL = (Budget("library:x", Decimal(1), period) for period in ("day", "month", "total"))


def test_the_day_and_month_are_the_sites(settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    now = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)  # 05:00 on 1 December
    assert [budget.period_key(now) for budget in (DAY, MONTH, TOTAL)] == ["2026-12-01", "2026-12", ""]
    assert DAY.since(now) == MONTH.since(now) == datetime(2026, 11, 30, 15, tzinfo=UTC)
    assert DAY.next_begins(now) == datetime(2026, 12, 1, 15, tzinfo=UTC)
    assert MONTH.next_begins(now) == datetime(2026, 12, 31, 15, tzinfo=UTC)
    assert (TOTAL.since(now), TOTAL.next_begins(now), TOTAL.renewal(now)) == (None, None, "")
    assert DAY.renewal(now) == " The next day begins at 2026-12-02 00:00 (Asia/Tokyo)."


@pytest.mark.parametrize(
    ("day", "begins", "ends"),
    [((2026, 3, 29), (28, 23), (29, 22)), ((2026, 10, 25), (24, 22), (25, 23))],
)
def test_days_when_clocks_change_have_their_length(settings, day, begins, ends):
    settings.TIME_ZONE = "Europe/Berlin"
    now = datetime(*day, 12, tzinfo=UTC)
    year, month, _ = day
    assert DAY.since(now) == datetime(year, month, *begins, tzinfo=UTC)
    assert DAY.next_begins(now) == datetime(year, month, *ends, tzinfo=UTC)


def test_without_time_zones_it_is_the_sites_own_clock(settings):
    settings.USE_TZ = False
    now = datetime(2026, 11, 28, 23, 59)
    assert DAY.period_key(now) == "2026-11-28"
    assert DAY.next_begins(now) == datetime(2026, 11, 29)
