"""Which rows of the site's other apps use our assets, by a relation or in a text: no asset takes them along."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from django.db import models, router
from django.db.models import Exists, OuterRef
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst

import mediagen.engine.library.references as references
from mediagen.models import AssetReference, MediaAsset
from mediagen.models.asset import MediaAssetQuerySet

SHOWN = 20
"""rows of one relation that are named"""


class Index(Protocol):
    """What somebody else knows of rows that use assets, such as a CMS of the pages whose blocks name them."""

    def pointed_at(self, asset_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        """Those of the assets that a row uses."""

    def rows_of(self, asset_ids: Sequence[uuid.UUID], most: int) -> Iterator[tuple[uuid.UUID, models.Model]]:
        """Pairs of an asset's id and a row that uses it; at most so many rows of one asset."""

    def without_uses(self, assets: MediaAssetQuerySet) -> MediaAssetQuerySet:
        """The assets without those that a row uses."""


INDEXES: list[Index] = []
"""asked beside the relations and the texts; an app of ours adds to them when it is ready"""


@dataclass(frozen=True, slots=True)
class Place:
    """A row of another app that uses an asset."""

    row: models.Model

    @property
    def kind(self) -> str:
        """ "Product" """
        return capfirst(str(self.row._meta.verbose_name))

    @property
    def url(self) -> str:
        """Its page on the site; "" for none."""
        try:
            return str(self.row.get_absolute_url())  # type: ignore[attr-defined]
        except (AttributeError, NoReverseMatch):
            return ""

    @property
    def admin_url(self) -> str:
        """Its page in the admin, or what the row itself gives as `admin_url`; "" where it has none."""
        if url := getattr(self.row, "admin_url", ""):
            return str(url)
        meta = self.row._meta
        try:
            return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[self.row.pk])
        except NoReverseMatch:
            return ""

    def may_be_seen_by(self, user: Any) -> bool:
        """Whether its name is the user's business, as the admin sees it."""
        if callable(asked := getattr(self.row, "may_be_seen_by", None)):
            return bool(asked(user))
        app, name = self.row._meta.app_label, self.row._meta.model_name
        return bool(user.has_perm(f"{app}.view_{name}") or user.has_perm(f"{app}.change_{name}"))

    def __str__(self) -> str:
        return f"{self.kind} {self.row}"


def pointed_at(asset_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the assets that a row of another app uses, by any relation or in a text."""
    found = {pk for field in _relations() for pk in _rows(field, asset_ids).values_list(f"{field.name}__pk", flat=True)}
    found |= set(AssetReference.objects.filter(asset__in=asset_ids).values_list("asset", flat=True))
    return found.union(*(index.pointed_at(asset_ids) for index in INDEXES))


def uses_of(asset_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Place]]:
    """Other apps' rows that use the assets, by asset id; of each relation the first ones."""
    places: dict[uuid.UUID, list[Place]] = defaultdict(list)
    for field in _relations():
        for row in _rows(field, asset_ids)[:SHOWN]:
            places[getattr(row, field.name).pk].append(Place(_owner(row, field)))
    indexed = (index.rows_of(asset_ids, SHOWN) for index in INDEXES)
    for pk, row in chain(references.rows_of(list(asset_ids), SHOWN), *indexed):
        if all(place.row != row for place in places[pk]):
            places[pk].append(Place(row))
    return dict(places)


def places_of(asset_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """The same as texts: "Product x"."""
    return {pk: [str(place) for place in places] for pk, places in uses_of(asset_ids).items()}


def without_uses(assets: MediaAssetQuerySet) -> MediaAssetQuerySet:
    """Those of the assets that no row of another app uses. No query by itself; tables in another database are left
    out, for no query reaches both."""
    for field in _relations():
        if router.db_for_read(field.model) == assets.db:
            rows = field.model._base_manager.filter(**{field.name: OuterRef("pk")})
            assets = assets.filter(~Exists(rows))
    assets = assets.filter(~Exists(AssetReference.objects.filter(asset=OuterRef("pk"))))
    for index in INDEXES:
        assets = index.without_uses(assets)
    return assets


def _relations() -> Iterator[models.ForeignKey[Any, Any]]:
    """Every foreign key of another app to an asset; of a many-to-many field, the one of its table in between."""
    for relation in MediaAsset._meta.get_fields(include_hidden=True):
        if isinstance(relation, models.ManyToOneRel) and relation.related_model._meta.app_label != "mediagen":
            yield relation.field


def _rows(field: models.ForeignKey[Any, Any], asset_ids: Sequence[uuid.UUID]) -> models.QuerySet[Any]:
    # The model's base manager sees what a default manager hides; the writer sees what a replica does not yet.
    manager = field.model._base_manager.using(router.db_for_write(field.model))
    return manager.filter(**{f"{field.name}__pk__in": list(asset_ids)})


def _owner(row: models.Model, field: models.ForeignKey[Any, Any]) -> models.Model:
    if row._meta.auto_created:  # a many-to-many field's own table: the row of the model that has the field
        of = next(f for f in row._meta.fields if f.remote_field and f is not field)
        owner: models.Model = getattr(row, of.name)
        return owner
    return row
