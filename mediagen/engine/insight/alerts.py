"""Alerts: what is so (`conditions`) is compared with what was said, and what is new is told: once, by whichever process
looks first.

A condition is a row for life. Signals and webhook messages go when it comes, and when it is over. Who has been told
within ALERT_QUIET_S is not told again, and mails are so far apart, each one a summary of all that came meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.db.models import Max, Q
from django.urls import NoReverseMatch, reverse

import mediagen.engine.insight.conditions as conditions
from mediagen import conf
from mediagen.engine.database import in_database
from mediagen.engine.dispatch import periodic
from mediagen.engine.events import announcements
from mediagen.engine.files import probe
from mediagen.engine.insight.findings import Finding
from mediagen.models import Alert
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic

logger = logging.getLogger("mediagen.engine")

LOOK_EVERY_S = 30.0
MAIL_TIMEOUT_S = 30
STORAGE = "storage_refuses"


async def keep_looking(stop: asyncio.Event) -> None:
    """Look and tell until it is told to stop: beside a worker. What goes wrong is logged and tried again."""
    await periodic.until_stopped(stop, look_and_tell, every_s=LOOK_EVERY_S, what="alerts could not be looked at")


async def look_and_tell() -> None:
    """Look, unless another process has a moment ago, and tell of what is new. Beside a worker, again and again."""
    if not await sync_to_async(_is_our_turn, thread_sensitive=False)():
        return
    mail = await in_database(look)
    if mail is not None and (error := await sync_to_async(mail.send, thread_sensitive=False)()):
        await in_database(mail.not_sent, error)


def look_and_tell_sync() -> int:
    """The same at once, whoever else has looked; how many alerts are open."""
    mail = look()
    if mail is not None and (error := mail.send()):
        mail.not_sent(error)
    return Alert.objects.open().count()


def _is_our_turn() -> bool:
    """Whoever is first where the site's processes share a cache. Elsewhere all look, which tells nobody twice."""
    try:
        return bool(cache.add("mediagen.alerts.looked", True, LOOK_EVERY_S * 0.9))
    except Exception:  # a cache that is away is no reason to say nothing
        return True


def look() -> Summary | None:
    """Write what is so and what is over, tell signals and webhooks, and say what is to be mailed; None: nothing now."""
    found, unknown = conditions.present()
    _look_at_storage(found)
    now = db_now()
    wanted = {finding.key: finding for finding in found}
    for row in Alert.objects.open():
        key = (row.code, row.about)
        if key in wanted:
            _still_so(row, wanted.pop(key))
        elif row.code not in unknown:
            _over(row, now)
    for finding in wanted.values():
        _begun(finding, now)
    quiet_since = now - timedelta(seconds=conf.get("ALERT_QUIET_S"))
    long_ago = Q(told_at__isnull=True) | Q(told_at__lte=quiet_since)
    for row in Alert.objects.open().filter(Alert.UNTOLD & long_ago):
        _tell(row, now)
    return _to_be_mailed(now, quiet_since)


def _look_at_storage(found: list[Finding]) -> None:
    """Another process's storage refuses as far as this one knows only by its alert: it is over when a file is taken."""
    is_known = any(finding.code == STORAGE for finding in found)
    if not is_known and Alert.objects.open().filter(code=STORAGE).exists() and (why := probe.why_not()):
        found.append(conditions.storage_refuses(why))


def _words(finding: Finding) -> dict[str, str]:
    return {
        "level": finding.level.value,
        "what": finding.what,
        "next_step": finding.next_step,
        "command": finding.command,
    }


def _still_so(row: Alert, finding: Finding) -> None:
    changed = {name: text for name, text in _words(finding).items() if getattr(row, name) != text}
    if changed:
        Alert.objects.filter(pk=row.pk).update(**changed)


def _begun(finding: Finding, now: datetime) -> None:
    words = {**_words(finding), "since": now}
    row, is_new = Alert.objects.get_or_create(code=finding.code, about=finding.about[:200], defaults=words)
    if not is_new:
        Alert.objects.filter(pk=row.pk, over_at__isnull=False).update(**words, over_at=None)
    logger.log(
        logging.ERROR if finding.level == "error" else logging.WARNING, "alert %s: %s", finding.code, finding.what
    )


@atomic()
def _over(row: Alert, now: datetime) -> None:
    if Alert.objects.filter(pk=row.pk, over_at__isnull=True).update(over_at=now):
        logger.info("alert %s is over: %s", row.code, row.what)
        if row.told_at is not None and row.told_at >= row.since:
            announcements.alert_over(row.pk)


@atomic()
def _tell(row: Alert, now: datetime) -> None:
    if Alert.objects.filter(pk=row.pk, told_at=row.told_at, over_at__isnull=True).update(told_at=now):
        announcements.alert_raised(row.pk)


# ---------------------------------------------------------------------- mail


def recipients() -> list[str]:
    """ALERT_MAIL_TO, or the addresses of the site's ADMINS."""
    chosen = conf.get("ALERT_MAIL_TO")
    # Django 6 has addresses there, Django 5.2 pairs of a name and one.
    return list(chosen) if chosen is not None else [one if isinstance(one, str) else one[1] for one in settings.ADMINS]


@dataclass(frozen=True, slots=True)
class Summary:
    """One mail: what is new, and what is still so."""

    new: tuple[Alert, ...]
    before: tuple[tuple[int, datetime | None], ...]
    """(key, when it was mailed before) of the new ones"""
    still: tuple[Alert, ...]
    to: tuple[str, ...]

    def send(self) -> str:
        """Why it could not be sent; "" when it was. Asks no database."""
        number = len(self.new)
        first = " ".join(self.new[0].what.split())
        subject = f"{settings.EMAIL_SUBJECT_PREFIX}mediagen: {first[:100]}"
        if number > 1:
            subject += f" (and {number - 1} more)"
        return _sent(EmailMessage(subject, self.text(), settings.SERVER_EMAIL, list(self.to)))

    def text(self) -> str:
        parts = [_told(alert) for alert in self.new]
        if self.still:
            parts.append("Still so:\n" + "\n".join(f"- {alert.what}" for alert in self.still))
        parts.append("\n".join(line for line in (_address(), _quiet()) if line))
        return "\n\n".join(parts) + "\n"

    def not_sent(self, error: str) -> None:
        """So that the next look sends it."""
        logger.error("the mail about %d alerts could not be sent (%s); it is tried again.", len(self.new), error)
        for pk, before in self.before:
            Alert.objects.filter(pk=pk).update(mailed_at=before)


def _sent(mail: EmailMessage) -> str:
    """Why it was not; "" when it was. In a thread of its own: Django's SMTP waits for ever unless the site says
    otherwise, and a worker could not end."""
    error = ["TimeoutError"]

    def send() -> None:
        try:
            mail.send()
        except Exception as exc:  # whatever the site's backend raises; its text may name the server's password
            error[0] = type(exc).__name__
        else:
            error[0] = ""

    thread = threading.Thread(target=send, name="mediagen-mail", daemon=True)
    thread.start()
    thread.join(MAIL_TIMEOUT_S)
    return error[0]


def _told(alert: Alert) -> str:
    lines = [alert.what, f"Since: {alert.since:%Y-%m-%d %H:%M:%S %Z}".rstrip()]
    lines += [f"What to do: {alert.next_step}"] if alert.next_step else []
    lines += [f"    {alert.command}"] if alert.command else []
    return "\n".join([*lines, f"More: docs/operations.md, {alert.code}"])


def _address() -> str:
    site = conf.get("SITE_URL")
    try:
        return f"All of them: {site.rstrip('/')}{reverse('admin:mediagen_alert_changelist')}" if site else ""
    except NoReverseMatch:
        return ""


def _quiet() -> str:
    return f"The next mail comes in {round(conf.get('ALERT_QUIET_S') / 60)} minutes at the earliest."


@atomic()
def _to_be_mailed(now: datetime, quiet_since: datetime) -> Summary | None:
    to = recipients()
    if not to or not Alert.objects.open().filter(Alert.UNMAILED).exists():
        return None
    # All of them, so that of those who look at the same time one mails, and the next sees when.
    rows = list(Alert.objects.open().order_by("pk").select_for_update())
    latest: Any = Alert.objects.aggregate(at=Max("mailed_at"))["at"]
    if latest is not None and latest > quiet_since:
        return None
    fresh = [row for row in rows if row.mailed_at is None or row.mailed_at < row.since]
    mine = [row for row in fresh if Alert.objects.filter(pk=row.pk, mailed_at=row.mailed_at).update(mailed_at=now)]
    if not mine:
        return None
    still = [row for row in rows if row not in mine]
    return Summary(_gravest(mine), tuple((row.pk, row.mailed_at) for row in mine), _gravest(still), tuple(to))


def _gravest(rows: list[Alert]) -> tuple[Alert, ...]:
    """The gravest first."""
    return tuple(sorted(rows, key=lambda row: (row.level, row.since, row.pk)))
