"""Webhooks out: messages that wait are sent, signed, and sent again until they are taken or given up.

A message is sent by one sender at a time, which holds it by a lease. A sender that dies leaves it to the next one, so a
message may come twice, with the same `webhook-id`; in which order they come is not promised.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import random
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import close_old_connections
from django.db.models import F, Min

from mediagen import conf, http
from mediagen.engine.database import in_database
from mediagen.engine.dispatch import periodic, server_wanted, task_engine
from mediagen.errors import CredentialsUnreadable, ProviderError
from mediagen.models import MessageState, WebhookEndpoint, WebhookMessage
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.secrets import Secret, scrub

logger = logging.getLogger("mediagen.webhooks")

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with
MINUTE_S, HOUR_S = 60.0, 3600.0
WAITS_S = (5.0, 5 * MINUTE_S, 30 * MINUTE_S, *(hours * HOUR_S for hours in (2, 5, 10, 14, 20, 24)))
"""between the tries: three days and a bit in all"""
LONGEST_WAIT_S = 24 * HOUR_S
TIMEOUT_S = 15.0
LEASE = timedelta(seconds=4 * TIMEOUT_S)
AT_ONCE = 16
AT_ONCE_PER_ENDPOINT = 4
KEPT_OF_ANSWER_BYTES = 500
LOOK_AGAIN_S = 30.0
LOOK_EVERY_S = 2.0
KEPT_FOR = timedelta(days=30)
GIVEN_UP_AFTER = timedelta(days=7)
"""for messages of an endpoint that is off"""


# ---------------------------------------------------------------- signing


def new_secret() -> Secret:
    return Secret(SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode())


def signature(secret: Secret, message_id: str, timestamp: int, body: bytes) -> str:
    """ "v1,...": HMAC-SHA256 over id, time and body, as Standard Webhooks says. ValueError for a broken secret."""
    key = base64.b64decode(secret.reveal().removeprefix(SECRET_PREFIX), validate=True)
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


# ---------------------------------------------------------------- who sends


def soon() -> None:
    """Have what is due sent now: by the site's task engine, or in this process; else the worker finds it.

    Raises nothing: the messages are rows, and whoever looks next sends them.
    """
    try:
        if conf.get("TASK_BACKEND") is not None:
            task_engine.send("deliver_webhooks")
        else:
            server_wanted.send(None, run=_deliverer.until_nothing_waits)
    except Exception as exc:
        logger.error("nobody could be told of waiting webhooks (%s); they wait for a sweep.", task_engine.reason(exc))


class _Deliverer:
    """The one of a process that waits for the next try of what was not taken."""

    def __init__(self) -> None:
        self._is_waiting = False

    async def until_nothing_waits(self) -> None:
        """Send what is due, and stay for what is due later, unless another call does so already."""
        await deliver_due()
        if self._is_waiting:
            return
        self._is_waiting = True
        try:
            while (wait_s := await in_database(due_in_s)) is not None:
                await in_database(close_old_connections)  # nobody ends a request in this thread
                await asyncio.sleep(min(max(wait_s, 0.5), LOOK_AGAIN_S))
                await deliver_due()
        finally:
            self._is_waiting = False
            await in_database(close_old_connections)


_deliverer = _Deliverer()


async def keep_delivering(stop: asyncio.Event) -> None:
    """Send what is due, until it is told to stop: beside a worker. What goes wrong is logged and tried again."""
    await periodic.until_stopped(stop, deliver_due, every_s=LOOK_EVERY_S, what="webhooks could not be sent")


async def deliver_for(seconds: float) -> int:
    """Send what is due, and what falls due in this time; how many were sent."""
    over = time.monotonic() + seconds
    count = await deliver_due()
    while (wait_s := await in_database(due_in_s)) is not None and time.monotonic() + wait_s < over:
        await asyncio.sleep(max(wait_s, 0.1))
        count += await deliver_due()
    return count


def due_in_s() -> float | None:
    """Seconds until the next message may be sent; None when none waits. One that somebody sends now counts with the
    end of his lease."""
    waiting = WebhookMessage.objects.filter(state=MessageState.PENDING, endpoint__enabled=True)
    times = waiting.filter(lease_until=None).aggregate(due=Min("next_try_at"))["due"]
    leases = waiting.exclude(lease_until=None).aggregate(due=Min("lease_until"))["due"]
    first = min((at for at in (times, leases) if at is not None), default=None)
    return None if first is None else max(0.0, (first - db_now()).total_seconds())


# ---------------------------------------------------------------- sending


@dataclass(frozen=True, slots=True)
class Fate:
    """What came of one try."""

    delivered: bool
    message: str = ""
    http_status: int | None = None
    retry_after_s: float | None = None
    gone: bool = False
    """the endpoint wants no more, ever"""
    is_about_endpoint: bool = False
    """other messages would have had the same fate"""


async def deliver_due() -> int:
    """Send every message that is due, some at once; how many were sent, taken or not."""
    count = 0
    async with http.session():
        while claimed := await in_database(_claim):
            await asyncio.gather(*(_deliver(message) for message in claimed))
            count += len(claimed)
    return count


@atomic()
def _claim() -> list[WebhookMessage]:
    """Some messages that are due, now ours for a while; of one endpoint only a few, so that one that hangs does not
    hold up all others. A try counts when it begins: a message on which senders die is given up too."""
    due = WebhookMessage.objects.due().select_related("endpoint").order_by("next_try_at")[: AT_ONCE * 8]
    claimed: list[WebhookMessage] = []
    by_endpoint: Counter[Any] = Counter()
    for message in due:
        if by_endpoint[message.endpoint_id] == AT_ONCE_PER_ENDPOINT or len(claimed) == AT_ONCE:
            continue
        mine = WebhookMessage.objects.filter(
            pk=message.pk, state=MessageState.PENDING, lease_token=message.lease_token
        ).update(lease_token=F("lease_token") + 1, lease_until=db_now() + LEASE, tries=F("tries") + 1)
        if mine:
            message.lease_token += 1
            message.tries += 1
            by_endpoint[message.endpoint_id] += 1
            claimed.append(message)
    return claimed


async def _deliver(message: WebhookMessage) -> None:
    try:
        fate = await send(message)
    except Exception as exc:
        logger.exception("webhook %s could not be sent", message.pk)
        fate = Fate(False, f"It could not be sent ({type(exc).__name__}); the log says more.")
    if not fate.delivered:
        logger.warning("webhook %s to %s: %s", message.pk, message.endpoint, fate.message)
    await in_database(_record, message, fate)


async def send(message: WebhookMessage) -> Fate:
    """One try. No redirect is followed; the address is looked up, judged, and then connected to as it was judged."""
    endpoint = message.endpoint
    try:
        secret = endpoint.secret.reveal()
        body = json.dumps(message.payload, ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = int(time.time())
        signed = signature(secret, str(message.pk), timestamp, body)
    except (CredentialsUnreadable, ValueError):
        return Fate(False, "Its secret cannot be read. Make a new one.", is_about_endpoint=True)
    headers = {
        "content-type": "application/json",
        "webhook-id": str(message.pk),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signed,
    }
    try:
        target = await http.check(endpoint.url, base_url="")
        answer = await http.send(
            "POST",
            target,
            headers=headers,
            content=body,
            timeout_s=TIMEOUT_S,
            max_bytes=KEPT_OF_ANSWER_BYTES,
            cut=True,
        )
    except http.AddressRefused:
        text = "Its address is refused: it must be https and public, or its host in MEDIAGEN['TRUSTED_HOSTS']."
        return Fate(False, text, is_about_endpoint=True)
    except ProviderError as exc:
        return Fate(False, scrub(str(exc), [secret]), is_about_endpoint=True)
    return _judged(answer, secret)


def _judged(answer: http.Response, secret: Secret) -> Fate:
    status = answer.status
    if answer.is_success:
        return Fate(True, http_status=status)
    said = scrub(answer.body.decode("utf-8", "replace"), [secret])
    said = "".join(char if char.isprintable() else " " for char in said).strip()
    text = f"It answered {status}" + (f": {said}" if said else ".")
    if 300 <= status < 400:
        text = f"It answered {status}; redirects are not followed. Enter the address it leads to."
    return Fate(
        False,
        text,
        http_status=status,
        retry_after_s=http.retry_after_s(answer.headers),
        gone=status == 410,
        is_about_endpoint=status in (429, 502, 503, 504),
    )


@atomic()
def _record(message: WebhookMessage, fate: Fate) -> None:
    """Write what came of it, if the message is still ours."""
    ours = WebhookMessage.objects.filter(pk=message.pk, state=MessageState.PENDING, lease_token=message.lease_token)
    values: dict[str, Any] = {"http_status": fate.http_status, "message": fate.message, "lease_until": None}
    if fate.delivered:
        ours.update(**values, state=MessageState.DELIVERED, delivered_at=db_now(), next_try_at=None)
        return
    if fate.gone:
        disable(message.endpoint, "It answered 410 Gone: it wants no more messages.")
    if fate.gone or message.tries > len(WAITS_S):
        ours.update(**values, state=MessageState.FAILED, next_try_at=None)
        return
    wait_s = next_wait_s(message.tries, fate.retry_after_s)
    if ours.update(**values, next_try_at=db_now() + timedelta(seconds=wait_s)) and fate.is_about_endpoint:
        # The others to it would fare the same: none of their tries is used up to find that out.
        others = WebhookMessage.objects.due().filter(endpoint=message.endpoint_id).exclude(pk=message.pk)
        others.filter(pk__in=list(others.values_list("pk", flat=True))).update(
            next_try_at=db_now() + timedelta(seconds=min(wait_s, MINUTE_S))
        )


def next_wait_s(tries: int, retry_after_s: float | None) -> float:
    """Seconds before the next try after so many, with some jitter; not sooner than the endpoint asks for."""
    wait_s = WAITS_S[tries - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    return min(max(wait_s, retry_after_s or 0.0), LONGEST_WAIT_S * 1.2)


def disable(endpoint: WebhookEndpoint, reason: str) -> None:
    """Send it nothing more. What waits for it waits, until somebody puts it on again or it is too old."""
    WebhookEndpoint.objects.filter(pk=endpoint.pk, enabled=True).update(
        enabled=False, disabled_reason=reason, updated_at=db_now()
    )
    logger.error("webhook endpoint %s was put off: %s", endpoint, reason)


# ---------------------------------------------------------------- sweeping


def tidy_up() -> int:
    """Give up what waits for an endpoint that is off for long, and remove what is long over; how many were removed."""
    now = db_now()
    WebhookMessage.objects.filter(
        state=MessageState.PENDING, endpoint__enabled=False, created_at__lt=now - GIVEN_UP_AFTER
    ).update(state=MessageState.FAILED, next_try_at=None, message="Its endpoint was off for too long.")
    over = WebhookMessage.objects.exclude(state=MessageState.PENDING)
    return over.filter(created_at__lt=now - KEPT_FOR).delete()[0]
