"""Endpoints of webhooks out: made, changed, given another secret. A secret is seen once, by whoever asked for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import mediagen.engine.events.delivery as delivery
from mediagen import http
from mediagen.errors import InvalidRequest
from mediagen.models import MediaLibrary, WebhookEndpoint, WebhookMessage
from mediagen.models.clock import db_now
from mediagen.models.outgoing import EVENTS
from mediagen.models.routing import atomic
from mediagen.secrets import Secret
from mediagen.types import checked_text
from mediagen.wording import say as _

NAME_LENGTH, URL_LENGTH = 100, 1000


@dataclass(frozen=True, slots=True)
class MadeEndpoint:
    """A row, and the secret that its receiver needs: show it now."""

    endpoint: WebhookEndpoint
    secret: Secret


def check(name: str, url: str, events: Iterable[str] = ()) -> None:
    """`InvalidRequest` names the field: no name, an address that is never asked, an event that does not exist."""
    if not 0 < len(checked_text(name, "name").strip()) <= NAME_LENGTH:
        raise InvalidRequest(_("Give the endpoint a name of 1 to %(most)s characters.", most=NAME_LENGTH), field="name")
    if len(checked_text(url, "url")) > URL_LENGTH:
        raise InvalidRequest(_("The address has more than %(most)s characters.", most=URL_LENGTH), field="url")
    if reason := http.why_refused(url):
        raise InvalidRequest(reason, field="url")
    if unknown := sorted(set(events) - set(EVENTS)):
        raise InvalidRequest(
            _(
                "There is no event %(unknown)s. There are: %(events)s.",
                unknown=", ".join(unknown)[:80],
                events=", ".join(EVENTS),
            ),
            field="events",
        )


@atomic()
def create(
    name: str,
    url: str,
    *,
    events: Iterable[str] = (),
    library: MediaLibrary | None = None,
    created_by: Any = None,
    enabled: bool = True,
) -> MadeEndpoint:
    """An endpoint that is told of these events (none: all) in this library (none: all). `InvalidRequest` as `check`."""
    chosen = list(dict.fromkeys(events))
    check(name, url, chosen)
    secret = delivery.new_secret()
    endpoint = WebhookEndpoint(
        name=name.strip(),
        url=url,
        events=chosen,
        library=library,
        created_by_id=getattr(created_by, "pk", created_by),
        enabled=enabled,
    )
    endpoint.secret = secret  # which the field encrypts
    endpoint.save(force_insert=True)
    return MadeEndpoint(endpoint, secret)


@atomic()
def change(endpoint: WebhookEndpoint) -> None:
    """Write what was changed of it, but never its secret. Put on again, it forgets why it was off.

    Told of another library, or of one instead of all, it loses its messages, also those that wait: whoever may look
    into that library sees the endpoint's messages, and has them sent again.
    """
    check(endpoint.name, endpoint.url, endpoint.events)
    before = WebhookEndpoint.objects.locked().filter(pk=endpoint.pk).values_list("library", flat=True).first()
    if endpoint.library_id not in (None, before):
        WebhookMessage.objects.filter(endpoint=endpoint.pk).delete()
    if endpoint.enabled:
        endpoint.disabled_reason = ""
    endpoint.save(update_fields=["name", "url", "events", "library", "enabled", "disabled_reason", "updated_at"])


def new_secret(endpoint: WebhookEndpoint) -> Secret:
    """Another secret, from the next message on; the old one is worth nothing then."""
    secret = delivery.new_secret()
    endpoint.secret = secret
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(secret=endpoint.secret, updated_at=db_now())
    return secret
