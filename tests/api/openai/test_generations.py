"""The OpenAI-shaped door, by plain requests: shapes, statuses, who may, and that a picture is kept."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from decimal import Decimal
from io import BytesIO

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.db import connections
from django.test import AsyncClient, Client
from PIL import Image

from mediagen.conf import BUILT_IN_PROVIDERS
from mediagen.engine.files import refusals
from mediagen.engine.library import tokens
from mediagen.errors import OutcomeUnknown, RateLimited, Refused, Unavailable, UnsupportedRequest
from mediagen.models import GenerationAttempt, MediaAsset, MediaLibrary, ProviderConfig, asset_storage
from tests.engine.work.working import use_local
from tests.factories import MediaLibraryFactory, UserFactory
from tests.overheard import forms_of

pytestmark = pytest.mark.django_db

GENERATIONS = "/api/v1/openai/v1/images/generations"
MODELS = "/api/v1/openai/v1/models"


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def user():
    return UserFactory(may=["view_mediaasset", "add_mediaasset"], is_staff=False)


@pytest.fixture
def token(user):
    return tokens.issue(user, "shop", scopes=["read", "generate"]).text.reveal()


@pytest.fixture
def ask(token):
    def ask(body=None, *, bearer=token, **values):
        body = {"prompt": "a lighthouse", "size": "64x48", **values} if body is None else body
        client = Client(headers={"Authorization": f"Bearer {bearer}"} if bearer else {})
        return client.post(GENERATIONS, body, content_type="application/json")

    return ask


def refused(response):
    """(status, code, param) of a refusal in OpenAI's form."""
    assert response["Content-Type"] == "application/json", response.content[:300]
    assert response["x-request-id"].startswith("req_")
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert len(body["error"]["message"]) > 10
    return response.status_code, body["error"]["code"], body["error"]["param"]


def failing(settings, error, **mediagen):
    async def fail(prompt):
        raise error

    return use_local(settings, fail, RETRIES=0, **mediagen)


def opened(data):
    return Image.open(BytesIO(base64.b64decode(data["b64_json"])))


class TestAPicture:
    def test_comes_as_base64_and_is_an_asset(self, ask, user):
        response = ask(quality="high", user="anna@example.com", tags=["coast"])
        body = response.json()
        [data] = body["data"]
        asset = MediaAsset.objects.get()

        assert response.status_code == 200
        assert response["x-request-id"].startswith("req_")
        assert opened(data).size == (64, 48)
        assert body["size"] == "64x48"
        assert body["output_format"] == asset.format
        assert abs(body["created"] - asset.created_at.timestamp()) < 60
        assert (asset.prompt, asset.created_by, asset.library.name) == ("a lighthouse", user, "Default")
        assert data["mediagen"]["asset"] == asset.asset_id
        assert data["mediagen"]["dry_run"] is True
        assert data["mediagen"]["provider"] == asset.provider_name
        assert "coast" in asset.tag_names
        assert asset.parameters["options"]["quality"] == "high"
        assert "anna" not in json.dumps(asset.parameters)  # services are given a hash of who asks
        assert GenerationAttempt.objects.filter(asset=asset).exists()

    @pytest.mark.parametrize("values", [{"response_format": "url"}, {"model": "dall-e-3"}])
    @pytest.mark.parametrize("format", ["png", "webp"])
    def test_as_an_address_that_needs_no_token(self, ask, settings, values, format):
        use_local(settings)  # delivers PNG
        [data] = ask(output_format=format, **values).json()["data"]
        response = Client().get(data["url"])

        assert "b64_json" not in data
        assert response.status_code == 200
        picture = Image.open(BytesIO(b"".join(response)))
        assert (picture.format, picture.size) == (format.upper(), (64, 48))

    def test_several_belong_together(self, ask):
        body = ask(n=3, seed=7).json()

        assert len(body["data"]) == 3
        assert len(set(MediaAsset.objects.values_list("generation_id", flat=True))) == 1
        assert sorted(MediaAsset.objects.values_list("seed", flat=True)) == [7, 8, 9]

    @pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
    def test_comes_in_the_format_that_was_asked_for_whoever_made_it(self, ask, settings, format):
        use_local(settings)  # delivers PNG
        body = ask(output_format=format).json()

        assert opened(body["data"][0]).format == format.upper()
        assert body["output_format"] == format

    def test_auto_is_a_square(self, ask):
        assert ask(size="auto").json()["size"] == "1024x1024"

    def test_nulls_and_openais_usual_words_are_taken(self, ask):
        response = ask(
            model=None, n=None, quality="standard", style="vivid", background="auto", moderation="auto", stream=False
        )

        assert response.status_code == 200
        assert MediaAsset.objects.get().parameters["options"] == {"style": "vivid"}

    def test_those_that_came_are_given_when_others_did_not(self, ask, settings):
        seen = []

        async def every_other(prompt):
            seen.append(prompt)
            if len(seen) % 2:
                raise Refused("local: not that.")

        use_local(settings, every_other)
        response = ask(n=4)

        assert response.status_code == 200
        assert len(response.json()["data"]) == 2
        assert sorted(MediaAsset.objects.values_list("generation_state", flat=True)) == ["failed"] * 2 + ["ready"] * 2


class TestModels:
    def test_auto_and_openais_own_names_are_the_chain(self, ask):
        for model in ("auto", "gpt-image-1", "dall-e-3"):
            assert ask(model=model).status_code == 200

        assert {tuple(asset.parameters.get("providers", ())) for asset in MediaAsset.objects.all()} == {()}

    def test_a_provider_and_its_model_are_that_provider(self, ask):
        for model in ("openai_images", "gpt-image-2"):
            [data] = ask(model=model).json()["data"]
            assert data["mediagen"]["provider"] == "openai_images"

        assert {tuple(asset.parameters["providers"]) for asset in MediaAsset.objects.all()} == {("openai_images",)}

    @pytest.mark.parametrize("model", ["midjourney", "figma_api", "x" * 1000])
    def test_one_that_nobody_has(self, ask, model):
        assert refused(ask(model=model)) == (404, "model_not_found", "model")
        assert not MediaAsset.objects.exists()

    @pytest.mark.parametrize(
        "more",
        [{"prompt": "x" * 32_001}, {"negative_prompt": "x" * 32_001}, {"tags": ["x"] * 101}, {"tags": ["x" * 101]}],
    )
    def test_limits_are_those_of_the_native_api(self, ask, more):
        assert refused(ask(**more)) == (400, "invalid_value", next(iter(more)))
        assert not MediaAsset.objects.exists()

    def test_one_that_is_disabled(self, ask):
        ProviderConfig.objects.filter(name="flux").update(enabled=False)

        assert refused(ask(model="flux")) == (404, "model_not_found", "model")

    def test_the_list_and_one_of_it(self, token):
        client = Client(headers={"Authorization": f"Bearer {token}"})
        listed = client.get(MODELS).json()
        names = [model["id"] for model in listed["data"]]

        assert listed["object"] == "list"
        assert names[0] == "auto"
        assert {"sdxl", "openai_images", "gpt-image-2"} <= set(names)
        assert "figma_api" not in names
        model = client.get(f"{MODELS}/gpt-image-2").json()
        told = model.pop("mediagen")
        assert model == {"id": "gpt-image-2", "object": "model", "created": 0, "owned_by": "openai_images"}
        assert (told["providers"], told["operations"]) == (
            ["openai_images"],
            ["generate_image", "edit_image", "vary_image"],
        )
        assert {"quality", "background"} <= set(told["options"])
        assert listed["data"][0]["mediagen"]["providers"] == [name for name in names if name in BUILT_IN_PROVIDERS]
        assert refused(client.get(f"{MODELS}/nobody")) == (404, "model_not_found", "model")


class TestWhoMay:
    @pytest.mark.parametrize("bearer", ["", "mgt_unknown", "sk-something", "mgt_\xff"])
    def test_strangers_are_told_in_openais_words(self, ask, bearer):
        response = ask(bearer=bearer)

        assert refused(response) == (401, "invalid_api_key", None)
        assert response["WWW-Authenticate"].startswith("Bearer")

    def test_a_session_is_no_token(self, client, user):
        client.force_login(user)

        assert client.post(GENERATIONS, {"prompt": "x"}, content_type="application/json").status_code == 401

    def test_scope_and_permission(self, ask, user):
        reader = tokens.issue(user, "r", scopes=["read"]).text.reveal()
        stranger = tokens.issue(UserFactory(), "s", scopes=["generate"]).text.reveal()
        for bearer in (reader, stranger):
            assert refused(ask(bearer=bearer)) == (403, "insufficient_permissions", None)
        assert not MediaAsset.objects.exists()

    def test_the_library_of_the_token(self, ask, user):
        library = MediaLibraryFactory()
        bearer = tokens.issue(user, "t", scopes=["generate", "read"], library=library).text.reveal()
        assert ask(bearer=bearer).status_code == 200
        assert MediaAsset.objects.get().library == library
        assert refused(ask(bearer=bearer, library=MediaLibraryFactory().name)) == (400, "not_found", "library")

    def test_a_library_by_name_and_that_one_of_somebody_else_is_none(self, ask):
        mine = MediaLibraryFactory(name="Spring")
        theirs = MediaLibraryFactory(name="Secret", owner=UserFactory())
        assert ask(library="Spring").status_code == 200
        assert mine.assets.count() == 1
        known, missing = ask(library="Secret"), ask(library="Nowhere")

        assert refused(known) == refused(missing) == (400, "not_found", "library")
        assert known.content == missing.content
        assert not theirs.assets.exists()

    def test_too_many_requests(self, ask, settings):
        settings.MEDIAGEN = {"API_GENERATE_RATES": {"user": "1/hour"}}
        assert ask().status_code == 200
        response = ask()

        assert refused(response) == (429, "rate_limit_exceeded", None)
        assert int(response["Retry-After"]) > 0


class TestBadInput:
    @pytest.mark.parametrize(
        ("values", "param"),
        [
            ({"prompt": None}, "prompt"),
            ({"prompt": ""}, "prompt"),
            ({"prompt": 7}, "prompt"),
            ({"prompt": "a\x00b"}, "prompt"),
            ({"prompt": "a\ud800b"}, "prompt"),
            ({"n": 0}, "n"),
            ({"n": 11}, "n"),
            ({"n": "many"}, "n"),
            ({"n": True}, "n"),
            ({"n": 1.5}, "n"),
            ({"size": "0x64"}, "size"),
            ({"size": "999999x999999"}, "size"),
            ({"size": "large"}, "size"),
            ({"size": [64, 64]}, "size"),
            ({"quality": "best"}, "quality"),
            ({"response_format": "gif"}, "response_format"),
            ({"output_format": "bmp"}, "output_format"),
            ({"output_compression": 101}, "output_compression"),
            ({"partial_images": 4}, "partial_images"),
            ({"stream": "perhaps"}, "stream"),
            ({"user": {}}, "user"),
            ({"model": 7}, "model"),
            ({"seed": -1}, "seed"),
            ({"tags": [7]}, "tags"),
            ({"tags": ["\x00"]}, "tags"),
            ({"library": []}, "library"),
            ({"safety_identifier": "x" * 65}, "safety_identifier"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_names_the_parameter(self, ask, values, param):
        status, code, named = refused(ask(**values))

        assert (status, named) == (400, param)
        assert code
        assert not MediaAsset.objects.exists()

    @pytest.mark.parametrize("body", ["", "{", "[]", '"text"', "null", "7", "{" * 100_000, b"\xff\xfe", '{"n": NaN}'])
    def test_what_is_no_request(self, ask, body):
        assert refused(ask(body))[0] == 400

    def test_no_json_and_too_much_of_it(self, token, settings):
        client = Client(headers={"Authorization": f"Bearer {token}"})
        assert refused(client.post(GENERATIONS, {"prompt": "x"}))[0] == 415
        settings.MEDIAGEN = {"API_MAX_BODY_BYTES": 1000}
        body = json.dumps({"prompt": "x" * 2000})
        assert refused(client.post(GENERATIONS, body, content_type="application/json"))[0] == 413

    def test_other_methods_and_addresses(self, token):
        client = Client(headers={"Authorization": f"Bearer {token}"})

        assert refused(client.get(GENERATIONS))[0] == 405
        answer = client.post("/api/v1/openai/v1/chat/completions", {}, content_type="application/json")
        assert refused(answer) == (404, "unknown_url", None)


class TestNoPicture:
    @pytest.mark.parametrize(
        ("error", "status", "code", "again"),
        [
            (Refused("local: not that."), 400, "moderation_blocked", True),
            (UnsupportedRequest("local: too wide."), 400, "unsupported_value", True),
            (RateLimited("local: slowly.", retry_after_s=40.0), 503, "providers_cooling_down", True),
            (OutcomeUnknown("local: no answer."), 502, "generation_failed", False),
            (Unavailable("local: away."), 502, "generation_failed", False),
            (ZeroDivisionError("a provider's bug"), 502, "generation_failed", False),
        ],
    )
    def test_says_why_and_whether_to_ask_again(self, ask, settings, error, status, code, again):
        failing(settings, error)
        response = ask()

        assert refused(response) == (status, code, None)
        assert ("x-should-retry" not in response) is again
        assert MediaAsset.objects.get().generation_state == "failed"
        if status == 503:
            assert 30 <= int(response["Retry-After"]) <= 41

    def test_one_that_the_storage_does_not_take_is_not_bought_again(self, ask, settings, monkeypatch, tmp_path):
        def full(self, name, content):
            raise OSError(28, "No space left on device")

        local = use_local(settings)
        settings.MEDIAGEN = {
            **settings.MEDIAGEN,
            "RESCUE_DIR": str(tmp_path / "rescued"),
            "STORAGE_PATIENCE_S": 0.0,
        }
        monkeypatch.setattr(asset_storage().__class__, "_save", full)
        response = ask()
        assert refused(response) == (502, "generation_failed", None)
        assert response["x-should-retry"] == "false"
        assert str(tmp_path) not in response.content.decode()
        # Where nothing was bought, asking again is right.
        response = ask()
        refusals.taken()
        assert (response.status_code, "x-should-retry" in response, len(local.asked)) == (503, False, 1)

    def test_a_budget_that_is_used_up_is_a_quota(self, ask, settings):
        local = use_local(settings, price=Decimal("1.00"))
        MediaLibraryFactory(name="Small", budget_limit=Decimal("1.50"), budget_period="total")
        assert ask(library="Small").status_code == 200
        response = ask(library="Small")

        assert refused(response) == (429, "insufficient_quota", None)
        assert response["x-should-retry"] == "false"
        assert len(local.asked) == 1

    def test_wrong_settings_are_not_told_to_callers(self, ask, settings):
        settings.MEDIAGEN = {"PROVIDERS": {"local": "nowhere.at.All"}}
        response = ask()

        assert refused(response)[0] == 503
        assert "nowhere" not in response.content.decode()

    def test_a_bug_of_ours_is_logged_and_says_nothing(self, ask, monkeypatch, caplog):
        monkeypatch.setattr("mediagen.api.openai.making.library_of", lambda *args: 1 / 0)
        response = ask()

        assert refused(response) == (500, "server_error", None)
        assert "ZeroDivisionError" in caplog.text
        assert "division" not in response.content.decode()


def test_the_token_is_in_no_answer_log_or_row(ask, token, settings, caplog):
    failing(settings, ZeroDivisionError("a provider's bug"))
    with caplog.at_level(logging.DEBUG):
        answers = [ask(), ask(model=token), ask(colour=token), ask("{"), ask(bearer=f"{token}x")]
    seen = caplog.text + "".join(repr(vars(row)) for row in [*MediaAsset.objects.all(), *MediaLibrary.objects.all()])
    seen += answers[0].content.decode() + answers[3].content.decode() + answers[4].content.decode()

    assert not [form for form in forms_of(token) if form in seen]


async def and_let_go(work):
    """The thread in which a coroutine's queries run outlives it, and its connection with it."""
    try:
        return await work
    finally:
        await sync_to_async(connections.close_all)()


async def post(token, **values):
    body = {"prompt": "a lighthouse", "size": "64x48", "stream": True, **values}
    headers = {"Authorization": f"Bearer {token}"}
    return await AsyncClient().post(GENERATIONS, body, content_type="application/json", headers=headers)


async def streamed(token, **values):
    response = await post(token, **values)
    text = b"".join([part async for part in response.streaming_content]).decode()
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    return response, [(event.get("event"), json.loads(event["data"])) for event in events if "data" in event]


@pytest.mark.django_db(transaction=True)
class TestStream:
    def run(self, token, **values):
        return asyncio.run(and_let_go(streamed(token, **values)))

    def test_each_picture_is_an_event(self, token):
        response, events = self.run(token, n=2, partial_images=2, quality="low")

        assert response["Content-Type"] == "text/event-stream"
        assert [name for name, _ in events] == ["image_generation.completed"] * 2
        for name, data in events:
            assert data["type"] == name
            assert opened(data).size == (64, 48)
            assert (data["size"], data["quality"]) == ("64x48", "low")
            assert MediaAsset.objects.filter(pk=data["mediagen"]["asset"], generation_state="ready").exists()

    def test_a_failure_is_an_event_too(self, token, settings):
        failing(settings, Refused("local: not that."))
        _, [(name, data)] = self.run(token)

        assert name == "error"
        assert data["error"]["code"] == "moderation_blocked"

    def test_it_says_that_it_lives(self, token, settings, monkeypatch):
        async def slowly(prompt):
            await asyncio.sleep(0.3)

        use_local(settings, slowly)
        monkeypatch.setattr("mediagen.api.openai.views.STILL_THERE_S", 0.05)

        async def parts():
            response = await post(token)
            return [part async for part in response.streaming_content]

        assert asyncio.run(and_let_go(parts()))[0] == b": still there\n\n"

    def test_by_a_sync_server_all_at_once(self, ask):
        text = b"".join(ask(stream=True, n=2).streaming_content).decode()

        assert text.count("event: image_generation.completed") == 2
        assert MediaAsset.objects.filter(generation_state="ready").count() == 2

    def test_not_with_addresses(self, ask):
        assert refused(ask(stream=True, response_format="url")) == (400, "invalid_value", "response_format")
