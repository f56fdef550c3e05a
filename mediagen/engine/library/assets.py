"""Finding assets."""

from __future__ import annotations

from typing import Any

from mediagen.engine.database import as_uuid
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset, ReviewStatus
from mediagen.wording import say as _


class NoSuchAsset(InvalidRequest):
    """Nothing is kept under this id; also what can be no id at all."""


def get_asset(asset_id: Any) -> MediaAsset:
    """The asset (by UUID, its text, or itself), or `NoSuchAsset`; a deleted one counts as missing."""
    try:
        pk = as_uuid(asset_id, "asset_id")
    except InvalidRequest as exc:
        raise NoSuchAsset(str(exc), field="asset_id") from None
    asset = MediaAsset.objects.select_related("library").filter(pk=pk).first() if pk is not None else None
    if asset is None or asset.status == ReviewStatus.DELETED:
        raise NoSuchAsset(_("There is no asset %(asset_id)s.", asset_id=asset_id), field="asset_id")
    return asset
