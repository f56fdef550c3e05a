"""The index of assets that stand in texts of the site's rows: MEDIAGEN["RICH_TEXT_FIELDS"] says in which.

Foreign keys need no index: the database is asked itself, see `elsewhere`.
"""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import models

from mediagen import conf
from mediagen.errors import ConfigurationError
from mediagen.models import AssetReference, MediaAsset
from mediagen.models.routing import atomic

_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_ADDRESS = re.compile(r"/p\.([0-9a-f]{32})\.")
"""of a picture on a page"""
TOGETHER = 200


def watched() -> dict[str, list[str]]:
    """The fields in which assets are looked for, by their model's label in small letters. `ConfigurationError` for what
    is none."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in conf.get("RICH_TEXT_FIELDS"):
        try:
            app, model, field = str(path).split(".")
            model_class = apps.get_model(app, model)
            model_class._meta.get_field(field)
        except (ValueError, LookupError) as exc:
            raise ConfigurationError(
                f"MEDIAGEN['RICH_TEXT_FIELDS'] has {path!r}: write it as app.Model.field of a field that exists."
            ) from exc
        found[model_class._meta.label_lower].append(field)
    return dict(found)


def ids_in(text: Any) -> set[uuid.UUID]:
    """What may be ids of assets in a text, or in a structure of texts: by themselves, and in addresses of ours."""
    if not isinstance(text, str):
        text = str(text or "")
    return {uuid.UUID(found) for found in (*_ID.findall(text), *_ADDRESS.findall(text))}


def remember(row: models.Model) -> None:
    """What the row's texts name now; nothing for a row that is not watched."""
    fields = _fields_of(type(row))
    if not fields:
        return
    _write(row._meta.label_lower, str(row.pk), {field: ids_in(getattr(row, field, "")) for field in fields})


def forget(row: models.Model) -> None:
    """The row is deleted."""
    if _fields_of(type(row)):
        AssetReference.objects.filter(model=row._meta.label_lower, object_id=str(row.pk)).delete()


def _fields_of(model: type[models.Model]) -> list[str]:
    # The setting first: this is asked at every save of every model of the site.
    return watched().get(model._meta.label_lower, []) if conf.get("RICH_TEXT_FIELDS") else []


@atomic()
def _write(label: str, object_id: str, named: dict[str, set[uuid.UUID]]) -> None:
    every = set().union(*named.values())
    there = set(MediaAsset.objects.filter(pk__in=every).values_list("pk", flat=True)) if every else set()
    wanted = {(pk, field) for field, ids in named.items() for pk in ids & there}
    rows = AssetReference.objects.filter(model=label, object_id=object_id)
    known = {(pk, field): row for row, pk, field in rows.values_list("pk", "asset", "field")}
    if gone := [row for key, row in known.items() if key not in wanted]:
        rows.filter(pk__in=gone).delete()
    AssetReference.objects.bulk_create(
        [
            AssetReference(asset_id=pk, model=label, object_id=object_id, field=field)
            for pk, field in sorted(wanted - known.keys(), key=str)
        ],
        ignore_conflicts=True,
    )


def rebuild() -> int:
    """The whole index anew, row by row, so that it never lacks what was in it; how many references there are now."""
    fields = watched()
    AssetReference.objects.exclude(model__in=fields).delete()
    for label, names in fields.items():
        manager = apps.get_model(label)._base_manager
        alive = set()
        for row in manager.only("pk", *names).order_by("pk").iterator(chunk_size=TOGETHER):
            remember(row)
            alive.add(str(row.pk))
        _forget_dead(label, alive)
    return AssetReference.objects.count()


def _forget_dead(label: str, alive: set[str]) -> None:
    known = AssetReference.objects.filter(model=label)
    dead = [pk for pk, object_id in known.values_list("pk", "object_id") if object_id not in alive]
    for start in range(0, len(dead), TOGETHER):
        known.filter(pk__in=dead[start : start + TOGETHER]).delete()


def rows_of(asset_ids: list[uuid.UUID], most: int) -> Iterator[tuple[uuid.UUID, models.Model]]:
    """Of these assets, the rows whose texts name them: at most so many of one model."""
    named: dict[str, dict[str, set[uuid.UUID]]] = defaultdict(lambda: defaultdict(set))
    found = AssetReference.objects.filter(asset__in=asset_ids)
    for pk, label, object_id in found.values_list("asset", "model", "object_id"):
        named[label][object_id].add(pk)
    for label, objects in named.items():
        try:
            manager = apps.get_model(label)._base_manager
        except LookupError:
            continue  # of an app that the site has no more
        for row in manager.filter(pk__in=list(objects)[:most]):
            for pk in objects[str(row.pk)]:
                yield pk, row
