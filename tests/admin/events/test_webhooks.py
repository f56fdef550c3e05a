"""Webhooks out in the admin: the secret once, messages with their fate, and nothing of libraries one may not see."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import connection
from django.urls import reverse

from mediagen.engine.events import messages
from mediagen.models import WebhookEndpoint, WebhookMessage
from mediagen.types import uuid7
from tests.admin.conftest import act, page, said
from tests.factories import MediaLibraryFactory, UserFactory, WebhookEndpointFactory

pytestmark = pytest.mark.django_db

MAY = [f"{what}_webhookendpoint" for what in ("view", "add", "change", "delete")]
MAY += ["view_webhookmessage", "change_webhookmessage"]


@pytest.fixture
def all_seeing(signed_in):
    return signed_in(*MAY, "view_all_libraries")


def make(client, **values):
    form = {"name": "shop", "url": "https://shop.example.com/hooks", "enabled": "on", **values}
    return client.post(page("webhookendpoint", "add"), form)


def post(client, name, pk):
    return client.post(reverse(f"admin:mediagen_webhookendpoint_{name}", args=[pk]))


def secret_in(response):
    [found] = re.findall(r"whsec_[A-Za-z0-9+/=]{40,}", response.content.decode())
    return found


def test_the_secret_is_on_the_page_that_answers_and_on_no_other(all_seeing):
    response = make(all_seeing, events=["asset.ready"])
    secret = secret_in(response)
    endpoint = WebhookEndpoint.objects.get()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM mediagen_webhookendpoint")
        raw = repr(cursor.fetchall())
    pages = [page("webhookendpoint"), *(page("webhookendpoint", name, endpoint.pk) for name in ("change", "history"))]
    seen = "".join(all_seeing.get(address).content.decode() for address in [*pages, "/admin/"])
    seen += raw + repr(list(LogEntry.objects.values()))
    seen += repr([session.get_decoded() for session in Session.objects.all()])

    assert endpoint.secret.reveal().reveal() == secret
    assert (endpoint.events, endpoint.library, endpoint.created_by) == (["asset.ready"], None, all_seeing.user)
    assert "no-store" in response["Cache-Control"]
    assert secret not in seen
    assert secret[-8:] not in seen


def test_changing_it_leaves_the_secret_and_a_new_one_is_shown_once(all_seeing):
    first = secret_in(make(all_seeing))
    endpoint = WebhookEndpoint.objects.get()
    form = {"name": "other", "url": "https://other.example.com/", "events": [], "enabled": ""}
    all_seeing.post(page("webhookendpoint", "change", endpoint.pk), form)
    endpoint.refresh_from_db()
    assert (endpoint.name, endpoint.enabled, endpoint.secret.reveal().reveal()) == ("other", False, first)

    second = secret_in(post(all_seeing, "secret", endpoint.pk))
    endpoint.refresh_from_db()
    assert endpoint.secret.reveal().reveal() == second != first


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"url": "http://shop.example.com/"},
        {"url": "https://127.0.0.1/"},
        {"url": "https://user:password@shop.example.com/"},
        {"url": "file:///etc/passwd"},
        {"events": ["asset.eaten"]},
        {"library": "nonsense"},
    ],
)
def test_a_wrong_form_comes_back_with_the_reason(all_seeing, values):
    response = make(all_seeing, **values)

    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_who_may_not_see_everything_has_only_endpoints_of_libraries(signed_in):
    client = signed_in(*MAY)
    mine, theirs = MediaLibraryFactory(owner=client.user), MediaLibraryFactory(owner=UserFactory())
    assert "errorlist" in make(client).content.decode()
    assert "errorlist" in make(client, library=theirs.pk).content.decode()
    secret_in(make(client, library=mine.pk))
    for name, library in (("of all", None), ("of theirs", theirs)):
        foreign = WebhookEndpointFactory(name=name, library=library)
        message = messages.send_test(foreign)
        for view in ("test", "secret"):
            assert post(client, view, foreign.pk).status_code == post(client, view, uuid7()).status_code == 404
        assert client.get(page("webhookendpoint", "change", foreign.pk)).status_code == 302
        assert client.get(page("webhookmessage", "change", message.pk)).status_code == 302
        act(client, "webhookmessage", "replay", message.pk)
    listed = client.get(page("webhookendpoint")).content.decode() + client.get(page("webhookmessage")).content.decode()

    assert "shop" in listed
    assert "of all" not in listed
    assert "of theirs" not in listed


def test_a_test_leads_to_its_fate_and_can_be_replayed(all_seeing):
    endpoint = WebhookEndpointFactory()
    response = post(all_seeing, "test", endpoint.pk)
    message = WebhookMessage.objects.get()
    shown = all_seeing.get(response["Location"]).content.decode()
    assert str(message.pk) in shown
    assert "webhook.test" in shown

    WebhookMessage.objects.update(state="failed", tries=10, message="It answered 500.")
    assert "It answered 500." in all_seeing.get(page("webhookmessage")).content.decode()
    response = act(all_seeing, "webhookmessage", "replay", message.pk)
    message.refresh_from_db()
    assert said(response)[-1] == "1 message is sent again."
    assert (message.state, message.tries) == ("pending", 0)


def test_messages_are_found_by_their_event(all_seeing):
    messages.send_test(WebhookEndpointFactory(name="the shop"))
    shown = [all_seeing.get(page("webhookmessage"), {"event": event}) for event in ("webhook.test", "asset.ready")]

    assert [response.content.decode().count(">the shop<") for response in shown] == [1, 0]


def test_who_may_only_look_can_only_look(signed_in):
    client = signed_in("view_webhookendpoint", "view_webhookmessage", "view_all_libraries")
    endpoint = WebhookEndpointFactory()
    message = messages.send_test(endpoint)
    WebhookMessage.objects.update(state="failed")

    assert make(client).status_code == 403
    assert post(client, "secret", endpoint.pk).status_code == 404
    assert "Make a new secret" not in client.get(page("webhookendpoint", "change", endpoint.pk)).content.decode()
    act(client, "webhookmessage", "replay", message.pk)
    assert WebhookMessage.objects.get().state == "failed"


def test_deleting_takes_the_messages_along(all_seeing):
    endpoint = WebhookEndpointFactory()
    messages.send_test(endpoint)
    all_seeing.post(page("webhookendpoint", "delete", endpoint.pk), {"post": "yes"})

    assert not WebhookEndpoint.objects.exists()
    assert not WebhookMessage.objects.exists()
