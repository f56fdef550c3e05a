"""Finding assets."""

from __future__ import annotations

from typing import Any

from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset, ReviewStatus


def get_asset(asset_id: Any) -> MediaAsset:
    """The asset, or `InvalidRequest`; a deleted one counts as missing."""
    asset = MediaAsset.objects.select_related("library").filter(pk=asset_id).first()
    if asset is None or asset.status == ReviewStatus.DELETED:
        raise InvalidRequest(f"There is no asset {asset_id}.", field="asset_id")
    return asset
