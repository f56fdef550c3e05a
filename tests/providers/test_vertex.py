"""Gemini by Vertex AI: a service account's token, kept until it ends, and a private key that nobody sees."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.views.debug import ExceptionReporter

from mediagen.errors import (
    ConfigurationError,
    CredentialsRefused,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
)
from mediagen.providers import GeminiAdapter, google_account
from mediagen.providers.google_account import ServiceAccount
from mediagen.secrets import Secret
from mediagen.types import GeneratedImage
from tests import pictures
from tests.overheard import listening
from tests.providers.wire import Wire, answer
from tests.servers import Fault
from tests.servers.gemini import VISION_MODEL, WORDS
from tests.servers.vertex import EMAIL, LOCATION, PLACE, VertexServer

MODEL = "gemini-nano-banana-2.1"


@pytest.fixture(scope="module")
def running():
    with VertexServer() as server:
        yield server


@pytest.fixture
def server(running, monkeypatch, settings):
    settings.MEDIAGEN = {"FIT": "keep"}
    running.reset()
    google_account._kept.clear()
    monkeypatch.setattr(google_account, "GIVES_TOKENS", running.base_url.removesuffix("/v1"))
    return running


def adapter(server, account=None, **options) -> GeminiAdapter:
    values = {"base_url": server.base_url, "location": LOCATION, "dry_run": False, "timeout_s": 2, **options}
    return GeminiAdapter(api_key=json.dumps(account or server.account, indent=2), **values)


def steps(server) -> list[str]:
    return [request.step for request in server.requests]


async def test_a_picture_and_an_edit_with_one_token(server):
    one = adapter(server)
    made = await one.generate_image("a fox", 1024, 1024)
    source = GeneratedImage(content=pictures.png(32, 32), format="png", width=32, height=32)
    await adapter(server).edit_image("a red fox", [source], width=1024, height=1024)

    assert made.cost > Decimal("0.03")
    assert [request.path for request in server.requests] == ["/token", *[f"{PLACE}{MODEL}:generateContent"] * 2]
    assert len(server.purchases) == 2
    assert all(request.accepted for request in server.requests)


async def test_a_description_goes_there_too(server):
    one = adapter(server, describe_model=VISION_MODEL)
    source = GeneratedImage(content=pictures.png(32, 32), format="png", width=32, height=32)
    said = await one.describe_image(source)
    assert WORDS in str(said)
    assert steps(server) == ["token", "submit"]


async def test_a_token_is_asked_for_anew_before_it_ends_and_when_it_is_refused(server):
    server.lasts_s = 299
    for _ in range(2):
        await adapter(server).generate_image("a fox", 1024, 1024)
    assert steps(server) == ["token", "submit"] * 2
    server.lasts_s = 3599
    await adapter(server).generate_image("a fox", 1024, 1024)
    server.tokens.clear()  # somebody has revoked it
    with pytest.raises(CredentialsRefused):
        await adapter(server).generate_image("a fox", 1024, 1024)
    await adapter(server).generate_image("a fox", 1024, 1024)
    assert len(server.purchases) == 4


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.http(400), Unavailable),
        (Fault.http(429), Unavailable),
        (Fault.http(500), Unavailable),
        (Fault.http(503), Unavailable),
        (Fault.hang(), Unavailable),
        (Fault.connect_refused(), Unavailable),
        (Fault.reset_after_body_read(), Unavailable),
        (Fault.html_200(), Unavailable),
        (Fault.empty_200(), Unavailable),
        (Fault.truncated_body(), Unavailable),
        (Fault.redirect("https://evil.example/"), Unavailable),
    ],
    ids=str,
)
async def test_without_a_token_nothing_is_bought_and_nothing_is_unknown(server, fault, error, monkeypatch):
    monkeypatch.setattr(google_account, "TIMEOUT_S", 0.5)
    server.fault("token", fault, times=None)
    with pytest.raises(error):
        await adapter(server).generate_image("a fox", 1024, 1024)
    assert server.purchases == []
    assert "submit" not in steps(server)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.hang(), OutcomeUnknown),
        (Fault.http(403), CredentialsRefused),
        (Fault.http(404), Misconfigured),
        (Fault.http(503), Unavailable),
        (Fault.http(504), OutcomeUnknown),
        (Fault.rate_limited(), RateLimited),
        (Fault.moderation(), Refused),
    ],
    ids=str,
)
async def test_what_happens_afterwards_is_as_at_the_developer_api(server, fault, error):
    server.fault("submit", fault, times=None)
    with pytest.raises(error):
        await adapter(server, timeout_s=0.7).generate_image("a fox", 1024, 1024)


async def test_health_is_a_token_and_says_that_it_is_no_more(server):
    report = await adapter(server).probe()
    assert (report.ok, report.detail) == (True, f"Google takes the service account; {MODEL} itself was not asked")
    other = {**server.account, "client_email": "nobody@my-project.iam.gserviceaccount.com"}
    report = await adapter(server, other).probe()
    assert not report.ok
    assert "invalid_grant" in report.detail
    assert server.purchases == []


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        ("AIza-a-key", "is no service account's JSON file"),
        ("{not json", "is no service account's JSON file"),
        ('{"type": "authorized_user"}', "is no service account's JSON file"),
        ('{"type": "service_account", "client_email": 7}', "not as Google writes it"),
        ('{"type": "service_account"}', "no client_email and no private_key"),
        (f'{{"type": "service_account", "client_email": "{EMAIL}", "private_key": "made up"}}', "names no project"),
        (
            f'{{"type": "service_account", "client_email": "{EMAIL}", "private_key": "made up", "project_id": "p"}}',
            "private key cannot be read",
        ),
    ],
)
async def test_what_is_no_account_is_said_before_anything_is_sent(server, credential, words):
    broken = GeminiAdapter(api_key=credential, location="global", dry_run=False)
    with Wire(answer(json={})) as wire, pytest.raises(Misconfigured, match=words) as caught:
        await broken.generate_image("a fox", 1024, 1024)
    assert wire.requests == []
    assert "made up" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"client_email": None}, {"client_email": 3}, {"type": "user"}])
def test_a_page_about_a_wrong_account_shows_nothing_of_its_key(server, wrong):
    lines = [line for line in server.account["private_key"].splitlines() if not line.startswith("-")]
    try:
        ServiceAccount.read(Secret(json.dumps({**server.account, **wrong})))
    except Misconfigured as exc:
        page = ExceptionReporter(None, type(exc), exc, exc.__traceback__.tb_next)  # without this test
    for text in (page.get_traceback_text(), page.get_traceback_html()):
        assert [line for line in lines if line in text] == []


async def test_an_account_without_a_location_is_not_sent_as_a_key(server):
    developer = GeminiAdapter(api_key=json.dumps(server.account), dry_run=False)
    with Wire(answer(json={})) as wire, pytest.raises(Misconfigured, match="set the option location"):
        await developer.generate_image("a fox", 1024, 1024)
    assert wire.requests == []


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("europe-west1", "europe-west1-aiplatform.googleapis.com"),
    ],
)
async def test_where_it_goes(server, location, host, monkeypatch):
    monkeypatch.setattr(google_account, "GIVES_TOKENS", "https://oauth2.googleapis.com")
    one = GeminiAdapter(api_key=json.dumps(server.account), location=location, project="other:p-1", dry_run=False)
    token = answer(json={"access_token": "ya29.a", "expires_in": 3599})
    with Wire(token, answer(503)) as wire, pytest.raises(Unavailable):
        await one.generate_image("a fox", 1024, 1024)
    asked, bought = wire.requests
    assert str(asked.url) == "https://oauth2.googleapis.com/token"
    path = f"/v1/projects/other:p-1/locations/{location}/publishers/google/models/{MODEL}:generateContent"
    assert str(bought.url) == f"https://{host}{path}"
    assert one.key_rule({"location": location}).hosts == (host,)


@pytest.mark.parametrize("location", ["Europe", "x.evil.example/", "a-b", "europe-west1-x"])
def test_a_location_that_is_none(location):
    with pytest.raises(ConfigurationError, match="location"):
        GeminiAdapter(api_key="{}", location=location)
    assert GeminiAdapter.key_rule({"location": location}).hosts == ("invalid",)


def test_the_private_key_and_the_token_are_nowhere(server, monkeypatch, capfd):
    body = re.sub(r"-----[A-Z ]+-----|\s", "", server.account["private_key"])
    planted = [server.account["private_key"], body[40:100], "ya29.planted-token"]
    for overheard in listening(planted, monkeypatch, capfd):

        def repeat(request, kind):
            sent = f"{request.headers.get('authorization', '')} {request.content.decode()} {json.dumps(server.account)}"
            if kind == "refused":
                return answer(400, json={"error": sent, "error_description": sent})(request)
            if kind == "error":
                return answer(403, json={"error": {"code": 403, "status": "PERMISSION_DENIED", "message": sent}})(
                    request
                )
            return answer(500, content=sent.encode(), headers={"content-type": "text/html"})(request)

        token = answer(json={"access_token": "ya29.planted-token", "expires_in": 3599})
        for answers in (
            [lambda request: repeat(request, "refused")],
            [lambda request: repeat(request, "page")],
            [token, lambda request: repeat(request, "error")],
            [token, lambda request: repeat(request, "page")],
        ):
            google_account._kept.clear()
            one = adapter(server)
            with Wire(*answers):
                overheard.things("probe", async_to_sync(one.probe)())
            google_account._kept.clear()
            with Wire(*answers), pytest.raises(ProviderError) as caught:
                async_to_sync(one.generate_image)("a fox", 1024, 1024)
            overheard.things("answer", caught.value, one)


@pytest.mark.django_db
def test_a_row_with_an_account_and_a_location_is_live(server, admin_client, monkeypatch):
    from mediagen.engine.providers import entries
    from mediagen.factory import build_adapter
    from mediagen.models import ProviderConfig
    from tests.admin.conftest import page
    from tests.admin.providers.test_provider_form import errors, form_data

    config = ProviderConfig.objects.get(name="gemini")
    address = page("providerconfig", "change", config.pk)
    changes = {"new_credential": json.dumps(server.account), "options": f'{{"location": "{LOCATION}"}}'}
    response = admin_client.post(address, form_data(config, **changes))
    assert response.status_code == 302, errors(response)
    config.refresh_from_db()
    assert build_adapter(config).credential == json.dumps(server.account)
    assert "PRIVATE KEY" not in admin_client.get(address).content.decode()
    # Neither door's key is the other's.
    config.options = {}
    assert build_adapter(config).credential == ""
    config.credentials = ""
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-key")
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_JSON", json.dumps(server.account))
    assert build_adapter(config).credential == "AIza-key"
    config.options = {"location": LOCATION}
    assert build_adapter(config).credential == json.dumps(server.account)
    config.base_url = f"https://{LOCATION}-aiplatform.googleapis.com"
    assert entries.credential_state(config).source == "environment"
    config.base_url = "https://us-central1-aiplatform.googleapis.com.evil.example"
    assert entries.credential_state(config).source == "withheld"
    flux = ProviderConfig.objects.get(name="flux")
    refused = admin_client.post(
        page("providerconfig", "change", flux.pk), form_data(flux, **{**changes, "options": "{}"})
    )
    assert "no service account's file" in errors(refused)["new_credential"]
