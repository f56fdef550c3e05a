"""Webhooks out: signed, sent once at a time, sent again as long as it makes sense, and never to a private place."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.management import call_command
from django.db import connections

from mediagen import tasks
from mediagen.engine.events import delivery, endpoints, messages
from mediagen.engine.maintenance import sweep
from mediagen.errors import InvalidRequest
from mediagen.models import WebhookEndpoint, WebhookMessage
from mediagen.models.clock import db_now
from mediagen.secrets import Secret
from tests.factories import WebhookEndpointFactory
from tests.fake_dns import PRIVATE, PUBLIC, dns
from tests.overheard import forms_of
from tests.receiver import receiving

__all__ = ["dns"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(settings):
    with receiving() as receiver:
        settings.MEDIAGEN = {"TRUSTED_HOSTS": [receiver.host], "RUN_IN_SERVER": False, "CONNECT_TIMEOUT_S": 2.0}
        yield receiver


@pytest.fixture
def endpoint(receiver):
    return WebhookEndpointFactory(url=receiver.url)


def deliver():
    return async_to_sync(delivery.deliver_due)()


def make_due():
    WebhookMessage.objects.filter(state="pending").update(next_try_at=db_now() - timedelta(seconds=1))


def waits_s(message):
    message.refresh_from_db()
    return (message.next_try_at - db_now()).total_seconds()


# ---------------------------------------------------------------- signing


def test_the_signature_is_that_of_the_standard():
    # The example of https://github.com/standard-webhooks/standard-webhooks, spec and libraries.
    secret = Secret("whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = delivery.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_arrives_can_be_verified(endpoint, receiver):
    message = messages.send_test(endpoint)
    assert deliver() == 1

    [got] = receiver.got
    assert got.path == "/hooks/mediagen"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == str(message.pk)
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60
    key = base64.b64decode(endpoint.secret.reveal().reveal().removeprefix("whsec_"))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    assert json.loads(got.body)["type"] == "webhook.test"
    message.refresh_from_db()
    assert (message.state, message.http_status, message.tries) == ("delivered", 204, 1)
    assert message.delivered_at is not None


def test_each_secret_is_another_and_long_enough():
    first, second = delivery.new_secret().reveal(), delivery.new_secret().reveal()

    assert first != second
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32


# ---------------------------------------------------------------- trying again


def test_what_is_not_taken_comes_again_with_the_same_id_and_words(endpoint, receiver):
    receiver.answers = [(500, {}, b"busy"), (200, {}, b"ok")]
    message = messages.send_test(endpoint)
    deliver()
    message.refresh_from_db()
    assert (message.state, message.http_status, message.message) == ("pending", 500, "It answered 500: busy")
    assert 2 < waits_s(message) < 8
    assert deliver() == 0  # not before its time

    make_due()
    deliver()
    message.refresh_from_db()
    assert (message.state, message.tries, message.message) == ("delivered", 2, "")
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1


def test_in_a_site_without_time_zones(endpoint, receiver, settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    receiver.answers = [(500, {}, b""), (200, {}, b"")]
    message = messages.send_test(endpoint)
    assert deliver() == 1
    message.refresh_from_db()
    assert 2 < waits_s(message) < 8
    assert 1 < delivery.due_in_s() < 8
    assert deliver() == 0
    make_due()
    assert deliver() == 1
    assert message.payload["timestamp"].endswith("Z")


def test_it_is_given_up_after_some_three_days(endpoint, receiver):
    receiver.answers = [(503, {}, b"")]
    message = messages.send_test(endpoint)
    waits = []
    for _ in range(30):
        make_due()
        if not deliver():
            break
        message.refresh_from_db()
        if message.state == "pending":
            waits.append(waits_s(message))

    assert message.state == "failed"
    assert message.tries == len(receiver.got) == len(waits) + 1 == 10
    assert 60 * 3600 < sum(waits) < 100 * 3600
    for waited, usual in zip(waits, delivery.WAITS_S, strict=True):
        assert 0.75 * usual - 2 < waited < 1.25 * usual


@pytest.mark.parametrize(
    ("asked", "least", "most"), [("120", 110, 130), ("nonsense", 2, 8), ("999999999", 86_000, 110_000)]
)
def test_retry_after_is_honoured(endpoint, receiver, asked, least, most):
    receiver.answers = [(429, {"retry-after": asked}, b"")]
    message = messages.send_test(endpoint)
    deliver()

    assert least < waits_s(message) < most


def test_410_puts_the_endpoint_off(endpoint, receiver):
    receiver.answers = [(410, {}, b"")]
    message = messages.send_test(endpoint)
    deliver()
    message.refresh_from_db()
    endpoint.refresh_from_db()

    assert message.state == "failed"
    assert (endpoint.enabled, "410" in endpoint.disabled_reason) == (False, True)
    messages.send_test(endpoint)
    assert deliver() == 0  # it waits until somebody puts the endpoint on
    WebhookEndpoint.objects.update(enabled=True)
    receiver.answers = []
    assert deliver() == 1


def test_one_that_hangs_holds_up_no_other(endpoint, receiver, monkeypatch):
    monkeypatch.setattr(delivery, "TIMEOUT_S", 0.3)
    release = threading.Event()

    def hang():
        release.wait(10)
        return 204, {}, b""

    with receiving() as other:
        receiver.answers = [hang]
        delivery.conf.user_settings()["TRUSTED_HOSTS"].append(other.host)
        second = WebhookEndpointFactory(url=other.url)
        hung = [messages.send_test(endpoint) for _ in range(12)]
        sent = [messages.send_test(second) for _ in range(12)]
        deliver()
        release.set()

        assert len(other.got) == 12
        assert len(receiver.got) <= 2 * delivery.AT_ONCE_PER_ENDPOINT
    assert {message.state for message in WebhookMessage.objects.filter(pk__in=[m.pk for m in sent])} == {"delivered"}
    states = WebhookMessage.objects.filter(pk__in=[m.pk for m in hung]).values_list("state", "tries")
    assert {state for state, _ in states} == {"pending"}
    assert any(tries == 0 for _, tries in states)  # what was not sent has lost none of its tries
    assert "did not answer" in " ".join(WebhookMessage.objects.values_list("message", flat=True))


def test_a_receiver_that_is_not_there(endpoint, receiver):
    WebhookEndpoint.objects.update(url="http://127.0.0.1:1/")
    delivery.conf.user_settings()["TRUSTED_HOSTS"].append("127.0.0.1:1")
    message = messages.send_test(endpoint)
    deliver()
    message.refresh_from_db()

    assert (message.state, message.http_status) == ("pending", None)
    assert "could not connect" in message.message


def test_a_long_or_broken_answer_is_an_answer(endpoint, receiver):
    receiver.answers = [
        (200, {}, b"x" * 3_000_000),
        (200, {"content-length": "100000"}, b"cut off"),
        (500, {}, b"y" * 10_000),
    ]
    for _ in range(3):
        messages.send_test(endpoint)
        deliver()

    states = list(WebhookMessage.objects.order_by("id").values_list("state", flat=True))
    assert states == ["delivered", "delivered", "pending"]
    assert max(len(message.message) for message in WebhookMessage.objects.all()) < 600


def test_the_secret_is_in_no_message_or_log_even_if_it_comes_back(endpoint, receiver, caplog):
    secret = endpoint.secret.reveal().reveal()
    receiver.answers = [(500, {}, f"your secret is {secret}\n\x00 forged line".encode())]
    with caplog.at_level(logging.DEBUG):
        messages.send_test(endpoint)
        deliver()
    message = WebhookMessage.objects.select_related("endpoint").get()

    seen = f"{caplog.text} {vars(message)!r} {message!r} {message.endpoint!r} {vars(message.endpoint)!r}"
    assert not [form for form in forms_of(secret) if form in seen]
    assert "[secret]" in message.message
    assert "\n" not in message.message
    assert "\x00" not in message.message


def test_a_secret_that_cannot_be_read_says_so(endpoint, settings):
    message = messages.send_test(endpoint)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(secret="fernet1:broken")
    deliver()
    message.refresh_from_db()

    assert "Make a new one" in message.message


# ---------------------------------------------------------------- where to


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest", "/elsewhere"])
def test_a_redirect_is_not_followed(endpoint, receiver, location):
    receiver.answers = [(302, {"location": location}, b"")]
    message = messages.send_test(endpoint)
    deliver()
    message.refresh_from_db()

    assert len(receiver.got) == 1
    assert "redirects are not followed" in message.message


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/",
        "https://2130706433/",
        "http://public.example.com/",
        "https://private.example.com/",
        "https://both.example.com/",
        "https://user:pass@public.example.com/",
        "ftp://public.example.com/",
        "no address at all",
    ],
)
def test_private_and_plain_addresses_are_refused_at_every_try(url, dns, settings):
    settings.MEDIAGEN = {"RUN_IN_SERVER": False}
    dns.table.update({"public.example.com": [PUBLIC], "private.example.com": [PRIVATE]})
    dns.table["both.example.com"] = [PUBLIC, PRIVATE]
    message = messages.send_test(WebhookEndpointFactory(url=url))
    deliver()
    message.refresh_from_db()

    assert (message.state, message.http_status) == ("pending", None)
    assert "refused" in message.message


def test_the_address_that_was_judged_is_the_one_that_is_asked(dns, settings, monkeypatch):
    """A second look-up, which could give a private address, is not made."""
    settings.MEDIAGEN = {"RUN_IN_SERVER": False}
    dns.table["rebinding.example.com"] = [PUBLIC]
    asked = []

    async def send(method, target, **kwargs):
        asked.append(target)
        raise delivery.ProviderError("stop here")

    monkeypatch.setattr(delivery.http, "send", send)
    messages.send_test(WebhookEndpointFactory(url="https://rebinding.example.com/hook"))
    deliver()

    assert [(target.host, target.address) for target in asked] == [("rebinding.example.com", PUBLIC)]
    assert dns.asked.count("rebinding.example.com") == 1


# ---------------------------------------------------------------- who sends


def test_two_senders_send_each_message_once(endpoint, receiver):
    for _ in range(20):
        messages.send_test(endpoint)

    async def both():
        return await asyncio.gather(delivery.deliver_due(), delivery.deliver_due())

    assert sum(async_to_sync(both)()) == 20
    assert len({got.headers["webhook-id"] for got in receiver.got}) == len(receiver.got) == 20


def test_what_a_dead_sender_held_is_sent_by_the_next(endpoint, receiver):
    message = messages.send_test(endpoint)
    assert len(delivery._claim()) == 1  # and dies
    assert deliver() == 0
    WebhookMessage.objects.update(lease_until=db_now() - timedelta(seconds=1))
    assert deliver() == 1

    message.refresh_from_db()
    assert (message.state, message.tries) == ("delivered", 2)


def test_a_sender_that_comes_back_late_changes_nothing(endpoint, receiver):
    messages.send_test(endpoint)
    [late] = delivery._claim()
    WebhookMessage.objects.update(lease_until=db_now() - timedelta(seconds=1))
    deliver()
    delivery._record(late, delivery.Fate(False, "too late"))

    assert WebhookMessage.objects.get().state == "delivered"


def test_replayed_messages_have_their_old_id(endpoint, receiver):
    message = messages.send_test(endpoint)
    deliver()
    assert messages.replay([message.pk]) == 1
    deliver()

    assert [got.headers["webhook-id"] for got in receiver.got] == [str(message.pk)] * 2
    message.refresh_from_db()
    assert (message.state, message.tries) == ("delivered", 1)


def test_maintenance_sends_what_is_due_and_removes_what_is_over(endpoint, receiver):
    messages.send_test(endpoint)
    old, off = messages.send_test(endpoint), messages.send_test(WebhookEndpointFactory(enabled=False))
    long_ago = db_now() - delivery.KEPT_FOR - timedelta(days=1)
    WebhookMessage.objects.filter(pk=old.pk).update(state="delivered", created_at=long_ago)
    WebhookMessage.objects.filter(pk=off.pk).update(created_at=db_now() - timedelta(days=8))

    assert sweep.maintain().webhooks_sent == 1
    assert sorted(WebhookMessage.objects.values_list("state", flat=True)) == ["delivered", "failed"]


@pytest.mark.django_db(transaction=True)
class TestAfterTheCommit:
    def test_the_server_process_sends_and_tries_again(self, receiver, settings, monkeypatch):
        settings.MEDIAGEN = {**settings.MEDIAGEN, "RUN_IN_SERVER": True}
        monkeypatch.setattr(delivery, "WAITS_S", (0.05,) * 9)
        finished = threading.Event()
        wait = delivery._deliverer.until_nothing_waits

        async def and_then(self):
            try:
                await wait()
            finally:
                await sync_to_async(connections.close_all)()
                finished.set()

        monkeypatch.setattr(delivery._deliverer, "until_nothing_waits", lambda: and_then(None))
        receiver.answers = [(500, {}, b""), (200, {}, b"")]
        messages.send_test(WebhookEndpointFactory(url=receiver.url))

        assert finished.wait(30)
        assert len(receiver.got) == 2

    def test_a_task_engine_is_told(self, receiver, settings, monkeypatch):
        told = []

        class Task:
            def using(self, **how):
                told.append(how)
                return self

            def enqueue(self, *args):
                told.append(args)

        monkeypatch.setattr(tasks, "deliver_webhooks", Task())  # imported above, where no engine is named
        settings.MEDIAGEN = {**settings.MEDIAGEN, "TASK_BACKEND": "default"}
        messages.send_test(WebhookEndpointFactory(url=receiver.url))

        assert told == [{"backend": "default", "queue_name": "default"}, ()]

    def test_an_engine_that_is_away_loses_nothing(self, receiver, settings, monkeypatch, caplog):
        class Task:
            def using(self, **how):
                raise ConnectionError("no broker")

        monkeypatch.setattr(tasks, "deliver_webhooks", Task())  # imported above, where no engine is named
        settings.MEDIAGEN = {**settings.MEDIAGEN, "TASK_BACKEND": "default"}
        messages.send_test(WebhookEndpointFactory(url=receiver.url))

        assert "wait for a sweep" in caplog.text
        assert deliver() == 1

    def test_the_worker_command_sends(self, receiver, settings):
        messages.send_test(WebhookEndpointFactory(url=receiver.url))
        call_command("generate_worker", "--until-done", verbosity=0)

        assert len(receiver.got) == 1


# ---------------------------------------------------------------- endpoints


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("url", "http://shop.example.com/"),
        ("url", "https://10.0.0.1/"),
        ("url", "https://user:pass@shop.example.com/"),
        ("url", "https://[broken/"),
        ("url", "https://shop.example.com/" + "x" * 1000),
        ("events", ["asset.eaten"]),
    ],
)
def test_an_endpoint_that_cannot_be_names_its_field(field, value):
    with pytest.raises(InvalidRequest) as caught:
        endpoints.create(**{"name": "shop", "url": "https://shop.example.com/", field: value})

    assert caught.value.field == field
    assert not WebhookEndpoint.objects.exists()


def test_another_secret_signs_from_then_on(endpoint, receiver):
    secret = endpoints.new_secret(endpoint)
    messages.send_test(endpoint)
    deliver()

    [got] = receiver.got
    stamp = int(got.headers["webhook-timestamp"])
    assert got.headers["webhook-signature"] == delivery.signature(secret, got.headers["webhook-id"], stamp, got.body)


def test_put_on_again_it_forgets_why_it_was_off():
    made = endpoints.create("shop", "https://shop.example.com/", enabled=False)
    delivery.disable(made.endpoint, "410")
    made.endpoint.enabled = True
    endpoints.change(made.endpoint)

    row = WebhookEndpoint.objects.get()
    assert (row.enabled, row.disabled_reason) == (True, "")
    assert row.secret.reveal().reveal() == made.secret.reveal()
