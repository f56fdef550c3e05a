"""A batch: many assets asked for together. Its lines are assets; what it is worth is in the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from mediagen.models.attempt import GenerationAttempt
from mediagen.models.attempt_sum import AttemptSum
from mediagen.models.costs import NOTHING, ZERO, Cost, costs_by
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7


class BatchState(models.TextChoices):
    LOADING = "loading", _("loading")
    RUNNING = "running", _("running")
    PAUSED = "paused", _("paused")
    FINISHED = "finished", _("finished")
    CANCELLED = "cancelled", _("cancelled")


class GenerationBatchQuerySet(WriterQuerySet["GenerationBatch"]):
    def unfinished(self) -> Self:
        return self.exclude(state__in=(BatchState.FINISHED, BatchState.CANCELLED))

    def visible_to(self, user: Any) -> Self:
        """Batches that the user started; all of them with the permission to see every library."""
        if not user.is_active or not user.is_authenticated:
            return self.none()
        if user.is_superuser or user.has_perm("mediagen.view_all_libraries"):
            return self.all()
        return self.filter(created_by=user.pk)

    def with_counts(self) -> Self:
        """Adds `ready`, `placeholders`, `failed`, `running`, `pending`, `cancelled`: numbers of assets."""

        def count(**where: Any) -> Count:
            return Count("assets", filter=Q(**{f"assets__{key}": value for key, value in where.items()}))

        return self.annotate(
            ready=count(generation_state="ready"),
            placeholders=count(generation_state="ready", is_placeholder=True),
            failed=count(generation_state="failed"),
            running=count(generation_state="running"),
            pending=count(generation_state="pending"),
            cancelled=count(generation_state="cancelled"),
        )


class GenerationBatch(models.Model):
    """A manifest that was started. The same manifest with the same options is the same batch."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200)
    fingerprint = models.CharField(
        max_length=64, unique=True, editable=False, help_text=_("SHA-256 of manifest, options and library.")
    )
    file_name = models.CharField(max_length=500, blank=True)
    file_digest = models.CharField(max_length=64, blank=True, help_text=_("SHA-256 of the manifest, hex."))
    options = models.JSONField(default=dict, blank=True, help_text=_("What every line has in common."))
    state = models.CharField(max_length=10, choices=BatchState.choices, default=BatchState.LOADING)
    state_reason = models.TextField(blank=True)
    total = models.PositiveIntegerField(default=0, help_text=_("Assets; 0 until the manifest is loaded."))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="media_batches"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = GenerationBatchQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        indexes = (models.Index(fields=("state", "-id"), name="mediagen_batch_state"),)
        constraints = (
            models.CheckConstraint(name="mediagen_batch_state_legal", condition=Q(state__in=BatchState.values)),
        )

    def __str__(self) -> str:
        return self.name

    def cost(self) -> Cost:
        """What was billed for its pictures, those that did not come too, and what may have been. Two queries."""
        return GenerationBatch.costs([self])[self.pk]

    @staticmethod
    def costs(batches: Iterable[GenerationBatch]) -> dict[Any, Cost]:
        """The same of many, by key. Two queries."""
        keys = [batch.pk for batch in batches]
        found = costs_by("batch", GenerationAttempt.objects.filter(batch__in=keys))
        pruned = AttemptSum.objects.of_owners("batch", keys).billed_by("batch")
        return {key: found.get(key, NOTHING) + Cost(billed=pruned.get(key, ZERO)) for key in keys}

    @property
    def batch_id(self) -> str:
        return str(self.pk)
