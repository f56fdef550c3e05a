"""Tokens of a connected account: renewed once for all processes, stored before they are used, honest when they die."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.db import connections as databases

from mediagen import connections
from mediagen.destinations import destination
from mediagen.engine import get_media_engine
from mediagen.engine.providers import canva_account
from mediagen.errors import CredentialsRefused, Misconfigured, Unavailable
from mediagen.factory import build_adapter
from mediagen.models import CanvaConnection, ProviderConfig
from mediagen.models.clock import db_now
from mediagen.secrets import Secret
from tests.servers import CanvaServer, Fault

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(canva_server) -> CanvaServer:
    return canva_server


@pytest.fixture
def config(server) -> ProviderConfig:
    row, _ = ProviderConfig.objects.get_or_create(name="canva_api", adapter="canva_api")
    row.base_url, row.dry_run = server.base_url, False
    row.save()
    return row


@pytest.fixture
def connection(server, config) -> CanvaConnection:
    """Connected, and its access token has died."""
    return CanvaConnection.objects.create(
        provider=config,
        client_id=server.client_id,
        client_secret=server.client_secret,
        base_url=server.base_url,
        access_token="test-access-canva-0",
        refresh_token=server.refresh_token,
        expires_at=db_now() - timedelta(seconds=1),
    )


def adapter_of(config: ProviderConfig):
    return build_adapter(ProviderConfig.objects.get(pk=config.pk))


def healthy(config: ProviderConfig):
    return async_to_sync(adapter_of(config).probe)()


def fresh(row: CanvaConnection, **changes) -> CanvaConnection:
    if changes:
        CanvaConnection.objects.filter(pk=row.pk).update(**changes)
    return CanvaConnection.objects.get(pk=row.pk)


def token_of(row: CanvaConnection) -> str:
    return fresh(row).access_token.reveal().reveal()


def test_a_dead_token_is_renewed_and_the_new_pair_stored(server, config, connection):
    assert healthy(config).ok
    row = fresh(connection)
    assert row.access_token.reveal().reveal() in server.access_tokens
    assert row.refresh_token.reveal().reveal() == server.refresh_token
    assert timedelta(hours=3) < row.expires_at - db_now() < timedelta(hours=4, minutes=1)
    assert (row.broken, row.refreshing_until) == ("", None)
    assert healthy(config).ok
    assert len(server.requests_for("token")) == 1


def test_a_token_that_lives_is_used_as_it_is(server, config, connection):
    fresh(connection, access_token=server.key, expires_at=db_now() + timedelta(hours=1))
    assert healthy(config).ok
    assert server.requests_for("token") == []


def test_a_token_that_canva_ended_early_is_renewed(server, config, connection):
    fresh(connection, expires_at=db_now() + timedelta(hours=1))
    assert healthy(config).ok
    assert [request.step for request in server.requests] == ["health", "token", "health"]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_refresh_once(server, config, connection):
    adapters = [adapter_of(config) for _ in range(8)]
    errors: list[str] = []

    def ask(adapter) -> None:
        report = asyncio.run(adapter.probe())
        databases.close_all()
        if not report.ok:
            errors.append(report.detail)

    threads = [threading.Thread(target=ask, args=[adapter]) for adapter in adapters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(server.requests_for("token")) == 1


def test_whoever_has_the_claim_alone_refreshes(server, config, connection):
    assert CanvaConnection.objects.claim(connection.pk, version=0, lease_s=60)
    assert not CanvaConnection.objects.claim(connection.pk, version=0, lease_s=60)
    assert not CanvaConnection.objects.claim(connection.pk, version=1, lease_s=60)
    fresh(connection, refreshing_until=db_now() - timedelta(seconds=1))  # its holder died
    assert CanvaConnection.objects.claim(connection.pk, version=1, lease_s=60)


def test_who_waits_uses_what_the_other_one_got(server, config, connection, monkeypatch):
    monkeypatch.setattr(connections, "LOOK_AGAIN_S", 0.0)
    assert CanvaConnection.objects.claim(connection.pk, version=0, lease_s=60)
    claim, tries = connections._claim, []

    def claimed(row):
        tries.append(row)
        if len(tries) == 3:  # now the other one has finished
            fresh(connection, access_token=server.key, expires_at=db_now() + timedelta(hours=4))
        return claim(row)

    monkeypatch.setattr(connections, "_claim", claimed)
    assert healthy(config).ok
    assert server.requests_for("token") == []


def test_who_waits_in_vain_says_so(config, connection, monkeypatch):
    monkeypatch.setattr(connections, "WAIT_S", 0.0)
    assert CanvaConnection.objects.claim(connection.pk, version=0, lease_s=60)
    report = healthy(config)
    assert (report.ok, "another process is renewing" in report.detail) == (False, True)


def test_who_meets_another_refresher_uses_a_token_that_still_lives(server, config, connection):
    fresh(connection, access_token=server.key, expires_at=db_now() + timedelta(minutes=1))
    assert CanvaConnection.objects.claim(connection.pk, version=0, lease_s=60)
    assert healthy(config).ok


def test_a_refused_refresh_breaks_the_connection_and_nobody_asks_again(server, config, connection):
    server.refresh_token = "another"
    report = healthy(config)
    assert (report.ok, "Connect Canva" in report.detail) == (False, True)
    assert "invalid_grant" in fresh(connection).broken
    asked = len(server.requests)
    assert not healthy(config).ok
    assert len(server.requests) == asked


def test_check_providers_says_that_the_connection_is_broken(config, connection):
    fresh(connection, broken="Canva refused to renew the token. Press “Connect Canva”.")
    [report] = get_media_engine().check_providers_sync(["canva_api"])
    assert (report.healthy, report.configured) == (False, True)
    assert "Canva refused to renew the token" in report.detail


@pytest.mark.parametrize(
    "fault", [Fault.http(503), Fault.rate_limited(), Fault.reset_after_body_read(), Fault.html_200()]
)
def test_a_refresh_that_fails_for_now_breaks_nothing(server, config, connection, fault):
    server.fault("token", fault)
    report = healthy(config)
    assert (report.ok, "could not be renewed" in report.detail) == (False, True)
    assert (fresh(connection).broken, fresh(connection).refreshing_until) == ("", None)


def test_a_token_that_still_lives_serves_when_it_cannot_be_renewed(server, config, connection):
    fresh(connection, access_token=server.key, expires_at=db_now() + timedelta(minutes=1))
    server.fault("token", Fault.http(503))
    assert healthy(config).ok
    assert healthy(config).ok
    assert len(server.requests_for("token")) == 2


def test_a_wrong_client_secret_does_not_break_the_connection(server, config, connection):
    fresh(connection, client_secret="wrong-client-secret")
    report = healthy(config)
    assert "does not accept the client id and secret" in report.detail
    assert fresh(connection).broken == ""
    fresh(connection, client_secret=server.client_secret)
    assert healthy(config).ok


def test_tokens_go_to_no_other_address(server, config, connection):
    fresh(connection, base_url="https://api.canva.com/rest")
    report = healthy(config)
    assert (report.ok, "another address" in report.detail) == (False, True)
    assert server.requests == []


def test_a_secret_goes_to_no_other_address(server, config, connection):
    fresh(connection, base_url="https://api.canva.com/rest")
    config.refresh_from_db()
    with pytest.raises(Misconfigured, match="another address"):
        canva_account.begin(config, "https://site.example/back")


def test_the_environment_has_the_client(server, config, connection, monkeypatch):
    fresh(connection, client_id="", client_secret="")
    assert "CANVA_CLIENT_ID" in healthy(config).detail
    monkeypatch.setenv("CANVA_CLIENT_ID", server.client_id)
    monkeypatch.setenv("CANVA_CLIENT_SECRET", server.client_secret)
    assert "not sent to http://127.0.0.1" in healthy(config).detail
    config.key_consent = destination(config)
    config.save()
    assert healthy(config).ok


def test_a_connection_goes_before_a_token_set_by_hand(server, config, connection, monkeypatch):
    monkeypatch.setenv("CANVA_API_KEY", "static-token-0123456789")
    assert healthy(config).ok
    assert "static-token-0123456789" not in str([request.headers for request in server.requests])


def test_without_a_connection_the_token_set_by_hand_is_used(server, config):
    config.credentials = server.key
    config.save()
    assert healthy(config).ok


def test_tokens_that_cannot_be_decrypted(config, connection):
    fresh(connection)
    CanvaConnection.objects.filter(pk=connection.pk).update(access_token="fernet1:nonsense")
    assert "cannot be decrypted" in healthy(config).detail


def test_who_is_cancelled_while_refreshing_stores_the_pair_all_the_same(server, config, connection):
    server.latency_s = 0
    adapter = adapter_of(config)

    async def cancelled() -> None:
        task = asyncio.ensure_future(adapter.token_source())
        while not server.requests_for("token"):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async_to_sync(cancelled)()
    assert token_of(connection) in server.access_tokens


@pytest.mark.parametrize("gone", ["row", "tokens"])
def test_an_account_that_was_disconnected_meanwhile(config, connection, gone):
    adapter = adapter_of(config)
    if gone == "row":
        connection.delete()
    else:
        fresh(connection, refresh_token="")
    with pytest.raises(CredentialsRefused, match="disconnected"):
        async_to_sync(adapter.token_source)()


def test_the_pair_is_not_lost_while_the_database_is_away(config, connection, monkeypatch):
    from django.db import OperationalError

    keep, fails = connections.keep, [OperationalError("locked"), OperationalError("locked")]

    def moody(*args, **more):
        if fails:
            raise fails.pop()
        return keep(*args, **more)

    monkeypatch.setattr(connections, "keep", moody)
    assert healthy(config).ok
    assert token_of(connection) != "test-access-canva-0"


def test_an_unavailable_token_endpoint_tries_the_same_provider_again(server, config, connection):
    server.fault("token", Fault.http(503))
    with pytest.raises(Unavailable):
        async_to_sync(adapter_of(config).token_source)()
    assert isinstance(async_to_sync(adapter_of(config).token_source)(), Secret)
