"""Which image of Wagtail's is which asset."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import models
from django.urls import reverse

from mediagen.models.writer import WriterQuerySet


class ImageLink(models.Model):
    """An image of Wagtail's and its asset. No foreign key to the image: a site may have any model for them, made by
    any migration of its own. Kept by signals; an asset with one is in use, and is not removed."""

    asset = models.OneToOneField("mediagen.MediaAsset", on_delete=models.PROTECT, related_name="+")
    model = models.CharField(max_length=150, help_text="wagtailimages.image")
    object_id = models.CharField(max_length=64)
    file = models.CharField(max_length=255, help_text="Of the image. One that gets another is this asset's no more.")
    follows = models.BooleanField(
        default=False, help_text="Made from the asset: when the asset's picture is replaced, so is the image's."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WriterQuerySet["ImageLink"].as_manager()

    wagtail_reference_index_ignore = True

    class Meta:
        app_label = "mediagen_wagtail"
        ordering = ("pk",)
        verbose_name = "Wagtail image"
        constraints = (models.UniqueConstraint(fields=("model", "object_id"), name="mediagen_wagtail_image"),)

    def __str__(self) -> str:
        image = self.image
        return str(image) if image is not None else self.object_id

    @property
    def image(self) -> Any:
        """Of Wagtail's; None when it is gone. A query."""
        try:
            return apps.get_model(self.model)._base_manager.filter(pk=self.object_id).first()
        except LookupError:
            return None  # of an image model that the site has no more

    # What "Used in" of an asset asks a row.

    @property
    def admin_url(self) -> str:
        return reverse("wagtailimages:edit", args=[self.object_id])

    def may_be_seen_by(self, user: Any) -> bool:
        from mediagen.contrib.wagtail.permissions import may  # models are loaded before Wagtail is ready

        image = self.image
        return image is not None and (may(user, "choose", image) or may(user, "change", image))
