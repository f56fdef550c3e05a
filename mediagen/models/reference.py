"""Where a text of the site names an asset: what no foreign key says."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mediagen.models.writer import WriterQuerySet


class AssetReference(models.Model):
    """An asset in a text field of one of the site's rows. Kept by signals; `mediagen_rebuild_references` reads all."""

    asset = models.ForeignKey("mediagen.MediaAsset", on_delete=models.CASCADE, related_name="references")
    model = models.CharField(max_length=150, help_text=_("blog.post"))
    object_id = models.CharField(max_length=200)
    field = models.CharField(max_length=100)

    objects = WriterQuerySet["AssetReference"].as_manager()

    class Meta:
        ordering = ("pk",)
        indexes = (models.Index(fields=("model", "object_id"), name="mediagen_reference_row"),)
        constraints = (
            models.UniqueConstraint(fields=("asset", "model", "object_id", "field"), name="mediagen_reference_unique"),
        )

    def __str__(self) -> str:
        return f"{self.model} {self.object_id}: {self.field}"
