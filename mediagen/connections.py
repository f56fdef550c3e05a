"""Accounts that the site is connected to by OAuth: their tokens in rows, kept alive for the adapters.

An adapter is given a `CanvaTokens` by the factory and knows nothing of rows. Canva's refresh tokens work once, so the
right to refresh is claimed on the row; whoever does not get it waits for the result of the one who has.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError
from django.db.models import F

from mediagen.destinations import withheld
from mediagen.errors import (
    CredentialsRefused,
    CredentialsUnreadable,
    Misconfigured,
    ProviderError,
    Unavailable,
)
from mediagen.models import CanvaConnection, ProviderConfig, StoredCredential
from mediagen.models.clock import db_now
from mediagen.models.routing import connection as database
from mediagen.providers.canva_oauth import AUTHORIZE_URL, CanvaClient, ClientRefused, Tokens
from mediagen.secrets import Secret

logger = logging.getLogger("mediagen.connections")

T = TypeVar("T")

MARGIN = timedelta(minutes=5)
"""A token that has less to live is renewed before it is used: an upload must not die half way."""
CLAIM_S = 60.0
WAIT_S = 45.0
LOOK_AGAIN_S = 0.1
PATIENCE_S = 60.0
CLIENT_ID_ENV, CLIENT_SECRET_ENV = "CANVA_CLIENT_ID", "CANVA_CLIENT_SECRET"

RECONNECT = "Press “Connect Canva” on the provider's page in the admin."
MOVED = f"The account was connected for another address than the provider has now. {RECONNECT}"
NO_CLIENT = (
    f"The client id and secret of the integration are not set. Enter them on the provider's page in the admin, or set "
    f"{CLIENT_ID_ENV} and {CLIENT_SECRET_ENV} in the environment."
)


def client_of(config: ProviderConfig, row: CanvaConnection | None, *, base_url: str) -> CanvaClient:
    """The integration through which an account of this provider is connected; `Misconfigured` when it is not set.

    The row's own id and secret go before the environment's. They go only to the address for which they were entered.
    """
    client_id, secret = os.environ.get(CLIENT_ID_ENV, "").strip(), os.environ.get(CLIENT_SECRET_ENV, "").strip()
    found = Secret(secret)
    if row is not None and row.client_id and row.client_secret:
        if row.base_url != base_url:
            raise Misconfigured(MOVED)
        client_id = row.client_id
        try:
            found = row.client_secret.reveal()
        except CredentialsUnreadable as exc:
            raise Misconfigured(str(exc)) from None
    elif found and (why := withheld(config, stored=False)):
        raise Misconfigured(why)
    if not client_id or not found:
        raise Misconfigured(NO_CLIENT)
    authorize = str((config.options or {}).get("authorize_url") or AUTHORIZE_URL)
    return CanvaClient(client_id=client_id, client_secret=found, base_url=base_url, authorize_url=authorize)


def connection_of(config: ProviderConfig) -> CanvaConnection | None:
    """The row that belongs to a provider, if there is one. No query when it was selected along."""
    found: CanvaConnection | None = getattr(config, "canva_connection", None)
    return found


def token_source(config: ProviderConfig, adapter: Any) -> CanvaTokens | None:
    """What gives `adapter` its tokens, when an account is connected; None when none is."""
    row = connection_of(config)
    return CanvaTokens(config, row, base_url=adapter.base_url) if row is not None and row.is_connected else None


class CanvaTokens:
    """The access token of one connected account, alive."""

    def __init__(self, config: ProviderConfig, row: CanvaConnection, *, base_url: str) -> None:
        self._config = config
        self._pk = row.pk
        self._base_url = base_url
        self.fingerprint = Secret(row.refresh_token.stored + row.broken).fingerprint()

    async def __call__(self, refused: Secret | None = None) -> Secret:
        """A token that lives, another one than `refused`. Refreshes when it must, once for all processes.

        `CredentialsRefused` when the account has to be connected again, `Unavailable` when Canva cannot be asked now.
        """
        give_up_at = time.monotonic() + WAIT_S
        while True:
            row, token = self._usable(await _in_table(CanvaConnection.objects.filter(pk=self._pk).first))
            is_refused = refused is not None and token.reveal() == refused.reveal()
            lives_s = _lives_s(row)
            if not is_refused and lives_s > MARGIN.total_seconds():
                return token
            client = client_of(self._config, row, base_url=self._base_url)
            if await _in_table(partial(_claim, row)):
                return await _to_the_end(self._refresh(client, row, token, may_serve=not is_refused and lives_s > 0))
            if not is_refused and lives_s > 0:
                return token  # somebody else is at it, and this one still lives
            if time.monotonic() >= give_up_at:
                raise Unavailable("another process is renewing Canva's token and has not finished.")
            await asyncio.sleep(LOOK_AGAIN_S)

    def _usable(self, row: CanvaConnection | None) -> tuple[CanvaConnection, Secret]:
        if row is None or not row.is_connected:
            raise CredentialsRefused("the account was disconnected")
        if row.broken:
            raise CredentialsRefused(row.broken)
        if row.base_url != self._base_url:
            raise CredentialsRefused(MOVED)
        try:
            return row, row.access_token.reveal()
        except CredentialsUnreadable as exc:
            raise CredentialsRefused(str(exc)) from None

    async def _refresh(self, client: CanvaClient, row: CanvaConnection, token: Secret, *, may_serve: bool) -> Secret:
        """The next token, stored before it is used. We hold the claim."""
        try:
            tokens = await client.refresh(row.refresh_token.reveal())
        except ClientRefused as exc:
            await _in_table(lambda: release(row))
            if may_serve:
                return token
            raise CredentialsRefused(
                f"Canva does not accept the client id and secret ({exc}). Enter them again on the provider's page"
            ) from None
        except CredentialsRefused as exc:
            reason = f"Canva refused to renew the token ({exc}). {RECONNECT}"
            logger.error("the connection of provider %s is broken: %s", self._config.name, reason)
            await _in_table(lambda: mark_broken(row, reason))
            raise CredentialsRefused(reason) from None
        except ProviderError as exc:
            # If the token was used up all the same, Canva says so next time, and nothing but connecting again helps.
            await _in_table(lambda: release(row))
            if may_serve:
                return token
            retry_after_s = exc.retry_after_s
            raise Unavailable(f"the token could not be renewed: {exc}", retry_after_s=retry_after_s) from None
        await _patiently(lambda: keep(CanvaConnection.objects.held(row.pk, row.version), tokens))
        return tokens.access_token


def _claim(row: CanvaConnection) -> bool:
    """Take the right to refresh; the row then knows the version under which we hold it."""
    if not CanvaConnection.objects.claim(row.pk, version=row.version, lease_s=CLAIM_S):
        return False
    row.version += 1
    return True


def keep(rows: Any, tokens: Tokens, **more: Any) -> bool:
    """Store a pair of tokens in those of `rows` (a query for one) that are still there."""
    now = db_now()
    values: dict[str, Any] = {
        "access_token": StoredCredential.of(tokens.access_token),
        "refresh_token": StoredCredential.of(tokens.refresh_token),
        "expires_at": now + timedelta(seconds=tokens.expires_in_s),
        "refreshed_at": now,
        "refreshing_until": None,
        "version": F("version") + 1,
        "broken": "",
        "updated_at": now,
    }
    if tokens.scopes:
        values["scopes"] = " ".join(tokens.scopes)
    return bool(rows.update(**values, **more))


def mark_broken(row: CanvaConnection, reason: str) -> None:
    """Nothing but connecting again helps; until then nobody asks Canva."""
    CanvaConnection.objects.held(row.pk, row.version).update(
        broken=reason[:2000], refreshing_until=None, version=row.version + 1, updated_at=db_now()
    )


def release(row: CanvaConnection) -> None:
    """Give the claim back; the tokens are as they were."""
    CanvaConnection.objects.held(row.pk, row.version).update(refreshing_until=None, updated_at=db_now())


def _lives_s(row: CanvaConnection) -> float:
    """Seconds that the access token has left; 0 when it is not known."""
    return (row.expires_at - db_now()).total_seconds() if row.expires_at is not None else 0.0


async def _in_table(work: Callable[[], T]) -> T:
    return await sync_to_async(work)()


async def _patiently(work: Callable[[], T]) -> T:
    """`work`, again while the database is away: a pair of tokens that is lost is a connection that is lost."""
    give_up_at = time.monotonic() + PATIENCE_S
    wait_s = 0.2
    while True:
        try:
            return await _in_table(lambda: _or_closed(work))
        except (OperationalError, InterfaceError):
            if time.monotonic() + wait_s > give_up_at:
                logger.exception("the new tokens could not be stored: connect the account again")
                raise
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 5.0)


def _or_closed(work: Callable[[], T]) -> T:
    try:
        return work()
    except (OperationalError, InterfaceError):
        if not database.in_atomic_block:
            database.close()
        raise


async def _to_the_end(work: Any) -> Secret:
    """Await `work` and let no cancellation end it half done: it holds what works once."""
    task = asyncio.ensure_future(work)
    try:
        result: Secret = await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains that nobody did
        raise
    return result
