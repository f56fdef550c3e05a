"""What the figures of an asset say should be done with it: only a suggestion, with the action that does it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet, Sum
from django.utils.translation import gettext as _

from mediagen.engine.files import MAX_SIDE_PX
from mediagen.models import AssetUsage, MediaAsset

ENOUGH_IMPRESSIONS = 100
"""of the asset, and of the campaign's others together, before their rates are compared"""
LOW_SHARE = 0.5
"""of the others' click rate: below it a picture does badly"""
LARGE_BYTES = 5 * 1024 * 1024
WORTH_CONVERTING_BYTES = 100 * 1024
PHOTOGRAPH_BYTES_PER_PIXEL = 0.8
"""a PNG that needs so much has fine grain in it, as photographs and painted pictures have; drawings need a tenth"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One thing to do. `action` is "generate_variant" (the same parameters, a new seed, as a child) or
    "make_variants" (the same picture in another format, as a child); `arguments` are what it is called with."""

    asset_id: str
    kind: str
    """low_click_rate, large_file or png_photograph"""
    text: str
    action: str
    arguments: dict[str, Any] = field(default_factory=dict)


def suggestions(
    assets: MediaAsset | Iterable[MediaAsset], among: QuerySet[MediaAsset] | None = None
) -> list[Suggestion]:
    """Suggestions for one asset or for several (an iterable, a QuerySet), in their order. At most two queries.

    `among` is what somebody may see: only with these it is compared, for a campaign's name may be used in libraries
    that they know nothing of. None: with all.

    * a click rate below half of that of the campaign's other assets: make a variant;
    * a file over 5 MB: compress;
    * a photograph in PNG: WebP.
    """
    rows = [assets] if isinstance(assets, MediaAsset) else list(assets)
    rows = [asset for asset in rows if asset.is_ready]
    if not rows:
        return []
    low = _low_click_rates(rows, among)
    found: list[Suggestion] = []
    for asset in rows:
        found += low.get(asset.pk, [])
        found += _about_file(asset)
    return found


def _about_file(asset: MediaAsset) -> list[Suggestion]:
    found = []
    # As wide as it is, where that can be made.
    webp = {"sizes": [{"width": min(asset.width, MAX_SIDE_PX), "format": "webp"}]}
    if asset.file_size > LARGE_BYTES:
        text = _("The file has %(size).1f MB. Compress it: a WebP of the same size is a fraction of that.")
        found.append(
            Suggestion(
                asset_id=asset.asset_id,
                kind="large_file",
                text=text % {"size": asset.file_size / 1024**2},
                action="make_variants",
                arguments=webp,
            )
        )
    elif is_png_photograph(asset):
        text = _("This PNG holds a photograph (%(number).1f bytes a pixel). WebP looks the same and is smaller.")
        found.append(
            Suggestion(
                asset_id=asset.asset_id,
                kind="png_photograph",
                text=text % {"number": asset.file_size / (asset.width * asset.height)},
                action="make_variants",
                arguments=webp,
            )
        )
    return found


def is_png_photograph(asset: MediaAsset) -> bool:
    """Told by bytes per pixel, so that no file has to be opened."""
    pixels = asset.width * asset.height
    if asset.format != "png" or not pixels or asset.file_size < WORTH_CONVERTING_BYTES:
        return False
    return asset.file_size / pixels >= PHOTOGRAPH_BYTES_PER_PIXEL


def _low_click_rates(assets: list[MediaAsset], among: QuerySet[MediaAsset] | None) -> dict[Any, list[Suggestion]]:
    own = _sums(AssetUsage.objects.filter(asset__in=[asset.pk for asset in assets]), "asset", "campaign")
    own = [row for row in own if row["shown"] >= ENOUGH_IMPRESSIONS]
    if not own:
        return {}
    seen = AssetUsage.objects.all() if among is None else AssetUsage.objects.filter(asset__in=among.order_by())
    whole = _sums(seen.filter(campaign__in={row["campaign"] for row in own}), "campaign")
    of_campaign = {row["campaign"]: row for row in whole}
    found: dict[Any, list[Suggestion]] = defaultdict(list)
    for row in own:
        others_shown = of_campaign[row["campaign"]]["shown"] - row["shown"]
        others_clicked = of_campaign[row["campaign"]]["clicked"] - row["clicked"]
        if others_shown < ENOUGH_IMPRESSIONS:
            continue
        rate, others_rate = row["clicked"] / row["shown"], others_clicked / others_shown
        if rate >= others_rate * LOW_SHARE:
            continue
        text = _("In %(campaign)s %(rate).1f %% click on it, on the other pictures %(others).1f %%. Try a variant.")
        found[row["asset"]].append(
            Suggestion(
                asset_id=str(row["asset"]),
                kind="low_click_rate",
                text=text % {"campaign": row["campaign"], "rate": rate * 100, "others": others_rate * 100},
                action="generate_variant",
                arguments={"campaign": row["campaign"]},
            )
        )
    return found


def _sums(rows: Any, *by: str) -> list[dict[str, Any]]:
    return list(rows.values(*by).annotate(shown=Sum("impressions"), clicked=Sum("clicks")).order_by(*by))
