"""Collections: searches that are kept by a name, and boards of pictures that people put together by hand."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mediagen.models.library import MediaLibrary
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7

MAX_QUERY = 2000
"""characters"""


class Collection(models.Model):
    """A kept search when it has a `query`, else a board. Of its owner alone, or of all who may look into `library`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=200)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="media_collections",
    )
    library = models.ForeignKey(
        MediaLibrary,
        verbose_name=_("shared with"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="collections",
        help_text=_("The library whose people see it. Empty: its owner alone."),
    )
    query = models.CharField(
        _("search"),
        max_length=MAX_QUERY,
        blank=True,
        help_text=_("Filters as in the gallery's address. Empty: a board of pictures."),
    )
    assets = models.ManyToManyField(
        "mediagen.MediaAsset", through="mediagen.CollectionItem", related_name="collections", verbose_name=_("pictures")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = WriterQuerySet["Collection"].as_manager()

    class Meta:
        ordering = ("name", "pk")
        verbose_name = _("collection")
        verbose_name_plural = _("collections")

    def __str__(self) -> str:
        return self.name

    @property
    def is_board(self) -> bool:
        return not self.query


class CollectionItem(models.Model):
    """A picture on a board, and where it stands there."""

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="items")
    asset = models.ForeignKey("mediagen.MediaAsset", on_delete=models.CASCADE, related_name="shelves")
    position = models.PositiveIntegerField()

    objects = WriterQuerySet["CollectionItem"].as_manager()

    class Meta:
        ordering = ("position", "pk")
        constraints = (models.UniqueConstraint(fields=("collection", "asset"), name="mediagen_collection_asset_once"),)

    def __str__(self) -> str:
        return f"{self.position}: {self.asset_id}"
