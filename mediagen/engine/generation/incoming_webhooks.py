"""Webhooks in: a provider says that a job has ended. The rows decide what that is worth.

A delivery changes no asset. It is kept, whoever waits for the job finds it with the next look, and an asset that
nobody holds is put to the front of the waiting ones.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import mediagen.engine.generation.leases as leases
from mediagen.engine.database import in_database
from mediagen.engine.dispatch import task_engine
from mediagen.errors import ConfigurationError, ProviderError
from mediagen.factory import build_adapter
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset, ProviderConfig, WebhookDelivery
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.providers.webhooks import Delivery, WebhookRefused
from mediagen.types import AttemptState

logger = logging.getLogger("mediagen.webhooks")

KEPT_FOR = timedelta(days=3)


class NoSuchWebhook(Exception):
    """No enabled provider of this name takes webhooks."""


async def receive(provider_name: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Verify and keep a delivery; False when it was kept before.

    `headers` with lower-case names. `NoSuchWebhook`, or `WebhookRefused` for what is not genuine.
    """
    adapter = await in_database(_adapter, provider_name)
    read = getattr(adapter, "read_webhook", None)
    if read is None:
        raise NoSuchWebhook
    try:
        delivery: Delivery = await read(headers, body)
    except ProviderError as exc:
        raise WebhookRefused(f"it could not be verified now: {exc}") from None
    return await in_database(_keep, provider_name, delivery)


def _adapter(provider_name: str) -> Any:
    config = ProviderConfig.objects.enabled().filter(name=provider_name).first()
    if config is None:
        raise NoSuchWebhook
    try:
        return build_adapter(config, dry_run=False)
    except ConfigurationError as exc:
        raise WebhookRefused(str(exc)) from None


@atomic()
def _keep(provider_name: str, delivery: Delivery) -> bool:
    known = GenerationAttempt.objects.filter(provider_name=provider_name, provider_job_id=delivery.job_id)
    open_attempts = known.filter(state__in=(AttemptState.SUBMITTED, AttemptState.UNKNOWN))
    assets = list(open_attempts.exclude(asset=None).values_list("asset", flat=True))
    if not known.exists():
        # The answer to our request may still be on its way: kept all the same, and removed after some days.
        logger.info("a webhook of %s names job %s, which is not known (yet)", provider_name, delivery.job_id)
    _, is_new = WebhookDelivery.objects.get_or_create(
        provider_name=provider_name,
        delivery_id=delivery.id,
        defaults={"job_id": delivery.job_id, "payload": delivery.payload},
    )
    if is_new and assets:
        leases.free_dead_workers()
        waiting = MediaAsset.objects.filter(pk__in=assets, generation_state=GenerationState.PENDING)
        waiting.update(lease_until=None)
        task_engine.kick(list(MediaAsset.objects.claimable().filter(pk__in=assets).values_list("pk", flat=True)))
    return is_new


def remove_old() -> int:
    """Deliveries that nobody will ask for any more; how many."""
    return WebhookDelivery.objects.filter(received_at__lt=db_now() - KEPT_FOR).delete()[0]
