"""Files of assets: where they lie, how they come and go, other sizes, addresses, uploads.

Keeps: a file that no row names is found again or removed, a paid one is put aside and never thrown away. `storage`,
`refusals`, `answers` (paid, without a usable picture), `originals` (as their vendors sent them),
`looks` (what looks alike), `verifying` (whose a file is), `signatures` (ours), `renditions`,
`responsive` (the sizes of a picture on a page), `crops` (how one use is cut), `variants`, `links` (signed addresses),
`uploads` (people's own pictures), `fetched_uploads` (by their addresses), `probe` (whether the storage works).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.files.crops import Crop
    from mediagen.engine.files.fetched_uploads import upload_from
    from mediagen.engine.files.links import Grant, LinkRefused, download_name, picture_url, thumbnail_url
    from mediagen.engine.files.looks import hint, similar_to
    from mediagen.engine.files.renditions import FITS, MAX_SIDE_PX
    from mediagen.engine.files.responsive import PagePicture, page_picture, page_picture_src
    from mediagen.engine.files.uploads import upload
    from mediagen.engine.files.variants import MAX_SIZES, make_crop, make_variants
    from mediagen.engine.files.verifying import Verified, verify, verify_asset

__getattr__ = names_from(
    __name__,
    {
        "crops": "Crop",
        "fetched_uploads": "upload_from",
        "links": "Grant LinkRefused download_name picture_url thumbnail_url",
        "looks": "hint similar_to",
        "renditions": "FITS MAX_SIDE_PX",
        "responsive": "PagePicture page_picture page_picture_src",
        "uploads": "upload",
        "verifying": "Verified verify verify_asset",
        "variants": "MAX_SIZES make_crop make_variants",
    },
)
