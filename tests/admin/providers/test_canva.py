"""“Connect Canva”: the way to Canva and back, what may go wrong on it, and that no token or secret is shown on it."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from mediagen.models import CanvaConnection, ProviderConfig, ProviderHealth
from mediagen.providers.canva_oauth import challenge_of
from tests.admin.conftest import page, said
from tests.factories import moved_to
from tests.servers import CanvaServer, Fault

pytestmark = pytest.mark.django_db

CALLBACK = reverse("admin:mediagen_canva_callback")


@pytest.fixture
def server(canva_server) -> CanvaServer:
    return canva_server


@pytest.fixture
def config(server) -> ProviderConfig:
    row, _ = ProviderConfig.objects.get_or_create(name="canva_api", adapter="canva_api")
    row.base_url, row.dry_run = server.base_url, False
    row.options = {"authorize_url": f"{server.origin}/api/oauth/authorize"}
    row.save()
    return row


def address(config: ProviderConfig) -> str:
    return page("providerconfig", "canva", config.pk)


def set_client(client: Client, config: ProviderConfig, server: CanvaServer, **changes):
    data = {"client_id": server.client_id, "client_secret": server.client_secret, "save": "1", **changes}
    return client.post(address(config), data)


def link_to_canva(client: Client, config: ProviderConfig) -> str:
    text = client.get(address(config)).content.decode()
    return unescape(re.search(r'href="([^"]*authorize[^"]*)"', text)[1])


def answers(link: str) -> dict[str, str]:
    """Canva's consent page: where "Allow" and "Deny" lead."""
    response = httpx.get(link)
    assert response.status_code == 200, response.text
    return {name: unescape(where) for name, where in re.findall(r'id="(\w+)" href="([^"]+)"', response.text)}


def come_back(client: Client, where: str):
    parts = urlsplit(where)
    return client.get(f"{parts.path}?{parts.query}")


def connect(client: Client, config: ProviderConfig, server: CanvaServer):
    set_client(client, config, server)
    return come_back(client, answers(link_to_canva(client, config))["allow"])


def connection(config: ProviderConfig) -> CanvaConnection:
    return CanvaConnection.objects.get(provider=config)


def test_the_way_to_canva_and_back(admin_client, config, server):
    assert "CANVA_CLIENT_ID" in admin_client.get(address(config)).content.decode()
    stored = set_client(admin_client, config, server)
    assert (stored.status_code, "stored" in said(stored)[0]) == (302, True)
    link = link_to_canva(admin_client, config)
    query = parse_qs(urlsplit(link).query)
    assert query["redirect_uri"] == [f"http://testserver{CALLBACK}"]
    assert query["code_challenge_method"] == ["S256"]
    assert "asset:write" in query["scope"][0].split()
    response = come_back(admin_client, answers(link)["allow"])
    assert response["location"] == address(config)
    assert said(response)[-1] == "Connected: user auTest of team oiTest."
    row = connection(config)
    assert row.access_token.reveal().reveal() in server.access_tokens
    assert row.refresh_token.reveal().reveal() == server.refresh_token
    assert (row.account, row.broken, row.base_url) == ("user auTest of team oiTest", "", server.base_url)
    assert row.connected_by.is_superuser
    assert LogEntry.objects.filter(object_id=config.pk, change_message__contains="Connected a Canva account").exists()
    text = admin_client.get(address(config)).content.decode()
    assert "user auTest of team oiTest" in text
    assert "Connect again" in text
    own_page = admin_client.get(page("providerconfig", "change", config.pk)).content.decode()
    assert f'<a href="{address(config)}">Canva account</a>' in own_page
    assert "user auTest of team oiTest" in own_page
    assert "connected by OAuth" in admin_client.get(page("providerconfig")).content.decode()


def test_the_challenge_is_that_of_the_verifier_in_the_session(admin_client, config, server):
    set_client(admin_client, config, server)
    query = parse_qs(urlsplit(link_to_canva(admin_client, config)).query)
    [(state, consent)] = admin_client.session["mediagen_canva_consents"].items()
    assert query["state"] == [state]
    assert query["code_challenge"] == [challenge_of(consent["verifier"])]
    assert 43 <= len(consent["verifier"]) <= 128
    assert consent["verifier"] not in link_to_canva(admin_client, config)


def test_a_person_who_says_no(admin_client, config, server):
    set_client(admin_client, config, server)
    response = come_back(admin_client, answers(link_to_canva(admin_client, config))["deny"])
    assert "access_denied" in said(response)[-1]
    assert not connection(config).is_connected


@pytest.mark.parametrize("state", ["", "made-up"])
def test_an_answer_that_belongs_to_nobody(admin_client, config, server, state):
    set_client(admin_client, config, server)
    link_to_canva(admin_client, config)
    response = admin_client.get(CALLBACK, {"state": state, "code": server.authorization_code})
    assert "belongs to no page of yours" in said(response)[-1]
    assert server.requests_for("token") == []
    assert not connection(config).is_connected


def test_an_answer_counts_once(admin_client, config, server):
    set_client(admin_client, config, server)
    allow = answers(link_to_canva(admin_client, config))["allow"]
    come_back(admin_client, allow)
    assert "was used already" in said(come_back(admin_client, allow))[-1]
    assert len(server.requests_for("token")) == 1


def test_an_answer_of_another_person_is_not_taken(admin_client, signed_in, config, server):
    set_client(admin_client, config, server)
    allow = answers(link_to_canva(admin_client, config))["allow"]
    other = signed_in("change_providerconfig", "view_providerconfig", is_staff=True)
    assert "belongs to no page of yours" in said(come_back(other, allow))[-1]
    assert server.requests_for("token") == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.http(400, code="invalid_grant"), "invalid_grant"),
        (Fault.http(503), "503"),
        (Fault.reset_after_body_read(), "broke the connection"),
        (Fault.html_200(), "HTML"),
    ],
)
def test_an_exchange_that_fails_leaves_what_was(admin_client, config, server, fault, words):
    connect(admin_client, config, server)
    before = connection(config).refresh_token.stored
    server.fault("token", fault)
    response = come_back(admin_client, answers(link_to_canva(admin_client, config))["allow"])
    assert words in said(response)[-1]
    assert connection(config).refresh_token.stored == before


def test_connecting_again_mends_and_closes_the_breaker(admin_client, config, server):
    connect(admin_client, config, server)
    CanvaConnection.objects.update(broken="Canva refused to renew the token.")
    ProviderHealth.objects.create(provider_name="canva_api", operation="export_to_canva", state="open", failures=3)
    assert "Canva refused to renew" in admin_client.get(address(config)).content.decode()
    come_back(admin_client, answers(link_to_canva(admin_client, config))["allow"])
    assert connection(config).broken == ""
    assert not ProviderHealth.objects.exists()


def test_disconnecting_ends_the_tokens_here_and_at_canva(admin_client, config, server):
    connect(admin_client, config, server)
    response = admin_client.post(address(config), {"disconnect": "1"})
    assert said(response)[-1] == "The account is disconnected."
    row = connection(config)
    assert (row.is_connected, bool(row.access_token), row.account) == (False, False, "")
    assert (server.refresh_token, server.access_tokens) == ("", set())
    assert row.client_id == server.client_id


def test_disconnecting_while_canva_is_away(admin_client, config, server):
    connect(admin_client, config, server)
    server.fault("revoke", Fault.http(503))
    assert "remove the access in Canva" in said(admin_client.post(address(config), {"disconnect": "1"}))[-1]
    assert not connection(config).is_connected


def test_scopes_that_were_not_allowed_are_told(admin_client, config, server):
    server.scopes -= {"folder:write"}
    connect(admin_client, config, server)
    assert "folder:write" in admin_client.get(address(config)).content.decode()


@pytest.mark.parametrize(
    "changes", [{"client_id": ""}, {"client_secret": ""}, {"client_id": "a b"}, {"client_id": "a:b"}]
)
def test_ids_and_secrets_that_cannot_be(admin_client, config, server, changes):
    response = set_client(admin_client, config, server, **changes)
    assert response.status_code == 200
    assert response.context["form"].errors
    assert not CanvaConnection.objects.exists()


def test_the_environments_client_serves_too(admin_client, config, server, monkeypatch):
    monkeypatch.setenv("CANVA_CLIENT_ID", server.client_id)
    monkeypatch.setenv("CANVA_CLIENT_SECRET", server.client_secret)
    assert "not sent to http://127.0.0.1" in admin_client.get(address(config)).content.decode()
    ProviderConfig.objects.filter(pk=config.pk).update(**moved_to("canva_api", server.base_url))
    come_back(admin_client, answers(link_to_canva(admin_client, config))["allow"])
    row = connection(config)
    assert (row.is_connected, row.client_id, bool(row.client_secret)) == (True, "", False)


def test_a_changed_address_gets_neither_secret_nor_tokens(admin_client, config, server):
    connect(admin_client, config, server)
    config.base_url = "http://127.0.0.1:1/rest"
    config.save()
    text = admin_client.get(address(config)).content.decode()
    assert "another address" in text
    assert "Connect again" not in text
    assert "Canva could not be told" in said(admin_client.post(address(config), {"disconnect": "1"}))[-1]


@pytest.mark.parametrize(
    ("may", "status"), [([], 403), (["view_providerconfig"], 403), (["change_providerconfig"], 200)]
)
def test_who_may_connect(signed_in, config, server, may, status):
    client = signed_in(*may, is_staff=True)
    assert client.get(address(config)).status_code == status
    if status == 403:
        assert set_client(client, config, server).status_code == 403
        assert client.post(address(config), {"disconnect": "1"}).status_code == 403


def test_other_providers_have_no_such_page(admin_client, config):
    flux = ProviderConfig.objects.get(name="flux")
    assert admin_client.get(page("providerconfig", "canva", flux.pk)).status_code == 404
    assert "Connect Canva" not in admin_client.get(page("providerconfig", "change", flux.pk)).content.decode()
    assert "Connect Canva" in admin_client.get(page("providerconfig", "change", config.pk)).content.decode()


def test_nothing_secret_is_shown_logged_or_kept_in_the_history(admin_client, config, server, caplog):
    caplog.set_level("DEBUG")
    connect(admin_client, config, server)
    row = connection(config)
    hidden = [
        server.client_secret,
        row.access_token.reveal().reveal(),
        row.refresh_token.reveal().reveal(),
    ]
    pages = [
        address(config),
        page("providerconfig", "change", config.pk),
        page("providerconfig", "history", config.pk),
        page("providerconfig"),
    ]
    texts = [admin_client.get(where).content.decode() for where in pages]
    texts.append(set_client(admin_client, config, server, client_id="").content.decode())
    texts.append(caplog.text)
    texts.append(repr(vars(row)))
    texts.append(str(admin_client.session.items()))
    for value in hidden:
        assert not [number for number, text in enumerate(texts) if value in text], value[:8]
    columns = CanvaConnection.objects.values_list("client_secret", "access_token", "refresh_token").get()
    assert all(str(column) == "<StoredCredential set>" for column in columns)


@pytest.mark.django_db(transaction=True)
def test_a_site_with_atomic_requests_keeps_the_tokens(admin_client, config, server, settings):
    from django.db import connection as database

    database.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        connect(admin_client, config, server)
    finally:
        database.settings_dict["ATOMIC_REQUESTS"] = False
    assert connection(config).is_connected
