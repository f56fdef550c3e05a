"""Connecting a Canva account to a provider: the integration's id and secret, the way to consent, and back out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F

from mediagen import connections, http
from mediagen.circuits import reset_breakers
from mediagen.connections import client_of, connection_of
from mediagen.engine.database import in_database
from mediagen.errors import InvalidRequest, Misconfigured, ProviderError
from mediagen.factory import build_adapter
from mediagen.models import CanvaConnection, ProviderConfig
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.providers.canva_oauth import SCOPES, Tokens, new_state, new_verifier
from mediagen.secrets import Secret
from mediagen.wording import say as _


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvaAccount:
    """How a provider's connection stands, for people. Never a secret."""

    client_id: str
    client_source: str
    """"stored", "environment" or "missing": where the integration's id and secret come from"""
    problem: str
    """why nobody can be sent to Canva now; "" when it is possible"""
    is_connected: bool
    account: str
    missing_scopes: tuple[str, ...]
    """what was not allowed when the account was connected"""
    expires_at: datetime | None
    refreshed_at: datetime | None
    broken: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One person on the way to Canva and back. `verifier` and `state` stay in the person's session."""

    address: str
    state: str
    verifier: str
    redirect_uri: str


def account_of(config: ProviderConfig) -> CanvaAccount:
    """What is known of the connection now. Nobody is asked."""
    row = connection_of(config)
    stored = row is not None and bool(row.client_id and row.client_secret)
    client_id, problem, source = "", "", "stored" if stored else "environment"
    try:
        client_id = client_of(config, row, base_url=_base_url(config)).client_id
    except Misconfigured as exc:
        problem, source = str(exc), "stored" if stored else "missing"
    granted = set(row.scopes.split()) if row is not None else set()
    connected = row is not None and row.is_connected
    return CanvaAccount(
        client_id=client_id or (row.client_id if row is not None else ""),
        client_source=source,
        problem=problem,
        is_connected=connected,
        account=row.account if row is not None else "",
        missing_scopes=tuple(scope for scope in SCOPES if scope not in granted) if connected and granted else (),
        expires_at=row.expires_at if row is not None else None,
        refreshed_at=row.refreshed_at if row is not None else None,
        broken=row.broken if row is not None else "",
    )


@atomic()
def set_client(config: ProviderConfig, client_id: str, client_secret: Secret) -> None:
    """Store the integration's id and secret, for the provider's present address. `InvalidRequest` for what is none."""
    name = client_id.strip()
    for field, value in (("client_id", name), ("client_secret", client_secret.reveal())):
        if not value or len(value) > 255 or not all("!" <= char <= "~" for char in value) or ":" in value:
            raise InvalidRequest(
                _(
                    "%(field)s must be text without blanks or colons, as Canva's developer portal shows it.",
                    field=field,
                ),
                field=field,
            )
    row, __ = CanvaConnection.objects.get_or_create(provider=config)
    row.client_id, row.client_secret, row.base_url = name, client_secret, _base_url(config)
    row.save(update_fields=["client_id", "client_secret", "base_url", "updated_at"])
    config.canva_connection = row


def begin(config: ProviderConfig, redirect_uri: str) -> Consent:
    """The way to Canva for one person; `Misconfigured` when the integration's id and secret are not set."""
    client = client_of(config, connection_of(config), base_url=_base_url(config))
    state, verifier = new_state(), new_verifier()
    address = client.address_to_authorize(redirect_uri=redirect_uri, state=state, verifier=verifier)
    return Consent(address=address, state=state, verifier=verifier, redirect_uri=redirect_uri)


async def finish(config: ProviderConfig, *, code: str, verifier: str, redirect_uri: str, by: Any = None) -> str:
    """Exchange the code for tokens and keep them; whose account it is, in Canva's words ("" when it does not say).

    `ProviderError` with what went wrong; what was connected before then stays as it was.
    """
    base_url = await in_database(_base_url, config)
    client = await in_database(lambda: client_of(config, connection_of(config), base_url=base_url))
    tokens = await client.exchange(code=code, verifier=verifier, redirect_uri=redirect_uri)
    account = await _whose(base_url, tokens)
    await in_database(_keep, config, base_url, tokens, account, getattr(by, "pk", by))
    return account


async def disconnect(config: ProviderConfig) -> str:
    """Forget the tokens here, and end them at Canva. Why Canva could not be told, or ""."""
    row = await in_database(lambda: connection_of(config))
    if row is None or not row.is_connected:
        return ""
    problem = ""
    try:
        client = client_of(config, row, base_url=await in_database(_base_url, config))
        if row.refresh_token:
            await client.revoke(row.refresh_token.reveal())
    except ProviderError as exc:
        problem = str(exc)
    await in_database(_forget, config, row)
    return problem


@atomic()
def _keep(config: ProviderConfig, base_url: str, tokens: Tokens, account: str, by: Any) -> None:
    row, __ = CanvaConnection.objects.get_or_create(provider=config)
    rows = CanvaConnection.objects.filter(pk=row.pk)
    connections.keep(rows, tokens, account=account, base_url=base_url, connected_by_id=by)
    config.canva_connection = CanvaConnection.objects.get(pk=row.pk)
    reset_breakers(config.name)


def _forget(config: ProviderConfig, row: CanvaConnection) -> None:
    CanvaConnection.objects.filter(pk=row.pk).update(
        access_token="",
        refresh_token="",
        scopes="",
        account="",
        broken="",
        expires_at=None,
        refreshed_at=None,
        refreshing_until=None,
        version=F("version") + 1,
        updated_at=db_now(),
    )
    config.canva_connection = CanvaConnection.objects.get(pk=row.pk)


async def _whose(base_url: str, tokens: Tokens) -> str:
    """Whom Canva takes the token for; "" when it does not say now, which is no reason to lose the tokens."""
    auth = {"authorization": f"Bearer {tokens.access_token.reveal()}"}
    try:
        async with http.session():
            response = await http.Service(base_url, auth=auth, timeout_s=20.0).request("GET", "/v1/users/me")
        member = response.error_object().get("team_user") if response.is_success else None
    except ProviderError:
        return ""
    if not isinstance(member, dict):
        return ""
    user, team = (str(member.get(name) or "")[:100] for name in ("user_id", "team_id"))
    text = f"user {user} of team {team}" if user and team else f"user {user}" if user else ""
    return "".join(char for char in text if char.isprintable())


def _base_url(config: ProviderConfig) -> str:
    return str(build_adapter(config, dry_run=True).base_url)
