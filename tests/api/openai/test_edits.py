"""Pictures out of pictures, and requests that are sent twice."""

from __future__ import annotations

import base64
from datetime import timedelta
from io import BytesIO

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image

from mediagen import conf
from mediagen.engine import get_media_engine
from mediagen.engine.library import tokens
from mediagen.errors import OutcomeUnknown, Refused, Unavailable
from mediagen.models import ApiToken, GenerationAttempt, IdempotentRequest, MediaAsset, ProviderConfig
from mediagen.providers.registry import adapter_class
from tests import pictures
from tests.api.openai.test_generations import GENERATIONS, refused
from tests.engine.work.working import use_local
from tests.factories import MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

EDITS = "/api/v1/openai/v1/images/edits"


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def client():
    user = UserFactory(may=["view_mediaasset", "add_mediaasset"], is_staff=False)
    token = tokens.issue(user, "shop", scopes=["read", "generate"]).text.reveal()
    return Client(headers={"Authorization": f"Bearer {token}"})


def file(content=None, name="source.png"):
    return SimpleUploadedFile(name, pictures.png(64, 48) if content is None else content, "image/png")


@pytest.fixture
def live(provider_servers, settings):
    """The OpenAI provider alone, live, at its test server."""
    server = provider_servers["openai_images"]
    settings.MEDIAGEN = {"DRY_RUN": False, "RUN_IN_SERVER": False, "BACKOFF_S": 0.001}
    ProviderConfig.objects.exclude(name="openai_images").update(enabled=False)
    ProviderConfig.objects.filter(name="openai_images").update(base_url=server.base_url)
    config = ProviderConfig.objects.get(name="openai_images")
    config.credentials = server.key
    config.save()
    return server


class TestEdits:
    def test_a_picture_out_of_two_and_a_mask(self, client, live):
        form = {"prompt": "add a hat", "image[]": [file(), file()], "mask": file(), "size": "1024x1024", "n": "2"}
        response = client.post(EDITS, form)
        body = response.json()

        assert response.status_code == 200, body
        assert [Image.open(BytesIO(base64.b64decode(d["b64_json"]))).size for d in body["data"]] == [(1024, 1024)] * 2
        made = MediaAsset.objects.filter(source="generated")
        assert MediaAsset.objects.filter(source="uploaded").count() == 3
        assert {asset.parent.source for asset in made} == {"uploaded"}
        assert {len(asset.parameters["sources"]) for asset in made} == {2}
        assert set(GenerationAttempt.objects.values_list("operation", "state")) == {("edit_image", "succeeded")}
        assert len(live.purchases) == 2
        assert all(asset.cost is not None for asset in made)

    def test_in_dry_run_a_placeholder_by_who_can(self, client):
        response = client.post(EDITS, {"prompt": "add a hat", "image": file(), "size": "64x48"})

        [data] = response.json()["data"]
        assert data["mediagen"]["provider"] == "openai_images"
        assert data["mediagen"]["is_placeholder"] is True

    def test_what_failed_is_made_again_out_of_the_same_pictures(self, client, live):
        from tests.servers import Fault

        live.fault("submit", Fault.http(400, code="moderation_blocked"))
        form = {"prompt": "add a hat", "image": file(), "size": "1024x1024"}
        assert refused(client.post(EDITS, form))[:2] == (400, "moderation_blocked")
        asset = MediaAsset.objects.get(source="generated")
        assert asset.generation_state == "failed"
        get_media_engine().regenerate_asset_sync(asset.pk)

        asset.refresh_from_db()
        assert asset.is_ready
        assert live.requests[-1].path.endswith("/images/edits")

    @pytest.mark.parametrize("model", ["fal", "comfyui"])
    def test_a_model_that_cannot_edit(self, client, model):
        response = client.post(EDITS, {"prompt": "add a hat", "image": file(), "model": model})

        assert refused(response) == (400, "unsupported_value", "model")
        assert "openai_images" in response.json()["error"]["message"]
        assert not MediaAsset.objects.exists()

    def test_nobody_who_can(self, client):
        editors = [name for name in conf.BUILT_IN_PROVIDERS if hasattr(adapter_class(name), "edit_image")]
        ProviderConfig.objects.filter(name__in=editors).update(enabled=False)
        form = {"prompt": "add a hat", "image": file()}

        assert refused(client.post(EDITS, form)) == (400, "unsupported_value", "model")
        assert refused(client.post(EDITS, {**form, "image": file(), "model": "fal"}))[1] == "unsupported_value"
        assert not MediaAsset.objects.exists()

    @pytest.mark.parametrize(
        ("form", "param"),
        [
            ({"prompt": "x"}, "image"),
            ({"image": "no file", "prompt": "x"}, "image"),
            ({"image": b"", "prompt": "x"}, "image"),
            ({"image": b"PK\x03\x04 a zip", "prompt": "x"}, "image"),
            ({"image": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "prompt": "x"}, "image"),
            ({"image": None}, "prompt"),
            ({"image": None, "prompt": "x", "n": "0"}, "n"),
            ({"image": None, "prompt": "x", "colour": "red"}, "colour"),
            ({"image": None, "prompt": "x", "input_fidelity": "some"}, "input_fidelity"),
        ],
    )
    def test_bad_input_names_the_parameter(self, client, form, param):
        image = form.get("image", "")
        if image is None or isinstance(image, bytes):
            form = {**form, "image": file(image)}
        status, _, named = refused(client.post(EDITS, form))

        assert (status, named) == (400, param)
        assert not MediaAsset.objects.filter(source="generated").exists()

    def test_what_is_no_form(self, client):
        assert refused(client.post(EDITS, {"prompt": "x"}, content_type="application/json"))[0] == 415
        broken = client.post(EDITS, b"--x\r\nbroken", content_type="multipart/form-data; boundary=x")
        assert refused(broken)[0] == 400

    def test_strangers(self):
        assert refused(Client().post(EDITS, {"prompt": "x", "image": file()}))[0] == 401


class TestTwice:
    def ask(self, client, key, **values):
        body = {"prompt": "a lighthouse", "size": "64x48", **values}
        return client.post(GENERATIONS, body, content_type="application/json", headers={"Idempotency-Key": key})

    def test_the_same_request_is_the_same_pictures(self, client, settings):
        local = use_local(settings)
        first, second = self.ask(client, "k1", n=2).json(), self.ask(client, "k1", n=2).json()

        assert len(local.asked) == MediaAsset.objects.count() == 2
        ids = [sorted(data["mediagen"]["asset"] for data in body["data"]) for body in (first, second)]
        assert ids[0] == ids[1]

    def test_another_request_is_refused_and_another_key_is_not(self, client):
        self.ask(client, "k1")

        assert refused(self.ask(client, "k1", seed=7)) == (409, "idempotency_key_reused", "Idempotency-Key")
        assert self.ask(client, "k2").status_code == 200

    def test_a_failure_is_told_again_and_nothing_bought(self, client, settings):
        async def refuse(prompt):
            raise Refused("local: not that.")

        local = use_local(settings, refuse)
        self.ask(client, "k1")
        response = self.ask(client, "k1")

        assert refused(response) == (502, "generation_failed", None)
        assert "not that" in response.json()["error"]["message"]
        assert len(local.asked) == 1

    def test_keys_are_each_tokens_own_and_rights_are_those_of_now(self, client, settings):
        local = use_local(settings)
        self.ask(client, "k1")
        user = ApiToken.objects.get().user
        other = tokens.issue(user, "other", scopes=["generate"], library=MediaLibraryFactory(owner=user))
        bound = Client(headers={"Authorization": f"Bearer {other.text.reveal()}"})
        assert self.ask(bound, "k1").status_code == 200
        assert len(local.asked) == 2

        MediaAsset.objects.update(library=MediaLibraryFactory(owner=UserFactory()))
        assert refused(self.ask(client, "k1"))[:2] == (403, "insufficient_permissions")
        assert len(local.asked) == 2

    @pytest.mark.parametrize("key", ["", "x" * 256])
    def test_a_key_that_is_none(self, client, key):
        assert refused(self.ask(client, key))[0] == 400


class TestRepeatsOfTheSDK:
    """As OpenAI's SDKs send them: the same body, with the number of the repeat."""

    def ask(self, client, count, **values):
        body = {"prompt": "a lighthouse", "size": "64x48", **values}
        return client.post(
            GENERATIONS, body, content_type="application/json", headers={"x-stainless-retry-count": str(count)}
        )

    def test_a_repeat_gets_the_picture_and_a_new_call_another(self, client, settings):
        local = use_local(settings)
        asked = [self.ask(client, count).json()["data"][0]["mediagen"]["asset"] for count in (0, 1, 2, 0, 1)]

        assert len(local.asked) == 2
        assert (len(set(asked[:3])), len(set(asked[3:])), len(set(asked))) == (1, 1, 2)

    def test_a_repeat_of_what_never_came_is_carried_out_once(self, client, settings):
        local = use_local(settings)
        self.ask(client, 1), self.ask(client, 2)

        assert len(local.asked) == 1

    def test_another_request_another_token_and_long_after_are_new(self, client, settings):
        local = use_local(settings)
        self.ask(client, 0)
        other = tokens.issue(ApiToken.objects.get().user, "other", scopes=["generate"]).text.reveal()
        self.ask(client, 1, seed=3), self.ask(Client(headers={"Authorization": f"Bearer {other}"}), 1)
        assert len(local.asked) == 3

        IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(minutes=11))
        self.ask(client, 1)
        assert len(local.asked) == 4

    @pytest.mark.parametrize(("error", "asked"), [(Unavailable("away"), 2), (OutcomeUnknown("maybe"), 1)])
    def test_a_failure_is_tried_again_only_when_it_bought_nothing(self, client, settings, error, asked):
        async def fail(prompt):
            raise error

        local = use_local(settings, fail, RETRIES=0, BREAKER_FAILURES=99)
        self.ask(client, 0), self.ask(client, 1)

        assert len(local.asked) == asked

    @pytest.mark.parametrize("count", ["", "-1", "x", "1" * 5000])
    def test_what_is_no_count_is_no_repeat(self, client, settings, count):
        local = use_local(settings)
        self.ask(client, 0), self.ask(client, count)

        assert len(local.asked) == 2
