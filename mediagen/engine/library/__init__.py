"""Libraries and what people do with the assets in them: who may, find, review, tag, use, delete.

Keeps: one rule of access for admin, API, studio and commands, and nothing of a library shown to who may not see it.
`access`, `tokens`, `libraries`, `kept` (libraries that are not made anew for each picture), `assets`, `filters`,
`facets`, `search`, `reach` (rows of their libraries, in order), `review`, `tagging`, `bulk`, `usage`, `suggestions`,
`cancelling`, `trash`, `strangers`, `tickets` (to watch without a header), `labels` (what pages say of a picture's
making), `collections` (kept searches and boards), `presets` (templates and styles), `choosing` (a picture for a place
in somebody's site), `elsewhere` (which rows of the site's other apps use an asset), `references` (in their texts),
`alt_texts` (that models suggest).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.library.access import PERMISSIONS, SCOPES, Access, Right, sees_everything
    from mediagen.engine.library.assets import NoSuchAsset, get_asset
    from mediagen.engine.library.choosing import Limits, pick, read_pick
    from mediagen.engine.library.filters import AssetFilters, narrowed
    from mediagen.engine.library.kept import LibrariesNow, default_tags_of
    from mediagen.engine.library.labels import Label, credit_of, label_of, unlabelled
    from mediagen.engine.library.libraries import find_library, get_library, get_or_create_library, library_called
    from mediagen.engine.library.reach import within
    from mediagen.engine.library.review import STEPS
    from mediagen.engine.library.search import matching
    from mediagen.engine.library.tagging import tag_served
    from mediagen.engine.library.tokens import IssuedToken
    from mediagen.engine.library.usage import RATES

__getattr__ = names_from(
    __name__,
    {
        "access": "Access PERMISSIONS Right SCOPES sees_everything",
        "assets": "NoSuchAsset get_asset",
        "choosing": "Limits pick read_pick",
        "filters": "AssetFilters narrowed",
        "kept": "LibrariesNow default_tags_of",
        "labels": "Label credit_of label_of unlabelled",
        "libraries": "find_library get_library get_or_create_library library_called",
        "reach": "within",
        "review": "STEPS",
        "search": "matching",
        "tagging": "tag_served",
        "tokens": "IssuedToken",
        "usage": "RATES",
    },
)
