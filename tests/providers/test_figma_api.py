"""Figma: what can be said of an export, checks of token and file, and what a person may paste as a file key."""

from __future__ import annotations

import json
import traceback
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.chain import MediaGeneratorChain
from mediagen.errors import (
    BadResponse,
    BreakerEffect,
    ConfigurationError,
    CredentialsMissing,
    CredentialsRefused,
    InvalidRequest,
    Misconfigured,
    Outcome,
    ProviderError,
    RateLimited,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.http.client import httpx
from mediagen.providers import FigmaAPIAdapter
from mediagen.providers.figma_api import FigmaFileMissing, FigmaPlaceMissing
from mediagen.providers.figma_inputs import file_url, parse_file_key, parse_node_id, parse_page_id
from mediagen.types import GeneratedImage
from tests import pictures
from tests.providers.wire import Wire, answer

TOKEN = "figd_planted-secret_0123456789"
FILE_KEY = "abcDEF123456ghiJKL7890"
IMAGE = GeneratedImage(content=pictures.png(), format="png", width=64, height=48, sha256="ab" * 32)
META = {
    "file": {
        "name": "Campaign",
        "folder_name": "Team",
        "last_touched_at": "2026-11-22T12:00:00Z",
        "creator": {"id": "1", "handle": "A", "img_url": ""},
        "editorType": "figma",
        "url": f"https://www.figma.com/design/{FILE_KEY}/Campaign",
    }
}


def adapter(**options) -> FigmaAPIAdapter:
    return FigmaAPIAdapter(api_token=TOKEN, **{"dry_run": False, **options})


# ---------------------------------------------------------------- what it offers


def test_it_makes_no_pictures():
    """The chain asks for an operation with getattr: what is not offered must not be there."""
    for operation in ("generate_image", "edit_image", "export_to_canva"):
        assert not hasattr(adapter(), operation)
    assert callable(adapter().export_to_figma)


def test_its_constructor():
    assert FigmaAPIAdapter("token-0123").is_configured
    assert not FigmaAPIAdapter().is_configured
    assert (FigmaAPIAdapter.credential_argument, FigmaAPIAdapter.credential_env) == ("api_token", "FIGMA_API_TOKEN")
    with pytest.raises(ConfigurationError, match="no option colour"):
        FigmaAPIAdapter(api_token=TOKEN, colour="red")


# ---------------------------------------------------------------- export


async def test_a_dry_export_is_predictable_and_says_what_it_is():
    with Wire(answer(500)) as wire:
        first = await FigmaAPIAdapter(TOKEN).export_to_figma(IMAGE, FILE_KEY, "0-1")
        second = await FigmaAPIAdapter(TOKEN).export_to_figma(image=IMAGE, file_key=FILE_KEY, page_id="0:1")
    assert wire.requests == []
    assert first == second
    assert first.figma_node_id.startswith("dry:")
    assert (first.figma_file_key, first.page_id) == (FILE_KEY, "0:1")
    assert first.metadata == {"status": "dry_run", "dry_run": True, "fit_report": {}}
    url = urlsplit(first.figma_url)
    assert (url.scheme, url.hostname, url.path) == ("https", "www.figma.com", f"/design/{FILE_KEY}/dry-run")
    assert parse_qs(url.query) == {"node-id": [first.figma_node_id.replace(":", "-")]}


async def test_what_a_dry_export_depends_on():
    other = GeneratedImage(content=pictures.png(seed=2))
    dry = FigmaAPIAdapter(TOKEN)
    ids = {
        (await dry.export_to_figma(*args)).figma_node_id
        for args in [(IMAGE, FILE_KEY), (IMAGE, FILE_KEY, "0:1"), (IMAGE, "otherKEY"), (other, FILE_KEY)]
    }
    assert len(ids) == 4


async def test_options_that_it_does_not_have_are_reported():
    found = await FigmaAPIAdapter(TOKEN).export_to_figma(IMAGE, FILE_KEY, x=10, colour="red")
    assert set(found.metadata["fit_report"]) == {"options.colour"}
    assert found.metadata["fit_report"]["options.colour"]["honoured"] is False


async def test_a_live_export_checks_the_file_and_invents_no_node_id():
    with Wire(answer(json=META)) as wire:
        found = await adapter().export_to_figma(IMAGE, f"https://www.figma.com/design/{FILE_KEY}/Campaign")
    assert (wire.only.method, wire.only.url.path) == ("GET", f"/v1/files/{FILE_KEY}/meta")
    assert (found.figma_node_id, found.figma_file_key, found.page_id) == ("", FILE_KEY, None)
    assert found.figma_url == META["file"]["url"]
    assert found.metadata == {
        "status": "waiting_for_plugin", "dry_run": False, "file_name": "Campaign", "comment_id": "", "notes": [],
        "fit_report": {},
    }  # fmt: skip


def document(*pages: tuple[str, str]) -> object:
    children = [{"id": id, "name": name, "type": "CANVAS"} for id, name in pages]
    return answer(json={"document": {"id": "0:0", "type": "DOCUMENT", "children": children}, "name": "Campaign"})


def meta(version: str, **changes: object) -> object:
    return answer(json={"file": {**META["file"], "version": version, **changes}})


async def test_a_page_is_looked_up_once_for_each_version_of_the_file():
    """A View seat has a handful of such calls a month."""
    pages = document(("0:1", "Page 1"), ("7:1", "Ideas"))
    key = "pagesKEY1"
    with Wire(meta("1"), pages, meta("1"), meta("2"), pages) as wire:
        for page in ("0:1", "7-1", "0:1"):
            assert (await adapter().export_to_figma(IMAGE, key, page)).metadata["notes"] == []
    assert [str(request.url.path) for request in wire.requests] == [
        f"/v1/files/{key}/meta", f"/v1/files/{key}", f"/v1/files/{key}/meta", f"/v1/files/{key}/meta",
        f"/v1/files/{key}",
    ]  # fmt: skip
    assert wire.requests[1].url.params["depth"] == "1"


async def test_a_page_that_is_not_there_is_named_with_those_that_are():
    with (
        Wire(meta("1"), document(("0:1", "Page 1"))),
        pytest.raises(FigmaPlaceMissing, match=r"no page 9:9. It has: 0:1 \(Page 1\)"),
    ):
        await adapter().export_to_figma(IMAGE, "pagesKEY2", "9:9")


@pytest.mark.parametrize(
    "said",
    [
        answer(429, json={"status": 429, "err": "Rate limit exceeded"}, headers={"retry-after": "396156"}),
        answer(403, json={"status": 403, "err": "Invalid scope"}),
        answer(200, content=b"<html>"),
        answer(200, json={"document": {}}),
        httpx.ReadTimeout,
    ],
)
async def test_pages_that_cannot_be_listed_are_left_to_the_plugin(said):
    with Wire(meta("1"), said):
        found = await adapter().export_to_figma(IMAGE, "pagesKEY3", "9:9")
    assert found.metadata["status"] == "waiting_for_plugin"
    assert "was not checked" in found.metadata["notes"][0]


async def test_a_comment_is_pinned_once():
    with Wire(meta("1"), answer(json={"id": "900001", "message": "Here"})) as wire:
        found = await adapter().export_to_figma(IMAGE, FILE_KEY, comment="Here", x=40, y=-2.5)
    posted = wire.requests[1]
    assert (posted.method, posted.url.path) == ("POST", f"/v1/files/{FILE_KEY}/comments")
    assert json.loads(posted.content) == {"message": "Here", "client_meta": {"x": 40.0, "y": -2.5}}
    assert (found.metadata["comment_id"], found.metadata["notes"]) == ("900001", [])


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (answer(403, json={"status": 403, "err": "Plan tokens cannot comment"}), "No comment: figma_api: 403"),
        (httpx.ReadTimeout, "not known whether the comment was pinned"),
    ],
)
async def test_a_comment_that_fails_fails_no_export_and_is_not_sent_twice(said, says):
    with Wire(meta("1"), said) as wire:
        found = await adapter().export_to_figma(IMAGE, FILE_KEY, comment="Here")
    assert len(wire.requests) == 2
    assert says in found.metadata["notes"][0]
    assert found.metadata["status"] == "waiting_for_plugin"


async def test_a_board_takes_no_pictures_from_the_plugin():
    with Wire(meta("1", editorType="figjam")), pytest.raises(FigmaPlaceMissing, match="figjam"):
        await adapter().export_to_figma(IMAGE, FILE_KEY)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"x": float("nan")}, "x"), ({"y": "12"}, "y"), ({"x": True}, "x"), ({"x": 1e9}, "x"),
        ({"frame_name": "x" * 256}, "frame_name"), ({"comment": "a\x00b"}, "comment"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_cannot_be_a_place(options, field, dry_run):
    with Wire(answer(json=META)) as wire, pytest.raises(InvalidRequest) as raised:
        await adapter(dry_run=dry_run).export_to_figma(IMAGE, FILE_KEY, **options)
    assert raised.value.field == field
    assert wire.requests == []


@pytest.mark.parametrize(("file_key", "page_id"), [("not a key", None), ("", None), (FILE_KEY, "page one")])
async def test_nonsense_is_the_callers_fault(file_key, page_id):
    with pytest.raises(InvalidRequest) as raised:
        await adapter().export_to_figma(IMAGE, file_key, page_id)
    assert raised.value.field == ("page_id" if page_id else "file_key")


@pytest.mark.parametrize("nonsense", ["", "  ", "a\nb", "x" * 129, 7, None])
async def test_a_dry_run_takes_any_words_but_not_nothing(nonsense):
    dry = adapter(dry_run=True)
    assert (await dry.export_to_figma(IMAGE, "not a key", "page one")).page_id == "page one"
    with pytest.raises(InvalidRequest):
        await dry.export_to_figma(IMAGE, nonsense)


async def test_through_the_chain():
    found = await MediaGeneratorChain([FigmaAPIAdapter(TOKEN)]).execute_export_figma(IMAGE, FILE_KEY)
    assert found is not None
    assert found.metadata["dry_run"] is True
    chain = MediaGeneratorChain([adapter()])
    with Wire(answer(json=META)):
        found = await chain.execute_export_figma(IMAGE, FILE_KEY, frame_name="Hero")
    assert (found.figma_node_id, found.metadata["status"]) == ("", "waiting_for_plugin")
    with Wire(answer(404, json={"status": 404, "err": "Not found"})):
        assert await chain.execute_export_figma(IMAGE, FILE_KEY) is None
    outcome = await chain.execute("generate_image", prompt="a red fox")
    assert [attempt.outcome for attempt in outcome.attempts] == [Outcome.SKIPPED]


# ---------------------------------------------------------------- what a person may paste


@pytest.mark.parametrize(
    "pasted",
    [
        FILE_KEY,
        f"  {FILE_KEY}\n",
        f"https://www.figma.com/design/{FILE_KEY}/Campaign?node-id=0-1&t=x",
        f"https://www.figma.com/file/{FILE_KEY}/Campaign",
        f"https://figma.com/file/{FILE_KEY}",
        f"https://www.figma.com/file/{FILE_KEY}/",
        f"http://www.figma.com/board/{FILE_KEY}/Ideas",
        f"https://www.figma.com/proto/{FILE_KEY}/Campaign?page-id=0%3A1",
        f"https://www.figma.com/slides/{FILE_KEY}/Deck",
        f"www.figma.com/design/{FILE_KEY}/Campaign",
        f"HTTPS://WWW.FIGMA.COM/design/{FILE_KEY}/Campaign",
        f"https://acme.figma.com/design/{FILE_KEY}/Campaign#1",
        f"https://www.figma.com/design/mainKEY/branch/{FILE_KEY}/Campaign",
    ],
)
def test_forms_of_a_file_key(pasted):
    assert parse_file_key(pasted) == FILE_KEY


@pytest.mark.parametrize(
    "pasted",
    [
        "",
        "   ",
        "not a key",
        "key?x=1",
        "../me",
        "a" * 129,
        "https://www.figma.com/",
        "https://www.figma.com/design/",
        "https://www.figma.com/design//x",
        f"https://www.figma.com/community/file/{FILE_KEY}",
        f"https://www.figma.com/{FILE_KEY}",
        f"https://evil.example/design/{FILE_KEY}/x",
        f"https://www.figma.com.evil.example/design/{FILE_KEY}/x",
        f"https://evilfigma.com/design/{FILE_KEY}/x",
        f"ftp://www.figma.com/design/{FILE_KEY}/x",
        "https://www.figma.com/design/a%2Fb/x",
        "https://[::1/design/a",
        f"{FILE_KEY}/x",
        "schlüssel",
        None,
        7,
        ["abc"],
    ],
)
def test_what_is_no_file_key(pasted):
    with pytest.raises(InvalidRequest, match="file_key must be"):
        parse_file_key(pasted)


@given(st.text(max_size=80) | st.text(max_size=40).map(lambda text: f"https://www.figma.com/design/{text}"))
def test_a_file_key_is_safe_in_a_path_or_refused(pasted):
    key = "refused"
    with suppress(InvalidRequest):
        key = parse_file_key(pasted)
    assert key.isascii()
    assert key.replace("-", "x").replace("_", "x").isalnum()


@pytest.mark.parametrize(
    ("text", "page_id"), [(None, None), ("", None), ("0:1", "0:1"), ("12-345", "12:345"), ("-1-2", "-1:2")]
)
def test_page_ids(text, page_id):
    assert parse_page_id(text) == page_id


@pytest.mark.parametrize("text", ["1", "a:b", "1:2:3", "0:1\n0:2", "0:1;", "1" * 21 + ":1", 5, ["0:1"]])
def test_what_is_no_page_id(text):
    with pytest.raises(InvalidRequest, match="page_id must be"):
        parse_page_id(text)


@pytest.mark.parametrize(
    ("text", "node_id"),
    [
        ("1:23", "1:23"),
        (" 1-23 ", "1:23"),
        ("I5:6;1:2", "I5:6;1:2"),
        (f"https://www.figma.com/design/{FILE_KEY}/x?node-id=12-34&t=q", "12:34"),
        (f"https://www.figma.com/design/{FILE_KEY}/x?node-id=12%3A34", "12:34"),
    ],
)
def test_node_ids(text, node_id):
    assert parse_node_id(text) == node_id
    assert parse_node_id(file_url(FILE_KEY, node_id)) == node_id


@pytest.mark.parametrize("text", ["", "1", "1:2,3:4", "1:2&format=svg", f"https://www.figma.com/design/{FILE_KEY}", 5])
def test_what_is_no_node_id(text):
    with pytest.raises(InvalidRequest, match="node_id must be"):
        parse_node_id(text)


# ---------------------------------------------------------------- checking a file


async def test_a_file_is_checked_by_its_metadata():
    with Wire(answer(json=META)) as wire:
        file = await adapter().check_file(f"https://www.figma.com/design/{FILE_KEY}/Campaign")
    assert (wire.only.method, str(wire.only.url)) == ("GET", f"https://api.figma.com/v1/files/{FILE_KEY}/meta")
    assert wire.only.headers["x-figma-token"] == TOKEN
    assert "authorization" not in wire.only.headers
    assert (file.key, file.name, file.editor_type) == (FILE_KEY, "Campaign", "figma")
    assert (file.last_touched_at, file.url) == (META["file"]["last_touched_at"], META["file"]["url"])


@pytest.mark.parametrize(
    ("said", "kind", "says"),
    [
        (answer(404, json={"status": 404, "err": "Not found"}), FigmaFileMissing, "not shared"),
        (answer(403, json={"status": 403, "err": "Invalid token"}), CredentialsRefused, "FIGMA_API_TOKEN"),
        (answer(401, json={"error": True, "status": 401, "message": "No"}), CredentialsRefused, "401: No"),
        (answer(400, json={"status": 400, "err": "Bad key"}), UnsupportedRequest, "400: Bad key"),
        (answer(500, json={"status": 500, "err": "Oops"}), Unavailable, "500: Oops"),
        (answer(200, content=b"<html>"), BadResponse, "HTML"),
        (answer(200), BadResponse, "empty body"),
        (answer(200, content=b"null"), BadResponse, "JSON NoneType"),
        (answer(200, json={"file": []}), BadResponse, "without the file"),
        (answer(302, headers={"location": "https://evil.example/"}), BadResponse, "302"),
        (httpx.ConnectError, Unavailable, "nothing was sent"),
        (httpx.ReadTimeout, Unavailable, "did not answer"),
    ],
)
async def test_what_a_file_check_is_answered_with(said, kind, says):
    with Wire(said), pytest.raises(kind, match=says) as raised:
        await adapter().check_file(FILE_KEY)
    assert type(raised.value) is kind


async def test_a_file_that_is_missing_says_nothing_of_other_files():
    assert (FigmaFileMissing.outcome, FigmaFileMissing.breaker) == (Outcome.MISCONFIGURED, BreakerEffect.NONE)
    assert issubclass(FigmaFileMissing, Misconfigured)


async def test_odd_metadata_is_no_crash():
    with Wire(answer(json={"file": {"name": 3, "editorType": None, "url": ["x"]}})):
        file = await adapter().check_file(FILE_KEY)
    assert (file.key, file.name, file.editor_type, file.url) == (FILE_KEY, "", "", "")


async def test_a_429_may_be_days_and_says_of_which_plan():
    said = answer(
        429,
        json={"status": 429, "err": "Rate limit exceeded"},
        headers={"retry-after": "396156", "x-figma-plan-tier": "starter", "x-figma-rate-limit-type": "low"},
    )
    with Wire(said), pytest.raises(RateLimited, match="plan starter; limit low; it asks to wait") as raised:
        await adapter().check_file(FILE_KEY)
    assert "4.6 days. The token is of a View or Collab seat" in str(raised.value)
    assert raised.value.retry_after_s == 396156.0


async def test_a_file_check_without_a_token_or_dry():
    with Wire(answer(json=META)) as wire:
        with pytest.raises(CredentialsMissing, match="FIGMA_API_TOKEN"):
            await FigmaAPIAdapter(dry_run=False).check_file(FILE_KEY)
        assert (await FigmaAPIAdapter().check_file(FILE_KEY)).name == "dry run"
    assert wire.requests == []


# ---------------------------------------------------------------- health, secrets


@pytest.mark.parametrize(
    ("said", "ok", "detail"),
    [
        (answer(json={"id": "1", "handle": "Ada", "img_url": "", "email": "a@example.com"}), True, "signed in as Ada"),
        (answer(403, json={"status": 403, "err": "Invalid token"}), False, "personal access token"),
        (answer(429, json={"status": 429, "err": "x"}), False, "429"),
        (answer(json={"handle": 3}), False, "without a user"),
        (answer(content=b"[]"), False, "JSON list"),
        (answer(content=b"<html>"), False, "HTML"),
        (httpx.ReadError, False, "broke the connection"),
    ],
)
async def test_health(said, ok, detail):
    with Wire(said) as wire:
        report = await adapter().probe()
    assert report.ok is ok
    assert detail in report.detail
    assert str(wire.only.url) == "https://api.figma.com/v1/me"


@pytest.mark.parametrize(
    "said",
    [
        answer(403, json={"status": 403, "err": f"token {TOKEN}"}),
        answer(429, json={"err": TOKEN}, headers={"x-figma-plan-tier": TOKEN}),
        answer(500, content=TOKEN.encode()),
    ],
)
async def test_the_token_is_in_no_text(said):
    with Wire(said), pytest.raises(ProviderError) as raised:
        await adapter().check_file(FILE_KEY)
    assert TOKEN not in "".join(traceback.format_exception(raised.value)) + repr(vars(adapter()))


# ---------------------------------------------------------------- on a real socket


async def test_against_a_server(provider_servers):
    server = provider_servers["figma_api"]
    made = FigmaAPIAdapter(api_token=server.key, base_url=server.base_url, dry_run=False)
    assert (await made.check_file(server.file_key)).name == "Campaign"
    with pytest.raises(FigmaFileMissing):
        await made.check_file("unknownKEY")
    assert await made.check_health() is True
    server.token_kind = "plan"
    report = await made.probe()
    assert (report.ok, "personal access token" in report.detail) == (False, True)
