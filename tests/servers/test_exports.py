"""The servers that pictures are sent to: what Figma and Canva take, and what they refuse."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.servers import (
    CanvaServer,
    FigmaServer,
)
from tests.servers.bare import DESIGN, Call, ask, opened, right_call
from tests.servers.fixtures import RunningServers


# Figma
def figma(provider_servers: RunningServers) -> FigmaServer:
    server = provider_servers["figma_api"]
    assert isinstance(server, FigmaServer)
    return server


def test_figma_reads_and_renders(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = figma(provider_servers)
    file = f"/v1/files/{server.file_key}"
    document = ask(client, server, Call("GET", file + "?depth=1")).json()["document"]
    assert [(page["id"], page["type"]) for page in document["children"]] == [("0:1", "CANVAS"), ("0:2", "CANVAS")]
    assert ask(client, server, Call("GET", file + "/meta")).json()["file"]["editorType"] == "figma"
    fills = ask(client, server, Call("GET", file + "/images")).json()
    assert opened(client.get(fills["meta"]["images"]["4c0e1a"]).content) == ("PNG", (640, 480))
    renders = ask(client, server, Call("GET", f"/v1/images/{server.file_key}?ids=1:2,9:9&scale=2&format=jpg")).json()
    assert (renders["err"], renders["images"]["9:9"]) == (None, None)
    assert opened(client.get(renders["images"]["1:2"]).content) == ("JPEG", (1600, 1200))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/files/unknown/meta", None, 404),
        ("GET", "/v1/files/KEY?depth=0", None, 400),
        ("GET", "/v1/files/KEY?width=1", None, 400),
        ("GET", "/v1/images/KEY", None, 400),
        ("GET", "/v1/images/KEY?ids=1:2&format=webp", None, 400),
        ("GET", "/v1/images/KEY?ids=1:2&scale=5", None, 400),
        ("POST", "/v1/files/KEY/comments", {}, 400),
        ("POST", "/v1/files/KEY/comments", {"message": ""}, 400),
        ("POST", "/v1/files/KEY/comments", {"message": "x", "client_meta": {"x": 1}}, 400),
        (
            "POST",
            "/v1/files/KEY/comments",
            {"message": "x", "client_meta": {"node_id": "1:2", "node_offset": {"x": 1}}},
            400,
        ),
        (
            "POST",
            "/v1/files/KEY/comments",
            {"message": "x", "client_meta": {"node_id": "1-2", "node_offset": {"x": 1, "y": 1}}},
            400,
        ),
        ("POST", "/v1/files/KEY/comments", {"message": "x", "comment_id": "1"}, 404),
        ("POST", "/v1/dev_resources", {"dev_resources": []}, 400),
        ("POST", "/v1/dev_resources", {"dev_resources": [{"name": "x"}]}, 400),
        ("PUT", "/v1/files/KEY", {}, 404),
    ],
)
def test_figma_refuses(
    provider_servers: RunningServers, client: httpx.Client, method: str, path: str, body: Any, status: int
) -> None:
    server = figma(provider_servers)
    response = ask(
        client, server, Call(method, path.replace("KEY", server.file_key), {"json": body} if body is not None else {})
    )
    assert response.status_code == status
    expected = {"error", "status", "message"} if method == "POST" and status == 400 else {"status", "err"}
    assert set(response.json()) == expected
    assert not server.purchases


def test_figma_dev_resources_answer_200_even_when_nothing_was_made(
    provider_servers: RunningServers, client: httpx.Client
) -> None:
    server = figma(provider_servers)
    link = {"name": "Asset", "url": "https://example.com/1", "file_key": server.file_key, "node_id": "1:2"}
    many = [link | {"url": f"https://example.com/{number}"} for number in range(11)]
    wrong = [link, link | {"node_id": "1-2"}, link | {"file_key": "unknown"}]
    call = Call("POST", "/v1/dev_resources", {"json": {"dev_resources": many}})
    first = ask(client, server, call).json()
    assert (len(first["links_created"]), len(first["errors"])) == (10, 1)
    second = ask(client, server, Call("POST", "/v1/dev_resources", {"json": {"dev_resources": wrong}}))
    assert (second.status_code, second.json()["links_created"], len(second.json()["errors"])) == (200, [], 3)
    assert len(server.purchases) == 10


def test_figma_plan_tokens_may_neither_ask_nor_comment(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = figma(provider_servers)
    server.token_kind = "plan"
    assert ask(client, server, Call("GET", "/v1/me")).status_code == 403
    assert ask(client, server, right_call(client, server, "submit")).status_code == 403
    assert ask(client, server, right_call(client, server, "read")).status_code == 200
    bearer = client.get(
        f"{server.base_url}/v1/files/{server.file_key}/meta", headers={"authorization": f"Bearer {server.key}"}
    )
    assert bearer.status_code == 200


# Canva
def canva(provider_servers: RunningServers) -> CanvaServer:
    server = provider_servers["canva_api"]
    assert isinstance(server, CanvaServer)
    return server


def test_canva_goes_from_upload_to_design_to_export(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = canva(provider_servers)
    call = right_call(client, server, "poll")
    server.polls_until_ready = 2
    polls = [ask(client, server, call).json()["job"] for _ in range(2)]
    assert [poll["status"] for poll in polls] == ["in_progress", "success"]
    assert polls[-1]["asset"]["name"] == "Lighthouse"
    body = DESIGN | {"asset_id": polls[-1]["asset"]["id"]}
    design = ask(client, server, Call("POST", "/v1/designs", {"json": body})).json()["design"]
    assert ask(client, server, Call("GET", f"/v1/designs/{design['id']}")).json()["design"] == design
    format = {"type": "jpg", "quality": 80, "width": 640}
    how = {"json": {"design_id": design["id"], "format": format}}
    job = ask(client, server, Call("POST", "/v1/exports", how)).json()["job"]
    done = [ask(client, server, Call("GET", f"/v1/exports/{job['id']}")).json()["job"] for _ in range(2)][-1]
    assert opened(client.get(done["urls"][0]).content) == ("JPEG", (640, 400))
    assert [bought.model for bought in server.purchases] == ["asset", "design"]


@pytest.mark.parametrize(
    ("name", "content_type", "body", "status", "code"),
    [
        ("x" * 51, "application/octet-stream", b"x", 400, "invalid_header_value"),
        ("", "application/octet-stream", b"x", 400, "invalid_header_value"),
        (None, "application/octet-stream", b"x", 400, "missing_field"),
        ("Name", "image/png", b"x", 415, "unsupported_content_type"),
        ("Name", "application/octet-stream", b"", 400, "bad_request_body"),
    ],
)
def test_canva_refuses_uploads(
    provider_servers: RunningServers,
    client: httpx.Client,
    name: str | None,
    content_type: str,
    body: bytes,
    status: int,
    code: str,
) -> None:
    server = canva(provider_servers)
    headers = {"content-type": content_type}
    if name is not None:
        headers["asset-upload-metadata"] = json.dumps({"name_base64": base64.b64encode(name.encode()).decode()})
    response = ask(client, server, Call("POST", "/v1/asset-uploads", {"content": body, "headers": headers}))
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not server.purchases


def test_canva_fails_the_job_of_a_file_that_is_no_picture(
    provider_servers: RunningServers, client: httpx.Client
) -> None:
    server = canva(provider_servers)
    call = right_call(client, server, "submit")
    job = ask(client, server, call, content=b"no picture").json()["job"]
    done = ask(client, server, Call("GET", f"/v1/asset-uploads/{job['id']}")).json()["job"]
    assert (done["status"], done["error"]["code"]) == ("failed", "import_failed")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/designs", {"design_type": DESIGN["design_type"]}, 400, "missing_field"),
        ("/v1/designs", {"type": "type_and_asset"}, 400, "missing_field"),
        ("/v1/designs", DESIGN | {"title": "x" * 256}, 400, "invalid_field"),
        (
            "/v1/designs",
            DESIGN | {"design_type": {"type": "custom", "width": 8001, "height": 40}},
            400,
            "invalid_field",
        ),
        (
            "/v1/designs",
            DESIGN | {"design_type": {"type": "custom", "width": 8000, "height": 8000}},
            400,
            "invalid_field",
        ),
        ("/v1/designs", DESIGN | {"design_type": {"type": "preset", "name": "poster"}}, 400, "invalid_field"),
        ("/v1/designs", DESIGN | {"asset_id": "unknown"}, 404, "asset_not_found"),
        ("/v1/exports", {"design_id": "unknown", "format": {"type": "png"}}, 404, "design_not_found"),
        ("/v1/exports", {"design_id": "x", "format": {"type": "jpg"}}, 400, "missing_field"),
        ("/v1/exports", {"design_id": "x", "format": {"type": "webp"}}, 400, "invalid_field"),
    ],
)
def test_canva_refuses(
    provider_servers: RunningServers, client: httpx.Client, path: str, body: Any, status: int, code: str
) -> None:
    server = canva(provider_servers)
    response = ask(client, server, Call("POST", path, {"json": body}))
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert set(response.json()) == {"code", "message"}


def test_canva_refresh_tokens_work_once(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = canva(provider_servers)
    me = Call("GET", "/v1/users/me")
    server.expire_access_token()
    assert ask(client, server, me).json()["code"] == "invalid_access_token"
    call = right_call(client, server, "token")
    tokens = ask(client, server, call).json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 14_400)
    renewed = {"authorization": f"Bearer {tokens['access_token']}"}
    assert ask(client, server, me, headers=renewed).status_code == 200
    again = ask(client, server, call)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    # Using a spent refresh token ended the whole line.
    assert ask(client, server, me, headers=renewed).status_code == 401


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ({"headers": {"authorization": "Basic eDp5"}}, 401, "invalid_client"),
        ({"data": {"grant_type": "password"}}, 400, "unsupported_grant_type"),
        ({"data": {"grant_type": "refresh_token"}}, 400, "invalid_request"),
        ({"data": {"grant_type": "refresh_token", "refresh_token": "wrong"}}, 400, "invalid_grant"),
    ],
)
def test_canva_refuses_tokens(
    provider_servers: RunningServers, client: httpx.Client, how: Any, status: int, code: str
) -> None:
    server = canva(provider_servers)
    response = ask(client, server, right_call(client, server, "token"), **how)
    assert (response.status_code, response.json()["error"]) == (status, code)
    assert set(response.json()) == {"error", "error_description"}


def test_canva_exchanges_a_code_with_its_verifier(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = canva(provider_servers)
    call = right_call(client, server, "token")
    form = {
        "grant_type": "authorization_code",
        "code": server.authorization_code,
        "redirect_uri": "https://example.com/",
    }
    short = ask(client, server, call, data=form | {"code_verifier": "x" * 42})
    assert short.json()["error"] == "invalid_grant"
    tokens = ask(client, server, call, data=form | {"code_verifier": "x" * 43}).json()
    assert tokens["refresh_token"] == server.refresh_token
