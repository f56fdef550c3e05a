"""Figma: what can be said of an export, checks of token and file, and what a person may paste as a file key."""

from __future__ import annotations

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
from mediagen.providers.figma_api import FigmaFileMissing, parse_file_key, parse_page_id
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
        first = await FigmaAPIAdapter().export_to_figma(IMAGE, FILE_KEY, "0-1")
        second = await FigmaAPIAdapter().export_to_figma(image=IMAGE, file_key=FILE_KEY, page_id="0:1")
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
    dry = FigmaAPIAdapter()
    ids = {
        (await dry.export_to_figma(*args)).figma_node_id
        for args in [(IMAGE, FILE_KEY), (IMAGE, FILE_KEY, "0:1"), (IMAGE, "otherKEY"), (other, FILE_KEY)]
    }
    assert len(ids) == 4


async def test_options_that_it_does_not_have_are_reported():
    found = await FigmaAPIAdapter().export_to_figma(IMAGE, FILE_KEY, x=10)
    assert found.metadata["fit_report"]["options.x"]["honoured"] is False


async def test_a_live_export_says_what_to_do_and_invents_nothing():
    with Wire(answer(json=META)) as wire, pytest.raises(UnsupportedRequest, match="plugin"):
        await adapter().export_to_figma(IMAGE, FILE_KEY)
    assert wire.requests == []


@pytest.mark.parametrize("dry_run", [True, False])
async def test_nonsense_is_the_callers_fault(dry_run):
    with pytest.raises(InvalidRequest) as raised:
        await adapter(dry_run=dry_run).export_to_figma(IMAGE, "not a key")
    assert raised.value.field == "file_key"
    with pytest.raises(InvalidRequest) as raised:
        await adapter(dry_run=dry_run).export_to_figma(IMAGE, FILE_KEY, "page one")
    assert raised.value.field == "page_id"


async def test_through_the_chain():
    found = await MediaGeneratorChain([FigmaAPIAdapter()]).execute_export_figma(IMAGE, FILE_KEY)
    assert found is not None
    assert found.metadata["dry_run"] is True
    chain = MediaGeneratorChain([adapter()])
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
    with Wire(said), pytest.raises(RateLimited, match="Rate limit exceeded; plan starter; limit low") as raised:
        await adapter().check_file(FILE_KEY)
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
