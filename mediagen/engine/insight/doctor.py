"""Everything that is wrong on a site or will be, each with what to do. Nothing that is billed is asked for.

`examine` gathers what the rows show (`conditions`), Django's system checks of ours, and what only a try can show: the
storage, the providers, the task engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from asgiref.sync import async_to_sync
from django.core import checks
from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max, Min
from django.db.models.functions import Now

import mediagen.engine.insight.conditions as conditions
from mediagen import conf
from mediagen.engine.dispatch import task_engine
from mediagen.engine.files import probe, storage
from mediagen.engine.insight.findings import Finding, Level, sorted_findings
from mediagen.engine.providers import credential_state, health
from mediagen.engine.work import presence
from mediagen.errors import ConfigurationError
from mediagen.factory import chain_configs
from mediagen.models import MessageState, ProviderConfig, WebhookMessage
from mediagen.models.clock import db_now, from_db
from mediagen.models.routing import alias, connection
from mediagen.providers.registry import settings_options
from mediagen.types import utcnow

logger = logging.getLogger("mediagen.engine")

CLOCKS_APART_S = 5.0
"""leases and signed addresses are sure to go wrong when the clocks of machines are that far apart"""
OVERDUE = timedelta(hours=1)


def examine(*, ask: bool = True) -> list[Finding]:
    """What is found, the gravest first; [] would be a site of which nothing can be said. `ask=False` leaves out what
    waits for others: providers, the task engine, a probe of the storage."""
    found = list(_database())
    if any(finding.level is Level.ERROR for finding in found):
        return found  # nothing else could be looked at
    found += conditions.present()[0]
    known = {finding.about for finding in found}
    tries: list[Callable[[], Iterator[Finding]]] = [_checks, _constraints, _clock, _put_aside, _who_works, _webhooks]
    if ask:
        tries += [_storage, _task_engine]
        tries.append(partial(_providers, known))
    tries.append(_dry)
    for look in tries:
        found += _looked(look)
    if any(finding.code == "model_ends" for finding in found):  # which says the same
        found = [finding for finding in found if finding.code != "mediagen.W031"]
    return sorted_findings(found)


def _looked(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(look())
    except Exception as exc:  # one thing that cannot be looked at is itself worth saying
        what = getattr(look, "func", look).__name__.strip("_").replace("_", " ")
        logger.exception("the doctor could not examine: %s", what)
        return [
            Finding(
                code="not_examined",
                level=Level.WARNING,
                about=what,
                what=f"The {what} could not be examined: {type(exc).__name__}.",
                next_step="The log says more.",
            )
        ]


# ---------------------------------------------------------------------- the database


def _database() -> Iterator[Finding]:
    try:
        connections[alias()].ensure_connection()
        executor = MigrationExecutor(connections[alias()])
        ours = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "mediagen"]
        plan = executor.migration_plan(ours)
        waiting = [migration.name for migration, _ in plan if migration.app_label == "mediagen"]
    except Error as exc:
        yield Finding(
            code="database_away",
            level=Level.ERROR,
            # The text of a driver's error may hold the address with its password.
            what=f"The database {alias()!r} does not answer ({type(exc).__name__}).",
            next_step="Start it, or correct settings.DATABASES.",
            command="manage.py dbshell",
        )
        return
    if waiting:
        yield Finding(
            code="not_migrated",
            level=Level.ERROR,
            what=f"The database lacks {len(waiting)} migrations of mediagen, from {waiting[0]} on.",
            next_step="Run them.",
            command="manage.py migrate",
        )


def _constraints() -> Iterator[Finding]:
    """Those that our promises rest on, and that a restored or copied database may have lost."""
    from django.apps import apps

    missing = []
    with connection.cursor() as cursor:
        for model in apps.get_app_config("mediagen").get_models():
            if model._meta.proxy or not model._meta.constraints:
                continue
            there = connection.introspection.get_constraints(cursor, model._meta.db_table)
            names = {name.lower() for name in there}
            missing += [one.name for one in model._meta.constraints if one.name.lower() not in names]
    if missing:
        yield Finding(
            code="constraint_missing",
            level=Level.ERROR,
            what=f"The database has lost constraints: {', '.join(missing)}. Two rows could become what must be one.",
            next_step="Make them again from the migrations, or restore the database with its constraints.",
            command="manage.py sqlmigrate mediagen 0001",
        )


def _clock() -> Iterator[Finding]:
    at = from_db(ProviderConfig.objects.aggregate(at=Max(Now()))["at"])
    apart_s = 0.0 if at is None else (utcnow() - at).total_seconds()
    if abs(apart_s) > CLOCKS_APART_S:
        ahead = "ahead of" if apart_s > 0 else "behind"
        yield Finding(
            code="clocks_apart",
            level=Level.WARNING,
            what=f"This process's clock is {abs(apart_s):.0f} s {ahead} the database's.",
            next_step="Have both machines take their time from NTP.",
            command="timedatectl status",
        )


# ---------------------------------------------------------------------- settings

LEVELS = {checks.WARNING: Level.WARNING, checks.INFO: Level.NOTE, checks.DEBUG: Level.NOTE}


def _checks() -> Iterator[Finding]:
    """Django's system checks of ours, those of `--deploy` and `--database` with them."""
    told = checks.run_checks(tags=["mediagen"], databases=[alias()], include_deployment_checks=True)
    for message in told:
        yield Finding(
            code=str(message.id),
            level=LEVELS.get(message.level, Level.ERROR),
            what=str(message.msg),
            next_step=str(message.hint or ""),
            command="manage.py check --deploy --database default",
        )


# ---------------------------------------------------------------------- files


def _storage() -> Iterator[Finding]:
    if why := probe.why_not():
        yield Finding(
            code="storage_refuses",
            level=Level.ERROR,
            what=f"The storage {conf.get('STORAGE')!r} failed a try with a small file. {why}",
            next_step="Make room, or give its account the right to write, read and delete.",
        )


def _put_aside() -> Iterator[Finding]:
    folder = storage.rescue_folder()
    number = sum(1 for file in folder.iterdir() if not file.name.startswith(".")) if folder.is_dir() else 0
    if number:
        pictures = "1 paid picture lies" if number == 1 else f"{number:,} paid pictures lie"
        yield Finding(
            code="pictures_put_aside",
            level=Level.WARNING,
            what=f"{pictures} in {folder} on this machine, which the storage did not take.",
            next_step='Make their assets again ("Try again"): they are taken from there, and nothing is bought.',
        )


# ---------------------------------------------------------------------- who works


def _who_works() -> Iterator[Finding]:
    here, _gone = presence.workers()
    if here:
        names = ", ".join(f"{row.host} ({row.name.split(':')[2]})" for row in here[:10])
        yield Finding(
            code="workers",
            level=Level.NOTE,
            what=f"{len(here)} worker{'s' if len(here) > 1 else ''} said a moment ago that they are there: {names}.",
        )
    elif conf.get("TASK_BACKEND") is None and not conf.get("RUN_IN_SERVER"):
        yield Finding(
            code="nobody_works",
            level=Level.ERROR,
            what="Nobody makes pictures: MEDIAGEN['RUN_IN_SERVER'] is False, there is no task engine and no worker.",
            next_step="Start a worker, and have the system start it again when it ends. See docs/deploying.md.",
            command="manage.py generate_worker",
        )


def _task_engine() -> Iterator[Finding]:
    """By a message about no assets, which its worker throws away."""
    if conf.get("TASK_BACKEND") is None:
        return
    try:
        task_engine.send("generate", [])
    except Exception as exc:  # whatever the engine raises
        yield Finding(
            code="task_engine_away",
            level=Level.ERROR,
            what=f"The task engine {conf.get('TASK_BACKEND')!r} takes no messages ({task_engine.reason(exc)}). What is "
            "asked for waits.",
            next_step="Start its broker. Then manage.py mediagen_maintain tells it of all that waits.",
            command="manage.py mediagen_maintain",
        )


def _webhooks() -> Iterator[Finding]:
    since = WebhookMessage.objects.due().aggregate(since=Min("next_try_at"))["since"]
    if since is not None and db_now() - since > OVERDUE:
        number = WebhookMessage.objects.due().count()
        yield Finding(
            code="webhooks_late",
            level=Level.WARNING,
            what=f"{number:,} webhook messages are due since {since:%Y-%m-%d %H:%M %Z}: nobody sends them.",
            next_step="Run a worker, or the maintenance from cron.",
            command="manage.py mediagen_maintain",
        )
    if lost := WebhookMessage.objects.filter(state=MessageState.FAILED).count():
        yield Finding(
            code="webhooks_given_up",
            level=Level.NOTE,
            what=f"{lost:,} webhook messages were given up.",
            next_step="Once their receivers answer, replay them in the admin.",
        )


# ---------------------------------------------------------------------- providers


def _providers(known: set[str]) -> Iterator[Finding]:
    """What asking them without cost shows, beside what is `known` of them from the rows."""
    try:
        reports = async_to_sync(health.check_providers)()
    except ConfigurationError:  # said already
        return
    enabled = [report for report in reports if report.enabled and not report.placeholder]
    for report in enabled:
        if report.dry_run or not report.configured or report.healthy or f"provider:{report.name}" in known:
            continue
        yield Finding(
            code="provider_unhealthy",
            level=Level.ERROR if not any(other.can_serve for other in enabled) else Level.WARNING,
            about=f"provider:{report.name}",
            what=f"Provider '{report.name}' does not answer as it should: {report.detail}",
            next_step="Correct its entry, or wait until its service is back; meanwhile the next one is asked.",
            command=f"manage.py check_providers {report.name} --live",
        )
    for report in enabled:
        waits = [one for one in report.breakers if one.until]
        if waits and f"provider:{report.name}" not in known:
            yield Finding(
                code="provider_cooling",
                level=Level.WARNING,
                about=f"provider:{report.name}",
                what=f"Provider '{report.name}' is not asked until {waits[0].until}: {waits[0].reason}",
                next_step="Nothing: then one picture is tried there. Others are asked meanwhile.",
                command=f"manage.py check_providers {report.name}",
            )
    live = [report for report in enabled if not report.dry_run]
    if live and not any(report.configured for report in live):
        yield Finding(
            code="no_key",
            level=Level.ERROR,
            what="The site is live, and no enabled provider has a key: every picture is a placeholder or a failure.",
            next_step=live[0].detail,
            command="manage.py mediagen_setup",
        )


def _dry() -> Iterator[Finding]:
    """What answers with placeholders here, and which rule says so."""
    try:
        configs = [config for config in chain_configs() if config.enabled]
    except ConfigurationError:  # said already
        return
    by_rule: dict[str, list[str]] = {}
    for config in configs:
        if rule := _why_dry(config):
            by_rule.setdefault(rule, []).append(config.name)
    for rule, names in by_rule.items():
        has_key = [config.name for config in configs if config.name in names and _has_key(config)]
        yield Finding(
            code="runs_dry",
            level=Level.NOTE,
            about=rule,
            what=f"Placeholders are made by {', '.join(names)}, because {rule}."
            + (f" A key is there for {', '.join(has_key)}." if has_key else ""),
            next_step="To go live, change that; docs/configuration.md says who has the last word.",
        )


def _has_key(config: ProviderConfig) -> bool:
    return credential_state(config).source in ("stored", "environment", "settings", "connected")


def _why_dry(config: ProviderConfig) -> str:
    """The rule that makes this entry dry; "" for one that is live, or that makes placeholders by trade."""
    if config.adapter == "noop_media":
        return ""
    if config.dry_run is not None:
        return "its entry says dry run" if config.dry_run else ""
    option = settings_options(config.adapter).get("dry_run")
    if option is not None:
        return "MEDIAGEN['PROVIDERS'] says dry_run" if option else ""
    if conf.get("DRY_RUN") is not None:
        return "MEDIAGEN['DRY_RUN'] is True" if conf.get("DRY_RUN") else ""
    return "DRY_RUN_MODE is not set to false" if conf.env_dry_run() else ""
