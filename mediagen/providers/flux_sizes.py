"""How each family of FLUX models is told the size of a picture."""

from __future__ import annotations

from typing import Any

from mediagen.providers.flux_edits import EXPAND, FILL
from mediagen.providers.sizes import Size, nearest_ratio, reduced_ratio, snap_to_grid, tier_that_covers

MAX_AREA_FLUX_2 = 2048 * 2048

# FLUX 3 takes a ratio and a tier. What 768sq is for other shapes than a square is not said.
_RATIOS: tuple[Size, ...] = (
    *((21, 9), (2, 1), (16, 9), (3, 2), (7, 5), (4, 3), (5, 4), (1, 1)),
    *((4, 5), (3, 4), (5, 7), (2, 3), (9, 16), (1, 2), (9, 21)),
)
_TIERS = {"1k": 1024, "1.5k": 1536, "2k": 2048, "4k": 4096}


def size_fields(model: str, width: int, height: int) -> dict[str, Any]:
    """The payload's fields for the size nearest to width x height (pixels) that `model` makes.

    A model that we do not know is taken for one of the newest family, flux-2.
    """
    if model.startswith("flux-3"):
        ratio = nearest_ratio(width, height, _RATIOS)
        is_small = ratio == (1, 1) and max(width, height) <= 768
        tier = "768sq" if is_small else tier_that_covers(width, height, ratio, _TIERS)
        return {"aspect_ratio": f"{ratio[0]}:{ratio[1]}", "resolution": tier}
    if model in (FILL, EXPAND):
        return {}
    if model.endswith("-ultra") or model.startswith("flux-kontext"):
        return {"aspect_ratio": reduced_ratio(width, height, lowest=(9, 21), highest=(21, 9))}
    if model.startswith(("flux-pro-1.", "flux-dev")):
        w, h = snap_to_grid(width, height, multiple=32, min_side=256, max_side=1440)
    else:
        w, h = snap_to_grid(width, height, multiple=16, min_side=64, max_side=16384, max_area=MAX_AREA_FLUX_2)
    return {"width": w, "height": h}
