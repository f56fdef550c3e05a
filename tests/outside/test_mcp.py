"""An assistant's client, the official SDK's own, on a served site."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from io import BytesIO

import pytest
from PIL import Image

from mediagen.engine.library import tokens
from mediagen.models import MediaAsset
from tests.engine.work.working import use_local
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.serving import served

__all__ = ["served"]

mcp = pytest.importorskip("mcp")

pytestmark = [pytest.mark.outside, pytest.mark.filterwarnings("default"), pytest.mark.urls("tests.outside.mcp_urls")]

EVERYTHING = ("view_mediaasset", "add_mediaasset", "change_mediaasset", "approve_mediaasset")


def token(*scopes, may=EVERYTHING, **kw):
    user = UserFactory(may=list(may), is_staff=False)
    return tokens.issue(user, "assistant", scopes=list(scopes) or ["read", "generate", "approve"], **kw).text.reveal()


@asynccontextmanager
async def connected(served, key, **kw):
    import httpx2
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client

    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30) as http:
        transport = streamable_http_client(f"{served}/mcp/", http_client=http)
        async with Client(transport, **kw) as client:
            yield client


def talk(served, key, conversation, **kw):
    async def run():
        async with connected(served, key, **kw) as client:
            return await conversation(client)

    return asyncio.run(run())


def call(served, key, name, **arguments):
    return talk(served, key, lambda client: client.call_tool(name, arguments))


def words(result):
    return result.content[0].text


def test_it_says_what_there_is(served):
    async def conversation(client):
        return await client.list_tools(), await client.list_resource_templates()

    listed, templates = talk(served, token(), conversation)
    names = {tool.name for tool in listed.tools}
    assert {"generate_images", "generation_status", "search_images", "show_image", "approve_image"} <= names
    assert all(tool.description and tool.input_schema["additionalProperties"] is False for tool in listed.tools)
    assert templates.resource_templates[0].uri_template == "mediagen://assets/{id}"


def test_a_picture_is_made_found_shown_and_approved(served, settings):
    use_local(settings)
    key = token()
    made = call(served, key, "generate_images", prompt="A lighthouse", width=64, height=64, tags=["sea"])
    assert not made.is_error, words(made)
    assert made.structured_content["state"] == "ready"
    picture = Image.open(BytesIO(base64.b64decode(made.content[1].data)))
    assert picture.format == "JPEG"
    pk = made.structured_content["assets"][0]["id"]

    found = call(served, key, "search_images", query="lighthouse", tag="sea")
    assert [asset["id"] for asset in found.structured_content["results"]] == [pk]

    async def read(client):
        return await client.list_resources(), await client.read_resource(f"mediagen://assets/{pk}")

    listed, content = talk(served, key, read)
    assert [str(one.uri) for one in listed.resources] == [f"mediagen://assets/{pk}"]
    assert Image.open(BytesIO(base64.b64decode(content.contents[0].blob))).size == (64, 64)

    assert "is approved" in words(call(served, key, "approve_image", id=pk))
    assert MediaAsset.objects.get().status == "approved"
    assert call(served, key, "show_image", id=pk).structured_content["review"] == "approved"


def test_what_takes_longer_than_the_client_waits_gives_a_handle_and_is_made_once(served, settings):
    asked = []

    async def slow(prompt):
        asked.append(prompt)
        await asyncio.sleep(1.0)

    use_local(settings, slow)
    key = token()
    begun = call(served, key, "generate_images", prompt="A lighthouse", width=64, height=64, wait_seconds=0)
    assert "generation_status" in words(begun)
    over = call(served, key, "generation_status", id=begun.structured_content["id"], wait_seconds=20)
    assert over.structured_content["state"] == "ready"
    assert len(over.content) == 2
    assert asked == ["A lighthouse"]


def test_a_key_makes_a_repeated_call_one_purchase(served, settings):
    use_local(settings)
    key = token()
    arguments = {"prompt": "A lighthouse", "width": 64, "height": 64, "idempotency_key": "once"}
    ids = {call(served, key, "generate_images", **arguments).structured_content["id"] for _ in range(2)}
    assert (len(ids), MediaAsset.objects.count()) == (1, 1)


def test_rights_are_the_apis(served, settings):
    use_local(settings)
    reader = token("read")
    refused = call(served, reader, "generate_images", prompt="A lighthouse")
    assert refused.is_error
    assert "scope generate" in words(refused)
    foreign = MediaAssetFactory(library=MediaLibraryFactory())
    bound = token("read", library=MediaLibraryFactory())
    assert call(served, bound, "show_image", id=str(foreign.pk)).is_error
    assert call(served, bound, "search_images").structured_content["results"] == []
    assert MediaAsset.objects.count() == 1


@pytest.mark.parametrize("key", ["", "mgt_wrong"])
def test_without_a_valid_token_nobody_talks(served, key):
    import urllib.error
    import urllib.request

    request = urllib.request.Request(f"{served}/mcp/", data=b"{}", headers={"Content-Type": "application/json"})
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=20)
    assert refused.value.code == 401
    assert "Bearer" in refused.value.headers["WWW-Authenticate"]


def test_wrong_arguments_say_what_is_right(served):
    key = token()
    for name, arguments, says in (
        ("generate_images", {}, "needs prompt"),
        ("generate_images", {"prompt": "x", "colour": "red"}, "has no argument 'colour'"),
        ("generate_images", {"prompt": "x", "width": -1}, "width"),
        ("show_image", {"id": "x"}, "That is no id"),
        ("show_image", {"id": "01a2275978c075ada337c2b0792b611b"}, ""),
        ("paint", {}, "There is no tool"),
    ):
        result = call(served, key, name, **arguments)
        assert result.is_error, (name, arguments)
        assert says in words(result)


def test_status_tells_of_the_site_without_keys(served, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    result = call(served, token(), "site_status")
    assert {"me", "libraries", "providers"} <= result.structured_content.keys()
    assert "sk-planted" not in result.model_dump_json()


def test_an_older_client_with_its_handshake(served):
    async def listed(client):
        return (await client.list_tools()).tools

    assert len(talk(served, token(), listed, mode="legacy")) == 7


def test_under_wsgi_too(django_db_serialized_rollback, transactional_db, settings):
    from django.test import Client

    use_local(settings)
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "generate_images", "arguments": {"prompt": "A lighthouse", "width": 64, "height": 64}},
    }
    headers = {"Authorization": f"Bearer {token()}", "Accept": "application/json, text/event-stream"}
    answer = Client().post("/mcp/", message, content_type="application/json", headers=headers)
    assert answer.status_code == 200
    result = answer.json()["result"]
    assert not result["isError"], result
    assert result["structuredContent"]["state"] in ("ready", "pending", "running")
