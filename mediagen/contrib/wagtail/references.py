"""Which pages and snippets use an asset in their blocks, as Wagtail's reference index has it."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import CharField, Exists, F, OuterRef, Value
from django.db.models.functions import Cast, Lower, Replace
from wagtail.models import ReferenceIndex

from mediagen.models import MediaAsset
from mediagen.models.asset import MediaAssetQuerySet


class WagtailIndex:
    """See `mediagen.engine.library.elsewhere.Index`. Wagtail writes its index when a page is published or saved."""

    def pointed_at(self, asset_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        found = self._of(asset_ids).values_list("to_object_id", flat=True)
        return {uuid.UUID(text) for text in found}

    def rows_of(self, asset_ids: Sequence[uuid.UUID], most: int) -> Iterator[tuple[uuid.UUID, Any]]:
        named: dict[uuid.UUID, dict[tuple[int, str], None]] = defaultdict(dict)
        found = self._of(asset_ids).order_by("pk")
        for text, kind, pk in found.values_list("to_object_id", "content_type", "object_id"):
            rows = named[uuid.UUID(text)]
            if len(rows) < most:
                rows[kind, pk] = None
        for asset_id, rows in named.items():
            for kind, pk in rows:
                model = ContentType.objects.get_for_id(kind).model_class()
                row = model._base_manager.filter(pk=pk).first() if model is not None else None
                if row is not None:
                    yield asset_id, row

    def without_uses(self, assets: MediaAssetQuerySet) -> MediaAssetQuerySet:
        if ReferenceIndex.objects.db != assets.db:
            return assets  # no query reaches both
        # A database without a type for UUIDs keeps them without hyphens, and the index with them.
        rows = self._all().annotate(hex=Lower(Replace(F("to_object_id"), Value("-"), Value(""))))
        key = Lower(Replace(Cast(OuterRef("pk"), CharField(max_length=64)), Value("-"), Value("")))
        return assets.filter(~Exists(rows.filter(hex=key)))

    @staticmethod
    def _all() -> Any:
        return ReferenceIndex.objects.filter(to_content_type=ContentType.objects.get_for_model(MediaAsset))

    def _of(self, asset_ids: Sequence[uuid.UUID]) -> Any:
        return self._all().filter(to_object_id__in=[str(pk) for pk in asset_ids])
