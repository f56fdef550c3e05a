"""Rows for tests. A trait says what matters (`MediaAssetFactory(failed=True)`); the factory fills in the rest."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from decimal import Decimal
from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.files.base import ContentFile
from django.utils import timezone
from factory.django import DjangoModelFactory

from mediagen.destinations import destination
from mediagen.engine.events.delivery import new_secret
from mediagen.errors import Outcome
from mediagen.models import (
    AssetExport,
    AssetUsage,
    BackgroundJob,
    GenerationAttempt,
    GenerationBatch,
    MediaAsset,
    MediaLibrary,
    MediaTag,
    ProviderConfig,
    WebhookEndpoint,
    asset_storage,
)
from mediagen.types import AttemptState
from tests import pictures


class UserFactory(DjangoModelFactory):
    """`UserFactory(may=["view_mediaasset"])` has these permissions of ours, "app.codename" those of other apps."""

    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence(lambda number: f"person{number}")
    is_staff = True

    @factory.post_generation
    def may(self, create: bool, permissions: list[str] | None, **kwargs: Any) -> None:
        for permission in permissions or ():
            app, _, codename = permission.rpartition(".")
            found = Permission.objects.get(codename=codename, content_type__app_label=app or "mediagen")
            self.user_permissions.add(found)


class GroupFactory(DjangoModelFactory):
    class Meta:
        model = Group

    name = factory.Sequence(lambda number: f"group {number}")


class MediaTagFactory(DjangoModelFactory):
    class Meta:
        model = MediaTag

    name = factory.Sequence(lambda number: f"Tag {number}")


class MediaLibraryFactory(DjangoModelFactory):
    """Belongs to nobody, so that everybody may use it, unless an owner or groups are given."""

    class Meta:
        model = MediaLibrary

    name = factory.Sequence(lambda number: f"Library {number}")


def stored(content: bytes, name: str) -> str:
    return asset_storage().save(name, ContentFile(content))


class MediaAssetFactory(DjangoModelFactory):
    """Pending, unless a trait says otherwise. `ready` has a real file of 64 x 48 pixels."""

    class Meta:
        model = MediaAsset

    library = factory.SubFactory(MediaLibraryFactory)
    prompt = factory.Sequence(lambda number: f"a lighthouse in the fog, number {number}")
    name = factory.LazyAttribute(lambda asset: asset.prompt[:80])
    parameters = factory.LazyFunction(lambda: {"width": 64, "height": 48})

    class Params:
        content = factory.LazyFunction(pictures.png)
        failed = factory.Trait(
            generation_state="failed",
            failure="generate_image: no provider delivered, 1 attempt(s):\n  1. sdxl: unavailable: it did not answer.",
        )
        ready = factory.Trait(
            generation_state="ready",
            file=factory.LazyAttribute(lambda asset: stored(asset.content, "mediagen/picture.png")),
            format="png",
            width=64,
            height=48,
            file_size=factory.LazyAttribute(lambda asset: len(asset.content)),
            content_hash=factory.LazyAttribute(lambda asset: hashlib.sha256(asset.content).hexdigest()),
            provider_name="sdxl",
            model_name="core",
            cost=Decimal("0.03"),
            generated_at=factory.LazyFunction(timezone.now),
        )
        placeholder = factory.Trait(
            ready=True, is_placeholder=True, provider_name="noop_media", model_name="placeholder", cost=Decimal(0)
        )


class GenerationAttemptFactory(DjangoModelFactory):
    """One that delivered, unless a trait says otherwise."""

    class Meta:
        model = GenerationAttempt

    asset = factory.SubFactory(MediaAssetFactory)
    library = factory.LazyAttribute(lambda attempt: attempt.asset and attempt.asset.library)
    batch = factory.LazyAttribute(lambda attempt: attempt.asset and attempt.asset.batch)
    provider_name = "sdxl"
    model_name = "core"
    operation = "generate_image"
    position = 1
    state = AttemptState.SUCCEEDED.value
    outcome = Outcome.SUCCEEDED.value
    http_status = 200
    cost = Decimal("0.03")
    started_at = factory.LazyFunction(timezone.now)
    finished_at = factory.LazyAttribute(lambda attempt: attempt.started_at + timedelta(seconds=4))
    latency_s = 4.0

    class Params:
        unsuccessful = factory.Trait(state=AttemptState.FAILED.value, cost=None, http_status=None)
        unavailable = factory.Trait(
            unsuccessful=True, outcome=Outcome.UNAVAILABLE.value, http_status=503, message="sdxl: answered 503."
        )
        rate_limited = factory.Trait(
            unsuccessful=True, outcome=Outcome.RATE_LIMITED.value, http_status=429, message="sdxl: too many requests."
        )
        refused = factory.Trait(
            unsuccessful=True, outcome=Outcome.REFUSED.value, http_status=400, message="sdxl: moderation refused it."
        )
        unknown = factory.Trait(
            unsuccessful=True,
            state=AttemptState.UNKNOWN.value,
            outcome=Outcome.UNKNOWN.value,
            cost_held=Decimal("0.04"),
            message="sdxl: took the request and did not answer.",
        )
        skipped = factory.Trait(
            unsuccessful=True,
            state=AttemptState.SKIPPED.value,
            outcome=Outcome.SKIPPED.value,
            latency_s=None,
            message="figma_api does not have generate_image.",
        )
        in_flight = factory.Trait(
            state=AttemptState.SUBMITTED.value,
            outcome="",
            http_status=None,
            cost=None,
            finished_at=None,
            latency_s=None,
        )


class ProviderConfigFactory(DjangoModelFactory):
    """One more entry at the end of the chain. The seven built-in ones are there from the migrations."""

    class Meta:
        model = ProviderConfig

    name = factory.Sequence(lambda number: f"provider{number}")
    adapter = "sdxl"
    position = factory.Sequence(lambda number: 100 + number)


class AssetUsageFactory(DjangoModelFactory):
    class Meta:
        model = AssetUsage

    asset = factory.SubFactory(MediaAssetFactory, ready=True)
    campaign = "Spring"


class AssetExportFactory(DjangoModelFactory):
    class Meta:
        model = AssetExport

    asset = factory.SubFactory(MediaAssetFactory, ready=True)
    target = "figma"
    file_key = "abcDEF123456789012345"


class BackgroundJobFactory(DjangoModelFactory):
    class Meta:
        model = BackgroundJob

    kind = "zip"
    total = 4


class GenerationBatchFactory(DjangoModelFactory):
    class Meta:
        model = GenerationBatch

    name = factory.Sequence(lambda number: f"batch {number}")
    fingerprint = factory.Sequence(lambda number: f"{number:064}")
    state = "running"


class WebhookEndpointFactory(DjangoModelFactory):
    """On, told of everything in all libraries."""

    class Meta:
        model = WebhookEndpoint

    name = factory.Sequence(lambda number: f"endpoint {number}")
    url = "https://hooks.example.com/mediagen"
    secret = factory.LazyFunction(lambda: new_secret())


def moved_to(adapter: str, base_url: str) -> dict[str, str]:
    """Fields of a `ProviderConfig` at another address than the vendor's, to which the site's keys may be sent."""
    config = ProviderConfig(adapter=adapter, base_url=base_url)
    return {"base_url": base_url, "key_consent": destination(config)}
