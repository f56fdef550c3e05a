"""Limits hold whatever happens, and nothing is counted twice or forgotten."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.db import connection

from mediagen.engine import get_media_engine
from mediagen.engine.database.hops import in_database, together
from mediagen.engine.generation import recorder
from mediagen.engine.money import ledger
from mediagen.engine.money.ledger import Budget, BudgetUsedUp
from mediagen.errors import GenerationFailed, Outcome
from mediagen.models import GenerationAttempt, MediaAsset, MediaLibrary, ProviderConfig, SpendAccount
from mediagen.models.costs import cost_of
from mediagen.types import AttemptState, utcnow
from tests.engine.work.working import attempt_states, commits_fail
from tests.factories import GenerationAttemptFactory, MediaAssetFactory, MediaLibraryFactory
from tests.servers import Fault

engine = get_media_engine()

TEN_CENTS = Decimal("0.10")
BATCH = "batch:01a20428-83b8-7a59-b9ba-507ba556bfa4"
LIBRARY = "library:01a20428-83b8-7a59-b9ba-507ba556bfa5"


def account(limit="1", **values) -> SpendAccount:
    return SpendAccount.objects.create(owner=BATCH, limit=None if limit is None else Decimal(limit), **values)


def attempt(**values) -> GenerationAttempt:
    """Not saved: as the recorder has it before the request leaves."""
    return GenerationAttemptFactory.build(asset=None, library=None, in_flight=True, **values)


def now_of(row: SpendAccount) -> tuple[Decimal, Decimal]:
    row.refresh_from_db()
    return row.held, row.spent


@pytest.mark.django_db
class TestAccounts:
    @pytest.mark.parametrize(
        ("limit", "price", "times"),
        [("0.30", "0.10", 3), ("0.90", "0.03", 30), ("0.000003", "0.000001", 3), ("7", "0.07", 100), ("0", "0.01", 0)],
    )
    @pytest.mark.parametrize("settled", [False, True])
    def test_hold_as_much_as_the_limit_and_not_a_cent_more(self, limit, price, times, settled):
        row, amount = account(limit), Decimal(price)
        count = 0
        while SpendAccount.objects.hold(row.pk, amount):
            count += 1
            if settled:
                SpendAccount.objects.move(row.pk, held=-amount, spent=amount)
        held, spent = now_of(row)
        assert count == times
        assert (held, spent) == ((0, times * amount) if settled else (times * amount, 0))

    def test_what_costs_nothing_fits_a_limit_that_is_reached(self):
        row = account("0.10", spent=TEN_CENTS)
        assert SpendAccount.objects.hold(row.pk, Decimal(0))
        assert not SpendAccount.objects.hold(row.pk, Decimal("0.000001"))

    def test_without_a_limit_everything_is_held(self):
        row = account(None)
        assert SpendAccount.objects.hold(row.pk, Decimal(10**6))
        assert row.left is None

    def test_what_is_left_is_never_less_than_nothing(self):
        assert account("1", spent=Decimal(2)).left == 0


@pytest.mark.django_db
class TestHold:
    def test_an_unknown_price_is_refused_where_there_is_a_limit(self):
        row = attempt(provider_name="sdxl", model_name="new")
        with pytest.raises(BudgetUsedUp, match=r"price of sdxl new is not known.*prices of ProviderConfig 'sdxl'"):
            ledger.hold(row, [Budget(BATCH, Decimal(100))], None)
        assert not SpendAccount.objects.exists()

    def test_and_taken_where_there_is_none(self):
        row = attempt()
        ledger.hold(row, [], None)
        assert (row.cost_held, row.accounts) == (None, [])

    def test_all_accounts_or_none(self):
        row = attempt()
        budgets = [Budget(LIBRARY, Decimal(1)), Budget("provider:b", Decimal("0.05"))]
        with pytest.raises(BudgetUsedUp, match=r"provider:b has \$0.05 left of \$0.05"):
            recorder._begin([(row, budgets, TEN_CENTS)])
        assert not GenerationAttempt.objects.exists()
        assert not SpendAccount.objects.exists()

    def test_it_is_said_what_is_left_and_what_to_do(self):
        account("0.50", spent=Decimal("0.45"))
        with pytest.raises(BudgetUsedUp) as refused:
            ledger.hold(attempt(), [Budget(BATCH, Decimal("0.5"), what_to_do=" Raise it.")], TEN_CENTS)
        assert str(refused.value) == f"{BATCH} has $0.05 left of $0.5, and sdxl may cost $0.1. Raise it."
        assert not refused.value.may_pass

    def test_what_others_hold_may_come_free(self):
        account("0.50", spent=Decimal("0.35"), held=TEN_CENTS)
        with pytest.raises(BudgetUsedUp) as refused:
            ledger.hold(attempt(), [Budget(BATCH, Decimal("0.5"))], TEN_CENTS)
        assert refused.value.may_pass

    def test_a_budget_that_is_changed_counts_at_once(self):
        row = account("0.10", spent=TEN_CENTS)
        ledger.hold(attempt(), [Budget(BATCH, Decimal("0.2"))], TEN_CENTS)
        assert now_of(row) == (TEN_CENTS, TEN_CENTS)
        with pytest.raises(BudgetUsedUp):
            ledger.hold(attempt(), [Budget(BATCH, Decimal("0.1"))], TEN_CENTS)

    def test_an_older_limit_does_not_replace_the_accounts_own(self):
        """A worker may know a batch's limit from before it was lowered."""
        row = account("0.10")
        ledger.hold(attempt(), [Budget(BATCH, Decimal(100), follows_account=True)], TEN_CENTS)
        with pytest.raises(BudgetUsedUp, match=r"left of \$0.1,"):
            ledger.hold(attempt(), [Budget(BATCH, Decimal(100), follows_account=True)], TEN_CENTS)
        assert now_of(row) == (TEN_CENTS, 0)


@pytest.mark.django_db
class TestPeriods:
    def test_each_has_its_account(self):
        now = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
        keys = [Budget("provider:x", Decimal(1), period).period_key(now) for period in ("day", "month", "total")]
        assert keys == ["2026-11-22", "2026-11", ""]

    @pytest.mark.parametrize(("period", "counted"), [("day", "0.10"), ("month", "0.10"), ("total", "0.30")])
    def test_a_budget_set_later_begins_with_what_the_period_has_cost(self, period, counted):
        long_ago = utcnow() - timedelta(days=40)
        GenerationAttemptFactory(provider_name="flux", cost="0.20", started_at=long_ago)
        GenerationAttemptFactory(provider_name="flux", cost="0.10")
        GenerationAttemptFactory(provider_name="sdxl", cost="5")
        assert ledger.open_account(Budget("provider:flux", Decimal(9), period)).spent == Decimal(counted)

    def test_it_counts_what_is_under_way_and_what_may_have_been_bought(self):
        GenerationAttemptFactory(provider_name="flux", cost="0.01")
        GenerationAttemptFactory(provider_name="flux", unknown=True, cost_held="0.02")
        GenerationAttemptFactory(provider_name="flux", in_flight=True, cost_held="0.04")
        GenerationAttemptFactory(provider_name="flux", unavailable=True, cost_held="0.08")
        GenerationAttemptFactory(provider_name="flux", skipped=True)
        GenerationAttemptFactory(provider_name="flux", cost="0.16", billable=False)
        account = ledger.open_account(Budget("provider:flux", Decimal(9)))
        assert (account.held, account.spent) == (Decimal("0.04"), Decimal("0.03"))

    def test_a_library_counts_its_own_and_keeps_counting_deleted_pictures(self):
        library = MediaLibraryFactory()
        asset = MediaAssetFactory(library=library)
        GenerationAttemptFactory(asset=asset, cost="0.25")
        GenerationAttemptFactory(cost="7")
        asset.delete()
        assert ledger.open_account(Budget(f"library:{library.pk}", Decimal(9))).spent == Decimal("0.25")

    def test_a_new_day_begins_with_nothing(self):
        budget = Budget("provider:sdxl", TEN_CENTS, "day")
        ledger.hold(attempt(), [budget], TEN_CENTS)
        with pytest.raises(BudgetUsedUp):
            ledger.hold(attempt(), [budget], TEN_CENTS)
        SpendAccount.objects.update(period="2026-01-01")  # the account is yesterday's
        ledger.hold(attempt(), [budget], TEN_CENTS)
        assert sorted(SpendAccount.objects.values_list("held", flat=True)) == [TEN_CENTS, TEN_CENTS]


@pytest.mark.django_db
class TestSettle:
    @pytest.mark.parametrize(
        ("state", "outcome", "cost", "counts"),
        [
            (AttemptState.SUCCEEDED, Outcome.SUCCEEDED, "0.07", "0.07"),
            (AttemptState.SUCCEEDED, Outcome.SUCCEEDED, None, "0.10"),
            (AttemptState.ADOPTED, Outcome.SUCCEEDED, None, "0.10"),
            (AttemptState.UNKNOWN, Outcome.UNKNOWN, None, "0.10"),
            (AttemptState.UNKNOWN, Outcome.UNKNOWN, "0.04", "0.04"),
            (AttemptState.FAILED, Outcome.BAD_RESPONSE, None, "0.10"),
            (AttemptState.FAILED, Outcome.ERROR, None, "0.10"),
            (AttemptState.FAILED, Outcome.REFUSED, "0.03", "0.03"),
            (AttemptState.FAILED, Outcome.REFUSED, None, "0"),
            (AttemptState.FAILED, Outcome.UNAVAILABLE, None, "0"),
            (AttemptState.FAILED, Outcome.RATE_LIMITED, None, "0"),
            (AttemptState.FAILED, Outcome.UNSUPPORTED, None, "0"),
        ],
    )
    def test_each_end_counts_what_it_costs(self, state, outcome, cost, counts):
        row = attempt()
        recorder._begin([(row, [Budget(BATCH, Decimal(1))], TEN_CENTS)])
        row.state, row.outcome, row.cost = state.value, outcome.value, None if cost is None else Decimal(cost)
        recorder._end([row])
        held, spent = now_of(SpendAccount.objects.get())
        assert (held, spent) == (0, Decimal(counts))
        assert cost_of(GenerationAttempt.objects.all()).counts == Decimal(counts), "in SQL it is the same"
        row.refresh_from_db()
        assert row.booked == Decimal(counts)

    def test_once_however_often_it_is_called(self):
        row = attempt()
        recorder._begin([(row, [Budget(BATCH, Decimal(1))], TEN_CENTS)])
        row.state, row.cost = "succeeded", TEN_CENTS
        for _ in range(3):
            recorder._end([row])
        assert now_of(SpendAccount.objects.get()) == (0, TEN_CENTS)

    def test_a_row_read_anew_settles_what_it_holds(self):
        row = attempt()
        recorder._begin([(row, [Budget(BATCH, Decimal(1)), Budget("provider:p", Decimal(1))], TEN_CENTS)])
        other = GenerationAttempt.objects.get()
        other.state, other.outcome = "unknown", "unknown"
        recorder._end([other])
        assert [now_of(a) for a in SpendAccount.objects.all()] == [(0, TEN_CENTS)] * 2


@pytest.mark.django_db(transaction=True)
class TestADatabaseThatGoesAway:
    """The answer to a commit may be lost before or after the commit: both look the same from here."""

    @pytest.mark.parametrize("although_done", [False, True])
    def test_money_is_held_once(self, monkeypatch, although_done):
        row = attempt()
        SpendAccount.objects.create(owner=BATCH, limit=Decimal(1))
        with commits_fail(monkeypatch, although_done=although_done):
            async_to_sync(together)(recorder._begin, (row, [Budget(BATCH, Decimal(1))], TEN_CENTS))
        assert now_of(SpendAccount.objects.get()) == (TEN_CENTS, 0)
        assert GenerationAttempt.objects.get().accounts == [SpendAccount.objects.get().pk]

    @pytest.mark.parametrize("although_done", [False, True])
    def test_and_settled_once(self, monkeypatch, although_done):
        row = attempt()
        recorder._begin([(row, [Budget(BATCH, Decimal(1))], TEN_CENTS)])
        row.state, row.cost = "succeeded", TEN_CENTS
        with commits_fail(monkeypatch, times=2, although_done=although_done):
            async_to_sync(together)(recorder._end, row)
        assert now_of(SpendAccount.objects.get()) == (0, TEN_CENTS)
        assert (GenerationAttempt.objects.get().state, GenerationAttempt.objects.get().booked) == (
            "succeeded",
            TEN_CENTS,
        )

    def test_an_outer_transaction_is_not_repeated_by_us(self, monkeypatch):
        calls = []

        def failing():
            calls.append(connection.in_atomic_block)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            async_to_sync(in_database)(failing)
        assert len(calls) == 1


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_they_hold_together_no_more_than_the_limit(self):
        """Eight threads, each with its own connection, and the account is not there yet."""
        budgets = [Budget(LIBRARY, Decimal(5)), Budget(BATCH, Decimal("1.30"))]
        begin = threading.Barrier(8)
        bought, refused = [], []

        def buy():
            begin.wait()
            for _ in range(4):
                row = attempt()
                try:
                    async_to_sync(together)(recorder._begin, (row, budgets, TEN_CENTS))
                except BudgetUsedUp as exc:
                    refused.append(exc)
                    continue
                bought.append(row)
                row.state, row.cost = "succeeded", TEN_CENTS
                async_to_sync(together)(recorder._end, row)
            connection.close()

        threads = [threading.Thread(target=buy) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(bought) == 13
        assert len(refused) == 19
        assert {a.owner: now_of(a) for a in SpendAccount.objects.all()} == {
            BATCH: (0, Decimal("1.30")),
            LIBRARY: (0, Decimal("1.30")),
        }


@pytest.mark.django_db
class TestThroughTheEngine:
    def test_a_librarys_budget_is_a_wall(self, live):
        (server,) = live("sdxl")
        library = MediaLibrary.objects.create(name="Small", budget_limit="0.07")
        for _ in range(2):
            assert engine.generate_asset_sync("x", 512, 512, library.pk).cost == Decimal("0.03")
        with pytest.raises(GenerationFailed, match=r"has \$0.01 left of \$0.07.*Raise the budget of library 'Small'"):
            engine.generate_asset_sync("x", 512, 512, library.pk)
        assert len(server.purchases) == 2
        assert attempt_states(MediaAsset.objects.first()) == [("skipped", "skipped")]
        other = MediaLibrary.objects.create(name="Other")
        assert engine.generate_asset_sync("x", 512, 512, other.pk).is_ready

    def test_raised_it_goes_on(self, live):
        live("sdxl")
        library = MediaLibrary.objects.create(name="Small", budget_limit="0.01")
        with pytest.raises(GenerationFailed):
            engine.generate_asset_sync("x", 512, 512, library.pk)
        MediaLibrary.objects.update(budget_limit="0.03")
        assert engine.regenerate_asset_sync(MediaAsset.objects.get().pk).is_ready

    def test_a_providers_budget_sends_on_to_the_next(self, live):
        sdxl, openai = live("sdxl", "openai_images")
        ProviderConfig.objects.filter(name="sdxl").update(budget_limit="0.03", budget_period="day")
        served = [engine.generate_asset_sync("x", 1024, 1024).provider_name for _ in range(3)]
        assert served == ["sdxl", "openai_images", "openai_images"]
        assert (len(sdxl.purchases), len(openai.purchases)) == (1, 2)

    def test_the_operators_own_price_counts(self, live):
        live("sdxl", prices={"core": "0.50"})
        library = MediaLibrary.objects.create(name="Small", budget_limit="0.60")
        engine.generate_asset_sync("x", 512, 512, library.pk)
        with pytest.raises(GenerationFailed, match=r"may cost \$0.5\."):
            engine.generate_asset_sync("x", 512, 512, library.pk)

    def test_an_unknown_end_counts_as_bought(self, live):
        (server,) = live("sdxl")
        server.fault("submit", Fault.reset_after_body_read())
        library = MediaLibrary.objects.create(name="Small", budget_limit="0.05")
        with pytest.raises(GenerationFailed):
            engine.generate_asset_sync("x", 512, 512, library.pk)
        assert SpendAccount.objects.get().spent == Decimal("0.03")
        with pytest.raises(GenerationFailed, match=r"has \$0.02 left"):
            engine.generate_asset_sync("x", 512, 512, library.pk)

    def test_a_placeholder_is_no_answer_to_a_budget(self, live):
        live("sdxl")
        ProviderConfig.objects.filter(name="noop_media").update(enabled=True, position=9)
        library = MediaLibrary.objects.create(name="Small", budget_limit="0.01")
        with pytest.raises(GenerationFailed, match="no answer to a budget"):
            engine.generate_asset_sync("x", 512, 512, library.pk)

    def test_a_dry_run_needs_no_money(self):
        library = MediaLibrary.objects.create(name="Small", budget_limit="0")
        assert engine.generate_asset_sync("x", 16, 16, library.pk).is_placeholder
        assert not SpendAccount.objects.exists()
