"""What stands in the rows, read when Prometheus asks: the same from every process of a site."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, Min
from prometheus_client.core import GaugeMetricFamily

from mediagen.engine.money import budget_reports
from mediagen.engine.providers import states
from mediagen.engine.work import presence
from mediagen.errors import ConfigurationError, Outcome
from mediagen.factory import chain_configs
from mediagen.models import Alert, GenerationAttempt, GenerationState, MediaAsset, MessageState, WebhookMessage
from mediagen.models.clock import db_now

OF_BUDGET = ("kind", "name", "period")
UNFINISHED = (GenerationState.PENDING, GenerationState.RUNNING, GenerationState.INTERRUPTED)


class Rows:
    """A collector of prometheus_client. A dozen queries; no label is a prompt, a person or an id but of a budget."""

    def describe(self) -> list[GaugeMetricFamily]:
        """So that nothing is read when it is registered."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from _queue()
        yield from _providers()
        yield from _workers()
        yield _alerts()
        unknown = GenerationAttempt.objects.filter(outcome=Outcome.UNKNOWN.value).to_settle().count()
        yield GaugeMetricFamily("mediagen_unknown_outcomes", "Attempts whose end nobody saw, not settled.", unknown)
        waiting = WebhookMessage.objects.filter(state=MessageState.PENDING).count()
        yield GaugeMetricFamily("mediagen_webhooks_waiting", "Messages not yet taken.", waiting)


def _queue() -> Iterator[GaugeMetricFamily]:
    assets = GaugeMetricFamily("mediagen_assets_unfinished", "Pictures asked for and not ready.", labels=["state"])
    unfinished = MediaAsset.objects.filter(generation_state__in=UNFINISHED).order_by()
    found = dict(unfinished.values_list("generation_state").annotate(number=Count("pk")))
    for state in UNFINISHED:
        assets.add_metric([state.value], found.get(state.value, 0))
    yield assets
    since = MediaAsset.objects.claimable().aggregate(since=Min("created_at"))["since"]
    age_s = 0.0 if since is None else max(0.0, (db_now() - since).total_seconds())
    yield GaugeMetricFamily("mediagen_queue_age_seconds", "How long the oldest waits that could be taken.", age_s)


def _providers() -> Iterator[GaugeMetricFamily]:
    is_open = GaugeMetricFamily(
        "mediagen_breaker_open", "1: not asked now; 2: not before somebody acts.", labels=["provider", "operation"]
    )
    live = GaugeMetricFamily(
        "mediagen_provider_live", "Whether it asks its service (1) or runs dry.", labels=["provider"]
    )
    left = GaugeMetricFamily("mediagen_budget_left_usd", "What a budget leaves.", labels=["kind", "name", "period"])
    used = GaugeMetricFamily(
        "mediagen_budget_used_ratio", "Spent and held of a budget.", labels=["kind", "name", "period"]
    )
    held = GaugeMetricFamily(
        "mediagen_budget_held_usd", "Held for requests under way.", labels=["kind", "name", "period"]
    )
    try:
        configs = [config for config in chain_configs() if config.enabled]
    except ConfigurationError:  # the alert says so
        configs = []
    for state in states(configs):
        live.add_metric([state.config.name], float(state.is_live))
        for circuit in state.circuits:
            stands = (1.0 if circuit.reopens_at else 2.0) if circuit.status == "open" else 0.0
            is_open.add_metric([state.config.name, circuit.operation], stands)
    for report in budget_reports(None, configs):
        labels = [report.kind, report.name, report.period]
        left.add_metric(labels, float(report.left))
        used.add_metric(labels, report.share)
        held.add_metric(labels, float(report.held))
    yield from (is_open, live, left, used, held)


def _workers() -> Iterator[GaugeMetricFamily]:
    here, gone = presence.workers()
    workers = GaugeMetricFamily("mediagen_workers", "generate_worker processes.", labels=["state"])
    workers.add_metric(["here"], len(here))
    workers.add_metric(["gone"], len(gone))
    yield workers


def _alerts() -> GaugeMetricFamily:
    alerts = GaugeMetricFamily("mediagen_alerts", "Conditions that need somebody.", labels=["code", "level"])
    numbers = Alert.objects.open().order_by().values_list("code", "level").annotate(number=Count("pk"))
    for code, level, number in numbers:
        alerts.add_metric([code, level], number)
    return alerts
