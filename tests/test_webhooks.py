"""Results that providers push: only genuine ones count, each once, and a waiting asset is finished by them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import Client
from django.urls import reverse

from mediagen.engine import get_media_engine
from mediagen.engine.generation.incoming_webhooks import KEPT_FOR
from mediagen.engine.maintenance import sweep
from mediagen.errors import ConfigurationError
from mediagen.factory import get_media_generator_chain
from mediagen.models import GenerationAttempt, MediaAsset, MediaLibrary, WebhookDelivery
from mediagen.models.fields import webhook_secret
from mediagen.providers import replicate_sdxl
from mediagen.providers.webhooks import WebhookRefused, check_signature
from mediagen.types import utcnow

KEY = "whsec_" + base64.b64encode(b"a key for signing webhooks").decode()
BODY = b'{"id": "job-1", "status": "succeeded"}'
NOW = 1_800_000_000.0


def signed(body: bytes, *, delivery: str = "msg_1", at: float | None = None, key: str = KEY) -> dict[str, str]:
    stamp = str(int(NOW if at is None else at))
    secret = base64.b64decode(key.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.new(secret, f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest())
    return {
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,Zm9yZWlnbg== v1,{signature.decode()}",
    }


class TestSignature:
    def test_a_genuine_one(self):
        assert check_signature(signed(BODY), BODY, KEY, now=NOW) == "msg_1"

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {**signed(BODY), "webhook-id": "msg_2"},
            {**signed(BODY), "webhook-timestamp": str(int(NOW) + 1)},
            {**signed(BODY), "webhook-signature": "v1,bm8="},
            {**signed(BODY), "webhook-signature": signed(BODY)["webhook-signature"].replace("v1,", "v0,")},
            signed(BODY, at=NOW - 301),
            signed(BODY, at=NOW + 301),
            signed(b"another body"),
            signed(BODY, key="whsec_" + base64.b64encode(b"another key").decode()),
            {**signed(BODY), "webhook-timestamp": "soon"},
        ],
    )
    def test_any_other(self, headers):
        with pytest.raises(WebhookRefused):
            check_signature(headers, BODY, KEY, now=NOW)


@pytest.fixture(autouse=True)
def no_key_is_remembered():
    replicate_sdxl._signing_keys.clear()


@pytest.fixture
def pushed(settings):
    settings.MEDIAGEN = {"WEBHOOK_BASE_URL": "https://site.example"}


def post(name: str, body: bytes, headers: dict[str, str]):
    url = reverse("mediagen:webhook", args=[name])
    return Client(enforce_csrf_checks=True).post(url, body, content_type="application/json", headers=headers)


@pytest.mark.django_db
class TestReceiving:
    def test_replicate(self, pushed, live):
        live("replicate_sdxl")
        assert post("replicate_sdxl", BODY, signed(BODY, at=time.time())).status_code == 200
        assert post("replicate_sdxl", BODY, signed(BODY, at=time.time())).content == b"Known."
        assert WebhookDelivery.objects.get().job_id == "job-1"
        assert post("replicate_sdxl", BODY, signed(b"other")).status_code == 403

    def test_flux(self, pushed, live):
        live("flux")
        secret = {"x-webhook-secret": webhook_secret("flux")}
        assert post("flux", BODY, {"x-webhook-secret": "guess"}).status_code == 403
        assert post("flux", BODY, {}).status_code == 403
        assert post("flux", BODY, secret).status_code == 200
        assert WebhookDelivery.objects.count() == 1

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"status": "Ready"}', b'{"id": 5}', b'{"id": "../x"}'])
    def test_a_body_without_a_job_is_refused(self, pushed, live, body):
        live("flux")
        assert post("flux", body, {"x-webhook-secret": webhook_secret("flux")}).status_code == 403

    @pytest.mark.parametrize("name", ["nobody", "openai_images", "noop_media"])
    def test_a_provider_without_webhooks(self, pushed, name):
        assert post(name, BODY, {}).status_code == 404

    def test_only_post(self, pushed):
        assert Client().get(reverse("mediagen:webhook", args=["flux"])).status_code == 405

    def test_a_huge_body(self, pushed, live):
        live("flux")
        assert post("flux", b"x" * (2 * 1024 * 1024), {"x-webhook-secret": webhook_secret("flux")}).status_code == 413

    def test_a_key_that_cannot_be_fetched_refuses_and_says_nothing(self, pushed, live):
        (server,) = live("replicate_sdxl")
        server.refuse_connections()
        answer = post("replicate_sdxl", BODY, signed(BODY, delivery="msg_9"))
        assert (answer.status_code, answer.content) == (403, b"Refused.")


@pytest.mark.django_db
class TestWorkingWithThem:
    def finish_by_push(self, server, name, payload_of, headers_of):
        """Generate while every poll says "still running", push the result, and see it arrive."""
        server.polls_until_ready = 10_000

        async def go():
            task = asyncio.ensure_future(get_media_engine().generate_asset("x", 512, 512))
            await sync_to_async(server.wait_for_requests, thread_sensitive=False)("submit")
            job = None
            while not job:
                await asyncio.sleep(0.02)
                job = (await GenerationAttempt.objects.afirst()).provider_job_id
            body = json.dumps(payload_of(job)).encode()
            answer = await sync_to_async(post)(name, body, headers_of(body))
            assert answer.status_code == 200
            return await asyncio.wait_for(task, 20)

        return async_to_sync(go)()

    def test_flux(self, pushed, live):
        (server,) = live("flux")
        asset = self.finish_by_push(
            server,
            "flux",
            lambda job: {
                "id": job,
                "status": "Ready",
                "result": {
                    "sample": f"{server.origin}/delivery/{job}/sample.png?se=2099-01-01&sig={job[:8]}",
                    "seed": 5,
                },
            },
            lambda body: {"x-webhook-secret": webhook_secret("flux")},
        )
        assert (asset.generation_state, asset.seed, len(server.purchases)) == ("ready", 5, 1)
        sent = server.requests_for("submit")[0].json()
        assert sent["webhook_url"] == "https://site.example" + reverse("mediagen:webhook", args=["flux"])

    def test_replicate(self, pushed, live):
        (server,) = live("replicate_sdxl")
        asset = self.finish_by_push(
            server,
            "replicate_sdxl",
            lambda job: {"id": job, "status": "succeeded", "output": [f"{server.origin}/delivery/{job}/out-0.png"]},
            lambda body: signed(body, at=time.time()),
        )
        assert (asset.generation_state, len(server.purchases)) == ("ready", 1)
        assert server.requests_for("submit")[0].json()["webhook_events_filter"] == ["completed"]

    def test_without_the_setting_nothing_is_asked_to_push(self, live):
        (server,) = live("flux")
        get_media_engine().generate_asset_sync("x", 512, 512)
        assert "webhook_url" not in server.requests_for("submit")[0].json()

    def test_an_asset_that_waits_is_brought_forward(self, pushed, live):
        live("flux")
        asset = MediaAsset.objects.create(
            library=MediaLibrary.objects.create(name="L"), prompt="x", lease_until=utcnow().replace(year=2100)
        )
        GenerationAttempt.objects.create(
            asset=asset, provider_name="flux", operation="generate_image", position=1, state="unknown",
            started_at=utcnow(), provider_job_id="job-1",
        )  # fmt: skip
        assert not MediaAsset.objects.claimable().exists()
        post("flux", BODY, {"x-webhook-secret": webhook_secret("flux")})
        assert MediaAsset.objects.claimable().get() == asset

    def test_old_deliveries_are_removed(self):
        WebhookDelivery.objects.create(provider_name="flux", delivery_id="1", job_id="1", payload={})
        WebhookDelivery.objects.update(received_at=utcnow() - KEPT_FOR * 2)
        sweep.maintain()
        assert not WebhookDelivery.objects.exists()

    def test_a_site_without_our_urls_is_told_what_to_do(self, pushed, settings):
        settings.ROOT_URLCONF = "tests.no_urls"
        with pytest.raises(ConfigurationError, match=r"mediagen\.urls"):
            get_media_generator_chain(["flux"])
