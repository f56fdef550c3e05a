"""The file as its vendor sent it, kept beside the one that was made of it in the size that was asked for."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mediagen.models.asset import SiteStorage
from mediagen.models.writer import WriterQuerySet


class AssetOriginal(models.Model):
    """The bytes that came, to the last one. They go with their asset, or after KEEP_ORIGINALS_DAYS."""

    asset = models.OneToOneField(
        "mediagen.MediaAsset", on_delete=models.CASCADE, primary_key=True, related_name="original", editable=False
    )
    file = models.FileField(storage=SiteStorage(), max_length=500, editable=False)
    format = models.CharField(max_length=16, editable=False)
    width = models.PositiveIntegerField(editable=False, help_text=_("Pixels."))
    height = models.PositiveIntegerField(editable=False)
    file_size = models.PositiveBigIntegerField(editable=False, help_text=_("Bytes."))
    content_hash = models.CharField(max_length=64, editable=False, help_text=_("SHA-256 of the file, hex."))
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WriterQuerySet["AssetOriginal"].as_manager()

    class Meta:
        ordering = ("-pk",)
        indexes = (
            models.Index(fields=("created_at",), name="mediagen_original_created"),
            models.Index(fields=("content_hash",), name="mediagen_original_hash"),
        )

    def __str__(self) -> str:
        return f"{self.width}\u00d7{self.height} {self.format}"
