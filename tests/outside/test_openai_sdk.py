"""The official openai SDK, pointed at a served site."""

from __future__ import annotations

import asyncio
import base64
import time
import urllib.request
from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image

from mediagen.engine.library import tokens
from mediagen.errors import OutcomeUnknown, RateLimited, Refused, UnsupportedRequest
from mediagen.models import MediaAsset
from tests import pictures
from tests.engine.work.working import use_local
from tests.factories import MediaLibraryFactory, UserFactory
from tests.serving import served

__all__ = ["served"]

openai = pytest.importorskip("openai")

pytestmark = [pytest.mark.outside, pytest.mark.filterwarnings("default")]


@pytest.fixture
def key(served):
    user = UserFactory(may=["view_mediaasset", "add_mediaasset"], is_staff=False)
    return tokens.issue(user, "sdk", scopes=["read", "generate"]).text.reveal()


@pytest.fixture
def client(served, key):
    return openai.OpenAI(api_key=key, base_url=f"{served}/api/v1/openai/v1", timeout=30)


def picture(image):
    return Image.open(BytesIO(base64.b64decode(image.b64_json)))


def failing(settings, error):
    async def fail(prompt):
        raise error

    return use_local(settings, fail, RETRIES=0)


def test_pictures(client):
    response = client.images.generate(
        model="gpt-image-2",
        prompt="a lighthouse",
        n=2,
        size="1024x1024",
        quality="low",
        output_format="webp",
        user="anna",
    )

    assert [picture(image).size for image in response.data] == [(1024, 1024)] * 2
    assert {picture(image).format for image in response.data} == {"WEBP"}
    assert (response.size, response.output_format) == ("1024x1024", "webp")
    assert abs(response.created - time.time()) < 60
    assert {image.mediagen["provider"] for image in response.data} == {"openai_images"}
    assert MediaAsset.objects.filter(generation_state="ready").count() == 2


def test_our_own_parameters(client):
    MediaLibraryFactory(name="Spring")
    client.images.generate(
        model="auto",
        prompt="a lighthouse",
        size="64x64",
        extra_body={"library": "Spring", "tags": ["coast"], "seed": 7},
    )

    asset = MediaAsset.objects.get()
    assert (asset.library.name, asset.seed) == ("Spring", 7)
    assert "coast" in asset.tag_names


def test_an_address(client):
    response = client.images.generate(model="dall-e-3", prompt="a lighthouse", size="64x64", response_format="url")
    with urllib.request.urlopen(response.data[0].url) as answer:
        assert Image.open(BytesIO(answer.read())).size == (64, 64)


def test_edits(client):
    files = [("a.png", pictures.png(64, 64)), ("b.png", pictures.png(32, 32))]
    response = client.images.edit(
        model="gpt-image-2", image=files, mask=files[0], prompt="add a hat", size="64x64", input_fidelity="high"
    )
    single = client.images.edit(model="auto", image=files[0], prompt="add a hat", n=2, size="64x64")
    streamed = list(client.images.edit(model="auto", image=files[0], prompt="x", size="64x64", stream=True))

    assert picture(response.data[0]).size == (64, 64)
    assert len(single.data) == 2
    assert [event.type for event in streamed] == ["image_edit.completed"]
    assert MediaAsset.objects.filter(source="uploaded").count() == 5
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(model="auto", image=("a.png", b"no picture"), prompt="add a hat")
    assert caught.value.code == "invalid_image_file"


def test_the_same_request_twice(client):
    headers = {"Idempotency-Key": "one"}
    answers = [client.images.generate(prompt="x", size="64x64", extra_headers=headers) for _ in range(2)]

    assert answers[0].data[0].mediagen["asset"] == answers[1].data[0].mediagen["asset"]
    assert MediaAsset.objects.count() == 1
    with pytest.raises(openai.ConflictError):
        client.images.generate(prompt="y", size="64x64", extra_headers=headers)


def test_a_stream(client):
    stream = client.images.generate(
        model="gpt-image-2", prompt="a lighthouse", size="64x64", stream=True, partial_images=2
    )
    events = list(stream)

    assert [event.type for event in events] == ["image_generation.completed"]
    assert picture(events[0]).size == (64, 64)


def test_models(client):
    names = [model.id for model in client.models.list()]

    assert names[0] == "auto"
    assert client.models.retrieve("gpt-image-2").owned_by == "openai_images"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


def test_many_at_once(served, key, settings):
    async def slowly(prompt):
        await asyncio.sleep(0.5)

    use_local(settings, slowly)

    async def ask():
        async with openai.AsyncOpenAI(api_key=key, base_url=f"{served}/api/v1/openai/v1", max_retries=0) as client:
            asked = [client.images.generate(model="auto", prompt=f"{n}", size="16x16") for n in range(40)]
            return await asyncio.gather(*asked)

    assert len(asyncio.run(ask())) == 40
    assert MediaAsset.objects.filter(generation_state="ready").count() == 40


class TestErrors:
    def refused(self, client, **values):
        with pytest.raises(openai.APIStatusError) as caught:
            client.images.generate(**{"model": "auto", "prompt": "a lighthouse", "size": "16x16", **values})
        assert caught.value.request_id.startswith("req_")
        return type(caught.value), caught.value.code, caught.value.param

    def test_wrong_key(self, client):
        assert self.refused(client.with_options(api_key="mgt_wrong"))[:2] == (
            openai.AuthenticationError,
            "invalid_api_key",
        )

    def test_no_permission(self, client):
        key = tokens.issue(UserFactory(), "none", scopes=["generate"]).text.reveal()
        assert self.refused(client.with_options(api_key=key))[0] is openai.PermissionDeniedError

    def test_bad_parameters(self, client):
        assert self.refused(client, size="huge") == (openai.BadRequestError, "invalid_value", "size")
        assert self.refused(client, model="nobody") == (openai.NotFoundError, "model_not_found", "model")
        assert self.refused(client, extra_body={"colour": "red"}) == (
            openai.BadRequestError,
            "unknown_parameter",
            "colour",
        )

    @pytest.mark.parametrize(
        ("error", "kind", "code", "tries"),
        [
            (Refused("no"), openai.BadRequestError, "moderation_blocked", 1),
            (UnsupportedRequest("no"), openai.BadRequestError, "unsupported_value", 1),
            (OutcomeUnknown("gone"), openai.InternalServerError, "generation_failed", 1),
            (RateLimited("slowly", retry_after_s=1.0), openai.InternalServerError, "providers_cooling_down", 3),
        ],
    )
    def test_no_picture_and_what_may_be_bought_is_not_asked_twice(self, client, settings, error, kind, code, tries):
        failing(settings, error)

        assert self.refused(client)[:2] == (kind, code)
        assert MediaAsset.objects.count() == tries  # the SDK asks again by itself unless it is told not to

    def test_a_budget(self, client, settings):
        use_local(settings, price=Decimal("1.00"))
        MediaLibraryFactory(name="Small", budget_limit=Decimal("0.50"), budget_period="total")

        assert self.refused(client, extra_body={"library": "Small"})[:2] == (
            openai.RateLimitError,
            "insufficient_quota",
        )
        assert MediaAsset.objects.count() == 1

    def test_a_stream_that_fails(self, client, settings):
        failing(settings, Refused("no"))
        stream = client.images.generate(model="auto", prompt="a lighthouse", size="16x16", stream=True)
        with pytest.raises(openai.APIError) as caught:
            list(stream)

        assert caught.value.code == "moderation_blocked"


def test_who_hangs_up_finds_his_picture_in_the_library(client, settings):
    async def slowly(prompt):
        await asyncio.sleep(1.5)

    local = use_local(settings, slowly)
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.4, max_retries=0).images.generate(
            model="auto", prompt="a lighthouse", size="16x16"
        )
    until = time.monotonic() + 20
    while time.monotonic() < until and not MediaAsset.objects.filter(generation_state="ready").exists():
        time.sleep(0.1)

    assert MediaAsset.objects.get().generation_state == "ready"
    assert len(local.asked) == 1
