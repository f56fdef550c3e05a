"""webhooks/: endpoints of one's libraries, secrets that are told once, messages sent again."""

from __future__ import annotations

from typing import Any

import pytest

from mediagen.engine.events import endpoints, messages
from mediagen.models import WebhookEndpoint, WebhookMessage
from tests.api.callers import EVERYTHING, SCOPES, Caller
from tests.factories import MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

API = "/api/v1/webhooks/"
ENDPOINTS, MESSAGES = f"{API}endpoints/", f"{API}messages/"
MAY = [
    *EVERYTHING,
    *(f"{verb}_webhookendpoint" for verb in ("view", "add", "change", "delete")),
    *(f"{verb}_webhookmessage" for verb in ("view", "change")),
]
ADDRESS = "https://shop.example.com/hooks"


def caller(*more: str, **fields: Any) -> Caller:
    return Caller(UserFactory(may=[*MAY, *more]), scopes=(*SCOPES, "manage"), **fields)


@pytest.fixture
def all_seeing():
    return caller("view_all_libraries")


def test_a_secret_is_told_once(all_seeing):
    response = all_seeing.send(ENDPOINTS, {"name": "shop", "address": ADDRESS, "events": ["asset.ready"]})
    body = response.json()
    assert response.status_code == 201, body
    secret = body.pop("secret")
    assert WebhookEndpoint.objects.get().secret.reveal().reveal() == secret
    assert all_seeing.get(body["url"]).json() == body
    assert secret not in all_seeing.get(ENDPOINTS).text
    again = all_seeing.send(f"{body['url']}secret/", {}).json()["secret"]
    assert again not in (secret, "")
    assert WebhookEndpoint.objects.get().secret.reveal().reveal() == again


def test_changed_and_removed(all_seeing):
    made = all_seeing.send(ENDPOINTS, {"name": "shop", "address": ADDRESS}).json()
    tag = all_seeing.get(made["url"])["ETag"]
    changed = all_seeing.send(made["url"], {"enabled": False, "name": "store"}, "patch", **{"If-Match": tag}).json()
    assert (changed["name"], changed["enabled"], changed["address"]) == ("store", False, ADDRESS)
    assert all_seeing.send(made["url"], {"name": "x"}, "patch", **{"If-Match": tag}).status_code == 412
    assert all_seeing.delete(made["url"]).status_code == 204
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize("address", ["http://10.0.0.1/", "https://127.0.0.1/x", "ftp://shop.example.com/", "shop"])
def test_addresses_that_are_never_asked(all_seeing, address):
    response = all_seeing.send(ENDPOINTS, {"name": "x", "address": address})
    assert (response.status_code, response.json()["field"]) == (400, "address")


class TestLibraries:
    def test_who_does_not_see_all_names_one_that_he_sees(self):
        mine, hidden = caller(), MediaLibraryFactory(owner=UserFactory())
        own = MediaLibraryFactory(owner=mine.user)
        for library in (None, str(hidden.pk)):
            response = mine.send(ENDPOINTS, {"name": "x", "address": ADDRESS, "library": library})
            assert (response.status_code, response.json()["field"]) == (400, "library")
        made = mine.send(ENDPOINTS, {"name": "x", "address": ADDRESS, "library": own.slug}).json()
        assert mine.send(made["url"], {"library": None}, "patch").status_code == 400

    def test_a_bound_token_has_those_of_its_library(self):
        own, other = MediaLibraryFactory(), MediaLibraryFactory()
        bound = caller("view_all_libraries", library=own)
        theirs = endpoints.create("other", ADDRESS, library=other).endpoint
        every = endpoints.create("all", ADDRESS).endpoint
        told = [messages.send_test(one) for one in (theirs, every)]
        made = bound.send(ENDPOINTS, {"name": "x", "address": ADDRESS}).json()
        assert made["library"]["id"] == str(own.pk)
        assert [row["id"] for row in bound.get(ENDPOINTS).json()["results"]] == [made["id"]]
        assert bound.send(made["url"], {"library": str(other.pk)}, "patch").status_code == 400
        assert bound.get(MESSAGES).json()["results"] == []
        for one in told:
            assert bound.send(f"{MESSAGES}{one.pk}/replay/", {}).status_code == 404


def test_a_message_is_sent_again(all_seeing):
    endpoint = endpoints.create("x", ADDRESS, enabled=False).endpoint
    test = all_seeing.send(f"{ENDPOINTS}{endpoint.pk}/test/", {}).json()
    assert (test["event"], test["state"]) == ("webhook.test", "pending")
    WebhookMessage.objects.update(state="failed", tries=9, http_status=500)
    assert (
        all_seeing.get(MESSAGES, {"state": "failed", "endpoint": str(endpoint.pk)}).json()["results"][0]["tries"] == 9
    )
    again = all_seeing.send(f"{test['url']}replay/", {}).json()
    assert (again["id"], again["state"], again["tries"], again["http_status"]) == (test["id"], "pending", 0, None)
    assert all_seeing.get(test["url"]).json()["payload"]["type"] == "webhook.test"
    assert all_seeing.get(MESSAGES, {"state": "lost"}).json()["field"] == "state"


def test_an_endpoint_of_another_library_now_takes_no_messages_there(all_seeing):
    theirs = caller()
    own, other = MediaLibraryFactory(owner=theirs.user), MediaLibraryFactory(owner=UserFactory())
    endpoint = endpoints.create("x", ADDRESS, library=other).endpoint
    told = WebhookMessage.objects.create(endpoint=endpoint, event="asset.ready", payload={"prompt": "of the other"})
    path = f"{ENDPOINTS}{endpoint.pk}/"
    for library in (str(other.pk), None):
        assert all_seeing.send(path, {"library": library}, "patch").status_code == 200
        assert all_seeing.get(f"{MESSAGES}{told.pk}/").status_code == 200
    assert all_seeing.send(path, {"library": str(own.pk)}, "patch").status_code == 200
    assert theirs.get(path).status_code == 200
    assert theirs.get(MESSAGES).json()["results"] == []
    assert theirs.send(f"{MESSAGES}{told.pk}/replay/", {}).status_code == 404
