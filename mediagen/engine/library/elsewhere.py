"""What rows of the site's other apps point at our assets: such rows are never deleted with an asset."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import models, router
from django.utils.text import capfirst

from mediagen.models import MediaAsset

SHOWN = 20
"""rows of one relation that are named"""


def pointed_at(asset_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the assets that a row of another app points at, by any relation."""
    return {pk for field in _relations() for pk in _rows(field, asset_ids).values_list(f"{field.name}__pk", flat=True)}


def places_of(asset_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """Other apps' rows that point at the assets, as "Product x", by asset id."""
    places: dict[uuid.UUID, list[str]] = defaultdict(list)
    for field in _relations():
        for row in _rows(field, asset_ids)[:SHOWN]:
            places[getattr(row, field.name).pk].append(_name(row, field))
    return dict(places)


def _relations() -> Iterator[models.ForeignKey[Any, Any]]:
    """Every foreign key of another app to an asset; of a many-to-many field, the one of its table in between."""
    for relation in MediaAsset._meta.get_fields(include_hidden=True):
        if isinstance(relation, models.ManyToOneRel) and relation.related_model._meta.app_label != "mediagen":
            yield relation.field


def _rows(field: models.ForeignKey[Any, Any], asset_ids: Sequence[uuid.UUID]) -> models.QuerySet[Any]:
    # The model's base manager sees what a default manager hides; the writer sees what a replica does not yet.
    manager = field.model._base_manager.using(router.db_for_write(field.model))
    return manager.filter(**{f"{field.name}__pk__in": list(asset_ids)})


def _name(row: models.Model, field: models.ForeignKey[Any, Any]) -> str:
    owner: Any = row._meta.auto_created  # of a many-to-many field's own table: the model that has the field
    if owner:
        of = next(f for f in row._meta.fields if f.remote_field and f is not field)
        row = getattr(row, of.name)
    return f"{capfirst(str(row._meta.verbose_name))} {row}"
