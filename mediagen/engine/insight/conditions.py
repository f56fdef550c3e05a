"""What somebody has to act on, read from the rows alone: nobody is asked, and nothing is written.

Each function yields findings of the codes that it is listed with in CONDITIONS. docs/operations.md has a chapter on
each code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

from django.db.models import Max, Min
from django.db.models.functions import Now

from mediagen import conf
from mediagen.engine.batches import lifecycle
from mediagen.engine.files import refusals
from mediagen.engine.insight.findings import Finding, Level
from mediagen.engine.money import BudgetReport, budget_reports
from mediagen.engine.providers import ProviderState, states
from mediagen.engine.work import presence
from mediagen.errors import ConfigurationError, Outcome
from mediagen.factory import chain_configs
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset, ProviderConfig, WebhookEndpoint
from mediagen.models.clock import db_now
from mediagen.models.costs import usd
from mediagen.models.ledger import SumOfMoney

logger = logging.getLogger("mediagen.engine")

ENDS_WITHIN_DAYS = 30
WAITS_TOO_LONG = timedelta(minutes=15)
PRICES_OF = timedelta(days=7)
LATEST = 50
"""attempts of a provider that are looked at for a price"""
MOST = 50
"""findings of one code"""


def providers() -> Iterator[Finding]:
    try:
        configs = [config for config in chain_configs() if config.enabled]
    except ConfigurationError as exc:
        yield Finding(
            code="provider_broken",
            level=Level.ERROR,
            what=f"No chain can be made: {exc}",
            next_step="Correct MEDIAGEN['PROVIDERS'] in the settings.",
            command="manage.py check",
        )
        return
    for state in states(configs):
        yield from _of_provider(state)


def _of_provider(state: ProviderState) -> Iterator[Finding]:
    name = state.config.name
    about, check = f"provider:{name}", f"manage.py check_providers {name} --live"
    if state.health == "broken":
        yield Finding(
            code="provider_broken",
            level=Level.ERROR,
            about=about,
            what=f"Provider '{name}' cannot be set up: {state.problem or 'its stored key fits no configured key.'}",
            next_step="Correct its entry in the admin, or enter its key again.",
            command=check,
        )
    elif state.credential.source == "broken":
        yield Finding(
            code="connection_lost",
            level=Level.ERROR,
            about=about,
            what=f"The account of provider '{name}' has withdrawn its consent, so nothing is sent there.",
            next_step="Connect it again in the admin, on the provider's page.",
            command=check,
        )
    refused = next((circuit for circuit in state.circuits if circuit.status == "open" and not circuit.reopens_at), None)
    if refused is not None:
        yield Finding(
            code="provider_refused",
            level=Level.ERROR,
            about=about,
            what=f"Provider '{name}' is not asked any more until somebody acts: {refused.reason}",
            next_step="Set it right at the service (key, credit, model) or in its entry; then close its breaker.",
            command=f"{check} --close",
        )
    end = state.model_end
    if end is not None and end.day is not None and state.is_live:
        left = (end.day - db_now().date()).days
        if left <= ENDS_WITHIN_DAYS:
            when = (
                f"ended {end.model} on {end.day}" if end.is_over else f"ends {end.model} on {end.day}, in {left} days"
            )
            yield Finding(
                code="model_ends",
                level=Level.ERROR if end.is_over else Level.WARNING,
                about=about,
                what=f"The vendor of provider '{name}' {when}.",
                next_step="Choose another model in its entry.",
                command="manage.py mediagen_setup",
            )


def budgets() -> Iterator[Finding]:
    try:
        configs = [config for config in chain_configs() if config.enabled]
    except ConfigurationError:  # said already
        configs = []
    for report in budget_reports(None, configs):
        if report.is_used_up or report.warns:
            yield _of_budget(report)


def _of_budget(report: BudgetReport) -> Finding:
    whose = f"{report.kind} '{report.name}'"
    period = {"day": "a day", "month": "a month"}.get(report.period, "in all")
    held = f", with {usd(report.held)} held for what is under way" if report.held else ""
    sums = f"{usd(report.spent)} of {usd(report.limit)} {period} are spent{held}"
    if report.is_used_up:
        return Finding(
            code="budget_used_up",
            level=Level.ERROR,
            about=f"{report.kind}:{report.key}",
            what=f"The budget of {whose} is used up: {sums}. Nothing is bought against it.",
            next_step=RAISE[report.kind],
            command=SHOW[report.kind],
        )
    return Finding(
        code="budget_warning",
        level=Level.WARNING,
        about=f"{report.kind}:{report.key}",
        what=f"The budget of {whose} has reached its warning of {usd(report.warning or Decimal(0))}: {sums}.",
        next_step=RAISE[report.kind],
        command=SHOW[report.kind],
    )


RAISE = {
    "library": "Raise the limit on the library's page in the admin, or wait for the next period.",
    "provider": "Raise the limit on the provider's page in the admin, or wait for the next period; others are asked.",
    "batch": "Go on with a higher --max-cost, or cancel what is left.",
}
SHOW = {"library": "", "provider": "", "batch": "manage.py mediagen_batches list"}


def batches() -> Iterator[Finding]:
    for batch in lifecycle.paused_by_itself()[:MOST]:
        yield Finding(
            code="batch_paused",
            level=Level.ERROR,
            about=f"batch:{batch.pk}",
            what=f"The batch '{batch.name}' has paused itself: {batch.state_reason}",
            next_step="Do away with the reason, then resume it. What is made stays made.",
            command=f"manage.py mediagen_batches resume {batch.pk}",
        )


def unknown_outcomes() -> Iterator[Finding]:
    waiting = GenerationAttempt.objects.filter(outcome=Outcome.UNKNOWN.value).to_settle()
    number, held = waiting.count(), waiting.aggregate(held=SumOfMoney("cost_held"))["held"]
    if number:
        attempts = "1 attempt has" if number == 1 else f"{number:,} attempts have"
        yield Finding(
            code="unknown_outcomes",
            level=Level.WARNING,
            what=f"{attempts} an outcome that nobody saw, and may have cost {usd(held or Decimal(0))}; they count in "
            "budgets until they are settled.",
            next_step="Look them up at the vendor, and say what was billed.",
            command="manage.py mediagen_settle",
        )


def workers() -> Iterator[Finding]:
    here, gone = presence.workers()
    for row in gone[:MOST]:
        yield Finding(
            code="worker_gone",
            level=Level.WARNING if here else Level.ERROR,
            about=f"worker:{row.name}",
            what=f"The worker on {row.host} ({row.name}) was last heard of at {row.seen_at:%Y-%m-%d %H:%M:%S %Z}, and "
            "did not say that it leaves. What it held is taken by others.",
            next_step="Start it again, and look into the host's log for why it ended (memory?).",
            command="manage.py generate_worker",
        )


def waiting_work() -> Iterator[Finding]:
    """Work that nobody takes: who makes pictures on this site is not running."""
    since = MediaAsset.objects.claimable().aggregate(since=Min("created_at"))["since"]
    if since is None or since > db_now() - WAITS_TOO_LONG:
        return
    held = MediaAsset.objects.filter(generation_state=GenerationState.RUNNING, lease_until__gte=Now())
    latest = GenerationAttempt.objects.aggregate(at=Max("started_at"))["at"]
    if held.exists() or (latest is not None and latest > db_now() - WAITS_TOO_LONG):
        return
    number = MediaAsset.objects.claimable().count()
    what = "1 picture waits" if number == 1 else f"{number:,} pictures wait"
    yield Finding(
        code="work_waits",
        level=Level.ERROR,
        what=f"{what}, the oldest since {since:%Y-%m-%d %H:%M %Z}, and nobody works on them.",
        next_step=_who_works(),
        command="manage.py generate_worker",
    )


def _who_works() -> str:
    if conf.get("TASK_BACKEND") is not None:
        return "Look whether the task engine's workers run; manage.py mediagen_maintain tells the engine once more."
    if not conf.get("RUN_IN_SERVER"):
        return "Start a worker: MEDIAGEN['RUN_IN_SERVER'] is False, so only workers make pictures."
    return "Whoever opens one of their pages sets the server to work; or run a worker."


def prices() -> Iterator[Finding]:
    """Price tables that the latest bill has proved too low. A short query for each entry, however many attempts."""
    since = db_now() - PRICES_OF
    for name in ProviderConfig.objects.enabled().in_chain_order().values_list("name", flat=True):
        latest = GenerationAttempt.objects.filter(provider_name=name, started_at__gte=since).order_by("-started_at")
        rows = latest.values_list("billable", "cost", "listed_price")[:LATEST]
        priced = ((c, price) for billable, c, price in rows if billable and c is not None and price is not None)
        cost, listed = next(priced, (Decimal(0), Decimal(0)))
        if cost <= listed:
            continue  # it was set right meanwhile, or never wrong
        yield Finding(
            code="price_too_low",
            level=Level.WARNING,
            about=f"provider:{name}",
            what=f"Provider '{name}' charged {usd(cost)} for a picture that its price table has at "
            f"{usd(listed)}. Budgets count with the higher price from now on.",
            next_step="Set the price in the provider's entry, or take a newer table.",
            command="manage.py mediagen_update_provider_data",
        )


def storage() -> Iterator[Finding]:
    """Only of this process: see `alerts` for what other processes know."""
    if why := refusals.present():
        yield storage_refuses(why)


def storage_refuses(why: str) -> Finding:
    return Finding(
        code="storage_refuses",
        level=Level.ERROR,
        what=f"The storage does not take pictures ({why.rstrip('.')}). Nothing further is bought; what was paid for is "
        "kept aside.",
        next_step="Make room, or give its account the right to write. Then it goes on by itself.",
        command="manage.py mediagen_doctor",
    )


def webhooks() -> Iterator[Finding]:
    for endpoint in WebhookEndpoint.objects.filter(enabled=False).exclude(disabled_reason="")[:MOST]:
        yield Finding(
            code="webhook_off",
            level=Level.WARNING,
            about=f"endpoint:{endpoint.pk}",
            what=f"The webhook endpoint '{endpoint.name}' was put off: {endpoint.disabled_reason}",
            next_step="Set its receiver right, put it on again in the admin, and replay what it missed.",
        )


CONDITIONS: tuple[tuple[Callable[[], Iterator[Finding]], tuple[str, ...]], ...] = (
    (providers, ("provider_broken", "connection_lost", "provider_refused", "model_ends")),
    (budgets, ("budget_warning", "budget_used_up")),
    (batches, ("batch_paused",)),
    (unknown_outcomes, ("unknown_outcomes",)),
    (workers, ("worker_gone",)),
    (waiting_work, ("work_waits",)),
    (prices, ("price_too_low",)),
    (storage, ("storage_refuses",)),
    (webhooks, ("webhook_off",)),
)

CODES = tuple(code for _, codes in CONDITIONS for code in codes)


def present() -> tuple[list[Finding], set[str]]:
    """(what is so now, codes of which nothing is known because looking failed). Two dozen short queries, however large
    the site. What fails is logged, and keeps nothing else from being looked at."""
    found: list[Finding] = []
    unknown: set[str] = set()
    for condition, codes in CONDITIONS:
        try:
            found += condition()
        except Exception:
            logger.exception("alerts: %s could not be looked at", condition.__name__)
            unknown.update(codes)
    return found, unknown
