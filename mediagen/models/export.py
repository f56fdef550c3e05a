"""Assets on their way into other tools: a Figma file, a Canva account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from mediagen.models.clock import db_now
from mediagen.models.leased import Leased
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7


class ExportTarget(models.TextChoices):
    FIGMA = "figma", _("Figma")
    CANVA = "canva", _("Canva")


class ExportState(models.TextChoices):
    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    WAITING = "waiting", _("waiting for the plugin")
    PLACED = "placed", _("placed")
    FAILED = "failed", _("failed")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")


class AssetExportQuerySet(WriterQuerySet["AssetExport"]):
    def visible_to(self, user: Any) -> Self:
        """Exports of assets in the libraries that the user may look into."""
        from mediagen.models.library import MediaLibrary

        return self.filter(asset__library__in=MediaLibrary.objects.visible_to(user))

    def claimable(self) -> Self:
        """Waiting for somebody who places them, or held by one whose lease is over. The database's clock decides."""
        return self.filter(_claimable()).filter(Q(expires_at__isnull=True) | Q(expires_at__gt=db_now()))

    def claim(self, *, worker: str, lease_s: float) -> int:
        """Take those of these exports that are still to be had; how many. One conditional UPDATE.

        The token only grows, so that an earlier holder is told apart from a later one.
        """
        return self.claimable().update(
            state=ExportState.RUNNING,
            lease_token=F("lease_token") + 1,
            lease_worker=worker[:100],
            lease_until=Now() + timedelta(seconds=lease_s),
            updated_at=Now(),
        )


def _claimable() -> Q:
    waiting = Q(state=ExportState.WAITING)
    return waiting | Q(state=ExportState.RUNNING, lease_token__gt=0, lease_until__lt=Now())


class AssetExport(Leased):
    """One asset to be put into one place of another tool, and what is known of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    asset = models.ForeignKey("mediagen.MediaAsset", on_delete=models.CASCADE, related_name="exports")
    target = models.CharField(max_length=10, choices=ExportTarget.choices)
    state = models.CharField(max_length=10, choices=ExportState.choices, default=ExportState.PENDING)
    message = models.TextField(blank=True, help_text=_("What went wrong, or what somebody has to do."))
    provider_name = models.CharField(max_length=100, blank=True)
    dry_run = models.BooleanField(default=False)

    file_key = models.CharField(max_length=200, blank=True, help_text=_("Figma: the file. Canva: the folder."))
    page_id = models.CharField(max_length=100, blank=True)
    frame_name = models.CharField(max_length=255, blank=True, help_text=_("Figma: name of the frame. Canva: title."))
    x = models.FloatField(null=True, blank=True)
    y = models.FloatField(null=True, blank=True)
    options = models.JSONField(default=dict, blank=True)

    external_id = models.CharField(
        max_length=200, blank=True, help_text=_("Figma: id of the node. Canva: id of the uploaded asset.")
    )
    design_id = models.CharField(max_length=200, blank=True, help_text=_("Canva: the design made with it."))
    url = models.TextField(blank=True, help_text=_("Where a person opens it."))
    comment_id = models.CharField(max_length=100, blank=True)
    job_id = models.CharField(max_length=255, blank=True, help_text=_("The other side's job, while it runs."))

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    placed_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    objects = AssetExportQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = _("export")
        indexes = (models.Index(fields=("target", "state", "-id"), name="mediagen_export_state"),)
        constraints = (
            models.CheckConstraint(name="mediagen_export_target_legal", condition=Q(target__in=ExportTarget.values)),
            models.CheckConstraint(name="mediagen_export_state_legal", condition=Q(state__in=ExportState.values)),
        )

    def __str__(self) -> str:
        return f"{self.target} {self.state}"

    @property
    def export_id(self) -> str:
        return str(self.pk)
