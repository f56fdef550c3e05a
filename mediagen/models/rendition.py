"""The same picture in another size or format, made once and kept."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mediagen.models.asset import SiteStorage
from mediagen.models.writer import WriterQuerySet


class Rendition(models.Model):
    """One file made of an asset's file. `key` says how: size, format, quality and the hash of what it was made of."""

    asset = models.ForeignKey("mediagen.MediaAsset", on_delete=models.CASCADE, related_name="renditions")
    key = models.CharField(max_length=150, help_text=_("w400-h0-inside-webp-q80-<first 16 of the source's hash>"))
    file = models.FileField(storage=SiteStorage(), max_length=500)
    format = models.CharField(max_length=16)
    width = models.PositiveIntegerField(help_text=_("Pixels."))
    height = models.PositiveIntegerField()
    file_size = models.PositiveBigIntegerField(help_text=_("Bytes."))
    content_hash = models.CharField(max_length=64, help_text=_("SHA-256 of the file, hex."))
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WriterQuerySet["Rendition"].as_manager()

    class Meta:
        ordering = ("-pk",)
        constraints = (models.UniqueConstraint(fields=("asset", "key"), name="mediagen_rendition_unique"),)
        indexes = (models.Index(fields=("content_hash",), name="mediagen_rendition_hash"),)

    def __str__(self) -> str:
        return f"{self.width}\u00d7{self.height} {self.format}"
