"""Watching without a header: a ticket is good for one generation, for an hour, with the rights of now."""

from __future__ import annotations

from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core import signing
from django.test import AsyncClient

from mediagen.engine.library import tickets, tokens
from tests.api.callers import Caller
from tests.factories import MediaAssetFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr("mediagen.api.generation.generations.STREAM_S", 0.0)


def generation(caller, state="running"):
    asset = MediaAssetFactory(generation_state=state, created_by=caller.user, generation_id=uuid4())
    return asset, caller.get(f"/api/v1/generations/{asset.generation_id}/").json()


def watch(address, **headers):
    parts = urlsplit(address)

    async def run():
        response = await AsyncClient().get(f"{parts.path}?{parts.query}", headers=headers)
        if not response.streaming:
            return response, response.content.decode()
        return response, b"".join([part async for part in response.streaming_content]).decode()

    return async_to_sync(run)()


def test_a_browser_watches_with_the_address_alone(soon, settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "LINK_ORIGINS": ["https://app.example"]}
    asset, body = generation(Caller())
    response, content = watch(body["stream_url"], origin="https://app.example")
    assert response.status_code == 200
    assert str(asset.pk) in content
    assert response["Access-Control-Allow-Origin"] == "https://app.example"
    assert response["Referrer-Policy"] == "no-referrer"


def test_there_is_none_when_all_is_over():
    assert generation(Caller(), state="failed")[1]["stream_url"] is None


def test_for_another_generation_it_is_good_for_nothing(soon):
    caller = Caller()
    _, body = generation(caller)
    _, other = generation(caller)
    ticket = urlsplit(body["stream_url"]).query
    assert watch(f"{other['events_url']}?{ticket}")[0].status_code == 401
    assert watch(body["events_url"])[0].status_code == 401
    assert watch(f"{body['url']}?{ticket}")[0].status_code == 401


def test_it_ends_with_the_hour_with_the_token_and_with_the_person(soon, monkeypatch):
    caller = Caller()
    _, body = generation(caller)
    monkeypatch.setattr(tickets, "VALID_S", -1.0)
    assert watch(body["stream_url"])[0].status_code == 401
    monkeypatch.undo()
    tokens.revoke([caller.token.pk])
    assert watch(body["stream_url"])[0].status_code == 401


def test_the_rights_are_those_of_now(soon):
    caller = Caller()
    _, body = generation(caller)
    caller.user.is_active = False
    caller.user.save()
    assert watch(body["stream_url"])[0].status_code == 401


@pytest.mark.parametrize("text", ["", "x", "a:b:c", "signed", "é" * 500])
def test_what_is_no_ticket(soon, text):
    _, body = generation(Caller())
    given = signing.dumps({"a": 1}, salt=tickets.SALT) if text == "signed" else text
    assert watch(f"{body['events_url']}?ticket={quote(given)}")[0].status_code == 401
