"""Canva: what can be said of an export, the check of the token, and what its error codes mean."""

from __future__ import annotations

import traceback

import pytest

from mediagen.chain import MediaGeneratorChain
from mediagen.errors import (
    BadResponse,
    CredentialsMissing,
    CredentialsRefused,
    InvalidRequest,
    Misconfigured,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.http import Response
from mediagen.http.client import httpx
from mediagen.providers import CanvaAPIAdapter, CanvaExportResult
from mediagen.types import GeneratedImage
from tests import pictures
from tests.providers.wire import Wire, answer

TOKEN = "planted-canva-secret-0123456789"
IMAGE = GeneratedImage(content=pictures.png(), format="png", width=64, height=48)


def adapter(**options) -> CanvaAPIAdapter:
    return CanvaAPIAdapter(access_token=TOKEN, **{"dry_run": False, **options})


def test_it_makes_no_pictures():
    assert not hasattr(adapter(), "generate_image")
    assert not hasattr(adapter(), "export_to_figma")
    assert (CanvaAPIAdapter.credential_argument, CanvaAPIAdapter.credential_env) == ("access_token", "CANVA_API_KEY")


# ---------------------------------------------------------------- export


async def test_a_dry_export_is_predictable_and_says_what_it_is():
    with Wire(answer(500)) as wire:
        first = await CanvaAPIAdapter().export_to_canva(IMAGE, " Spring ", folder="FAtest")
        second = await CanvaAPIAdapter().export_to_canva(image=IMAGE, title="Spring", colour="x")
        alone = await CanvaAPIAdapter().export_to_canva(IMAGE, "Spring", create_design=False)
    assert wire.requests == []
    assert isinstance(first, CanvaExportResult)
    assert first.design_id.startswith("dry-")
    assert first.edit_url == f"https://www.canva.com/design/{first.design_id}/edit"
    assert (first.title, first.design_id) == ("Spring", second.design_id)
    assert (first.metadata["status"], first.metadata["dry_run"]) == ("dry_run", True)
    assert first.metadata["folder"] == "FAtest"
    assert first.metadata["asset_id"].startswith("dry-")
    assert second.metadata["fit_report"]["options.colour"]["honoured"] is False
    assert (alone.design_id, alone.edit_url) == ("", "")


async def test_what_a_dry_export_depends_on():
    other = GeneratedImage(content=pictures.png(seed=2))
    dry = CanvaAPIAdapter()
    ids = {(await dry.export_to_canva(*args)).design_id for args in [(IMAGE,), (IMAGE, "a"), (other,)]}
    assert len(ids) == 3


@pytest.mark.parametrize("title", ["x" * 256, "nul\x00", "half \ud800", 7])
@pytest.mark.parametrize("dry_run", [True, False])
async def test_titles_that_cannot_be(title, dry_run):
    with pytest.raises(InvalidRequest) as raised:
        await adapter(dry_run=dry_run).export_to_canva(IMAGE, title)
    assert raised.value.field == "title"


@pytest.mark.parametrize(
    ("title", "used"), [(None, "mediagen"), ("", "mediagen"), ("  ", "mediagen"), ("x" * 255,) * 2]
)
async def test_titles(title, used):
    assert (await CanvaAPIAdapter().export_to_canva(IMAGE, title)).title == used


async def test_through_the_chain():
    outcome = await MediaGeneratorChain([CanvaAPIAdapter()]).execute("export_to_canva", image=IMAGE, title="Spring")
    assert outcome.result.title == "Spring"


@pytest.mark.parametrize("folder", ["a b", "x" * 51, "https://www.figma.com/folder/F", "https://canva.com/design/D", 7])
async def test_folders_that_cannot_be(folder):
    with pytest.raises(InvalidRequest) as raised:
        await CanvaAPIAdapter().export_to_canva(IMAGE, folder=folder)
    assert raised.value.field == "folder"


# ---------------------------------------------------------------- error codes


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "invalid_access_token", CredentialsRefused),
        (401, "revoked_access_token", CredentialsRefused),
        (400, "invalid_grant", CredentialsRefused),
        (401, "invalid_client", CredentialsRefused),
        (403, "missing_scope", CredentialsRefused),
        (403, "permission_denied", Misconfigured),
        (403, "unauthorized_user", Misconfigured),
        (403, "user_not_eligible", Misconfigured),
        (403, "license_required", Misconfigured),
        (403, "feature_not_available", Misconfigured),
        (403, "quota_exceeded", Misconfigured),
        (429, "ai_credit_quota_exceeded", Misconfigured),
        (410, "endpoint_gone", Misconfigured),
        (400, "input_unsafe", Refused),
        (429, "too_many_requests", RateLimited),
        (429, "ai_credit_quota_cooldown", RateLimited),
        (400, "bad_request_body", UnsupportedRequest),
        (400, "bad_request_params", UnsupportedRequest),
        (400, "bad_query_params", UnsupportedRequest),
        (400, "invalid_field", UnsupportedRequest),
        (400, "missing_field", UnsupportedRequest),
        (400, "invalid_header_value", UnsupportedRequest),
        (400, "invalid_file_format", UnsupportedRequest),
        (415, "unsupported_content_type", UnsupportedRequest),
        (413, "request_too_large", UnsupportedRequest),
        (404, "design_not_found", UnsupportedRequest),
        (404, "folder_not_found", UnsupportedRequest),
        (500, "internal_error", Unavailable),
        # codes that we do not know, and bodies that are none, go by the status
        (403, "something_new", CredentialsRefused),
        (500, "something_new", Unavailable),
        (429, None, RateLimited),
        (401, 7, CredentialsRefused),
        (400, ["invalid_grant"], UnsupportedRequest),
    ],
)
async def test_what_a_code_means(status, code, kind):
    body = {"code": code, "message": "because"}
    with Wire(answer(status, json=body, headers={"retry-after": "9"})):
        report = await adapter().probe()
    assert report.ok is False
    error = _error_of(status, body)
    assert type(error) is kind
    assert error.http_status == status
    assert "because" in str(error)
    assert ("CANVA_API_KEY" in report.detail) is (kind is CredentialsRefused)
    if kind is RateLimited:
        assert error.retry_after_s == 9.0


def _error_of(status: int, body: object) -> ProviderError:
    said = answer(status, json=body, headers={"retry-after": "9"})(None)
    response = Response(status, dict(said.headers), said.content, "https://api.canva.com/rest/v1/designs")
    with pytest.raises(ProviderError) as raised:
        adapter().checked(response)
    return raised.value


def test_a_429_without_a_time_is_a_minute():
    assert CanvaAPIAdapter.default_cooldown_s == 60.0


# ---------------------------------------------------------------- health, secrets


@pytest.mark.parametrize(
    ("said", "ok", "detail"),
    [
        (answer(json={"team_user": {"user_id": "u1", "team_id": "t1"}}), True, "signed in as user u1"),
        (answer(401, json={"code": "invalid_access_token", "message": "no"}), False, "CANVA_API_KEY"),
        (answer(json={"team_user": None}), False, "without a user"),
        (answer(json={"team_user": {"user_id": 3}}), False, "without a user"),
        (answer(content=b"null"), False, "JSON NoneType"),
        (answer(content=b"<html>"), False, "HTML"),
        (answer(200), False, "empty body"),
        (httpx.ConnectError, False, "could not connect"),
    ],
)
async def test_health(said, ok, detail):
    with Wire(said) as wire:
        report = await adapter().probe()
    assert report.ok is ok
    assert detail in report.detail
    assert (wire.only.method, str(wire.only.url)) == ("GET", "https://api.canva.com/rest/v1/users/me")
    assert wire.only.headers["authorization"] == f"Bearer {TOKEN}"


async def test_health_without_a_token():
    report = await CanvaAPIAdapter(dry_run=False).probe()
    assert (report.ok, "CANVA_API_KEY" in report.detail) == (False, True)
    assert not issubclass(CredentialsMissing, BadResponse)


async def test_the_token_is_in_no_text():
    with Wire(answer(401, json={"code": f"x{TOKEN}", "message": f"Bearer {TOKEN}"})):
        report = await adapter().probe()
    error = _error_of(400, {"code": "invalid_field", "message": TOKEN})
    assert TOKEN not in report.detail + str(error) + "".join(traceback.format_exception(error)) + repr(vars(adapter()))


# ---------------------------------------------------------------- on a real socket


async def test_against_a_server(provider_servers):
    server = provider_servers["canva_api"]
    made = CanvaAPIAdapter(access_token=server.key, base_url=server.base_url, dry_run=False)
    assert (await made.probe()).ok is True
    server.expire_access_token()
    report = await made.probe()
    assert (report.ok, "CANVA_API_KEY" in report.detail) == (False, True)
