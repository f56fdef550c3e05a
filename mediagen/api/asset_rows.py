"""Assets of a page as rows: the columns that are shown and no others, without an instance of the model for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from mediagen import conf
from mediagen.models import MediaAsset, MediaLibrary
from mediagen.models.asset import MediaAssetQuerySet

COLUMNS: dict[str, tuple[str, ...]] = {
    "url": (),
    "file_url": ("file", "content_hash"),
    "thumbnail_url": ("file", "content_hash"),
    "library": ("library_id",),
    "library_name": ("library_id",),
    "tags": (),
    "state": ("generation_state",),
    "failure": ("failure", "failure_code", "generation_state"),
    "review": ("status",),
    "may": ("library_id",),
    "origin": ("source", "parameters"),
    "provider": ("provider_name",),
    "model": ("model_name",),
    "created_by": ("created_by_id",),
    "reviewed_by": ("reviewed_by_id",),
    "deleted_by": ("deleted_by_id",),
    "parent": ("parent_id",),
    "batch": ("batch_id",),
}
"""of the fields that are no column of the same name; that of the id is always read"""


class NamedLibrary(NamedTuple):
    """As much of a `MediaLibrary` as is shown of it in a list."""

    name: str


GONE = NamedLibrary("")
"""of a row that was removed, and its library after it, since the page was read"""


class AssetRow:
    """As much of a `MediaAsset` as the fields in question need, under the same names."""

    pk: Any
    library_id: Any
    tag_names: list[str]
    library: NamedLibrary

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__ = values


def read_rows(assets: MediaAssetQuerySet, names: Iterable[str]) -> list[AssetRow]:
    """The rows with what these fields show of the assets themselves. One query."""
    columns = ["id", *dict.fromkeys(c for name in names for c in COLUMNS.get(name, (name,)) if c != "id")]
    keys = ["pk" if column == "id" else column for column in columns]
    rows = [AssetRow(dict(zip(keys, values, strict=True))) for values in assets.values_list(*columns)]
    if "file" in columns and conf.get("SERVE_FILES") == "storage":
        field: Any = MediaAsset._meta.get_field("file")
        for row in rows:  # the storage says where it is
            vars(row)["file"] = field.attr_class(row, field, vars(row)["file"])
    return rows


def with_related(rows: Sequence[AssetRow], names: Iterable[str]) -> Sequence[AssetRow]:
    """The rows with their library and tags, where these fields show them. A query for each."""
    wanted = set(names)
    if rows and "library_name" in wanted:
        # Not joined: with a second table databases may choose to sort all rows for a page.
        libraries = MediaLibrary.objects.filter(pk__in={row.library_id for row in rows}).order_by()
        named = {pk: NamedLibrary(name) for pk, name in libraries.values_list("pk", "name")}
        for row in rows:
            row.library = named.get(row.library_id, GONE)
    if rows and "tags" in wanted:
        found: dict[Any, list[str]] = {row.pk: [] for row in rows}
        tagged = MediaAsset.tags.through._default_manager.filter(mediaasset__in=list(found))
        for pk, name in tagged.values_list("mediaasset_id", "mediatag__name"):
            found[pk].append(name)
        for row in rows:
            row.tag_names = sorted(found[row.pk])
    return rows
