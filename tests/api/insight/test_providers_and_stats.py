from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from mediagen.models import ProviderConfig, ProviderHealth
from tests.api.callers import Caller, problem
from tests.factories import GenerationAttemptFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db


class TestProviders:
    URL = "/api/v1/providers/"

    def test_what_each_can_do_and_be_told(self):
        by_name = {one["name"]: one for one in Caller().get(self.URL).json()["results"]}

        sdxl = by_name["sdxl"]
        assert "generate_image" in sdxl["operations"]
        assert sdxl["options"]["properties"]
        assert (sdxl["is_live"], sdxl["health"], sdxl["is_placeholder"]) == (False, "ok", False)
        assert by_name["noop_media"]["is_placeholder"] is True
        assert "export_to_figma" in by_name["figma_api"]["operations"]

    def test_no_credential_and_no_address(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up-0123456789")
        config = ProviderConfig.objects.get(name="sdxl")
        config.credentials = "made-up-credential-9876"
        config.base_url = "https://pictures.example/v1"
        config.save()

        text = Caller().get(self.URL).content.decode()

        for secret in ("made-up", "9876", "sk-", "pictures.example"):
            assert secret not in text
        assert json.loads(text)["results"][0]["is_configured"] is True

    def test_health(self):
        until = timezone.now() + timedelta(minutes=5)
        model = next(one for one in Caller().get(self.URL).json()["results"] if one["name"] == "flux")["model"]
        ProviderHealth.objects.create(
            provider_name="flux",
            model_name=model,
            operation="generate_image",
            state="open",
            open_until=until,
            failures=5,
        )

        by_name = {one["name"]: one for one in Caller().get(self.URL).json()["results"]}

        assert by_name["flux"]["health"] == "open"
        assert by_name["flux"]["reopens_at"].startswith(f"{until:%Y-%m-%dT%H:%M}")

    def test_disabled_ones_are_not_there(self):
        ProviderConfig.objects.filter(name="flux").update(enabled=False)

        assert "flux" not in {one["name"] for one in Caller().get(self.URL).json()["results"]}


class TestStats:
    URL = "/api/v1/stats/"

    def test_of_the_libraries_that_may_be_looked_into(self):
        caller = Caller()
        hidden = MediaAssetFactory(library=MediaLibraryFactory(owner=UserFactory()))
        GenerationAttemptFactory(asset=MediaAssetFactory())
        GenerationAttemptFactory(asset=hidden)

        body = caller.get(self.URL).json()

        assert (body["period"], body["total"]["images"]) == ("7d", 1)
        assert float(body["total"]["spent"]) == 0.03
        assert body["providers"]["sdxl"]["p50_s"] == 4.0
        assert len(body["slots"]) == 8

    @pytest.mark.parametrize("query", [{"period": "24h"}, {"from": "2026-11-01", "to": "2026-11-03"}])
    def test_other_periods(self, query):
        assert Caller().get(self.URL, query).status_code == 200

    @pytest.mark.parametrize(
        "query",
        [
            {"period": "1y"},
            {"from": "yesterday"},
            {"from": "2026-11-03", "to": "2026-11-01"},
            {"form": "x"},
            {"to": "\x00"},
        ],
    )
    def test_periods_that_are_none(self, query):
        response = Caller().get(self.URL, query)

        assert (response.status_code, problem(response)) == (400, "invalid")
