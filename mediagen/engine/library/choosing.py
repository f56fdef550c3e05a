"""Choosing an asset for a place in somebody's site: which ones fit there, and the proof that a person has chosen one.

A form does not know who looks. So whoever may read an asset gets, with it, a signed pick; a form takes picks, and no
plain ids. One pick stands for one asset and for nobody in particular: who has it has seen the picture.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.signing import BadSignature, TimestampSigner
from django.db.models import F
from django.utils.translation import gettext, gettext_noop

from mediagen.engine.library.libraries import find_library
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset, ReviewStatus
from mediagen.models.asset import MediaAssetQuerySet
from mediagen.wording import say as _

GOOD_FOR_S = 7 * 24 * 3600
"""A form may lie open over a weekend."""
ORIENTATIONS = (gettext_noop("landscape"), gettext_noop("portrait"), gettext_noop("square"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Which assets fit a place; what is left empty limits nothing."""

    library: str = ""
    """id, slug or name"""
    orientation: str = ""
    min_width: int = 0
    """pixels, as `min_height`"""
    min_height: int = 0
    statuses: tuple[str, ...] = ()
    """of the review"""

    @classmethod
    def checked(
        cls,
        library: Any = "",
        orientation: Any = "",
        min_width: Any = 0,
        min_height: Any = 0,
        statuses: Iterable[str] | str = (),
    ) -> Limits:
        """`InvalidRequest` with the `field` that is wrong."""
        if orientation and orientation not in ORIENTATIONS:
            text = f"orientation can be {', '.join(ORIENTATIONS)}, not {orientation!r:.40}."
            raise InvalidRequest(text, field="orientation")
        words = tuple(word for word in (statuses.split(",") if isinstance(statuses, str) else statuses) if word)
        legal = [status for status in ReviewStatus.values if status != ReviewStatus.DELETED]
        if wrong := [word for word in words if word not in legal]:
            raise InvalidRequest(
                _("statuses can be %(legal)s, not %(wrong)s.", legal=", ".join(legal), wrong=f"{wrong[0]!r:.40}"),
                field="statuses",
            )
        sides = []
        for name, value in (("min_width", min_width), ("min_height", min_height)):
            text = str(value or 0)
            if not (text.isascii() and text.isdecimal() and len(text) < 8):
                raise InvalidRequest(
                    _("%(name)s must be a whole number of pixels, not %(text)s.", name=name, text=f"{text!r:.40}"),
                    field=name,
                )
            sides.append(int(text))
        return cls(str(getattr(library, "pk", library) or ""), str(orientation or ""), sides[0], sides[1], words)

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Limits:
        """From the query string that `query` gives."""
        names = {"only": "library", "orientation": "orientation", "status": "statuses"}
        names |= {"min_width": "min_width", "min_height": "min_height"}
        return cls.checked(**{name: query.get(given, "") for given, name in names.items()})

    @property
    def query(self) -> dict[str, str]:
        """As a query string has them."""
        all_of_them = {
            "only": self.library,
            "orientation": self.orientation,
            "min_width": str(self.min_width or ""),
            "min_height": str(self.min_height or ""),
            "status": ",".join(self.statuses),
        }
        return {name: value for name, value in all_of_them.items() if value}

    def narrow(self, assets: MediaAssetQuerySet) -> MediaAssetQuerySet:
        """Those of the assets that have a picture which fits."""
        found = assets.ready()
        if self.library:
            library = find_library(self.library)
            found = found.filter(library=library) if library is not None else found.none()
        if self.statuses:
            found = found.filter(status__in=self.statuses)
        if self.orientation == "landscape":
            found = found.filter(width__gt=F("height"))
        elif self.orientation == "portrait":
            found = found.filter(width__lt=F("height"))
        elif self.orientation == "square":
            found = found.filter(width=F("height"))
        return found.filter(width__gte=self.min_width, height__gte=self.min_height)

    def why_not(self, asset: MediaAsset) -> str:
        """Why the asset does not fit, for people; "" when it does. Reads `asset.library`."""
        if not asset.is_ready or not asset.file:
            return gettext("It has no picture yet.")
        if self.library and self.library not in (str(asset.library_id), asset.library.slug, asset.library.name):
            return gettext("Only pictures of the library %(library)s fit here.") % {"library": self.library}
        if self.statuses and asset.status not in self.statuses:
            known = dict(ReviewStatus.choices)
            wanted = ", ".join(gettext(str(known[status])) for status in self.statuses)
            return gettext("It must be %(wanted)s first.") % {"wanted": wanted}
        shape = "landscape" if asset.width > asset.height else "portrait" if asset.width < asset.height else "square"
        if self.orientation and shape != self.orientation:
            return gettext("The picture must be %(wanted)s.") % {"wanted": gettext(self.orientation)}
        if asset.width < self.min_width or asset.height < self.min_height:
            return gettext(
                "It is too small: %(width)d×%(height)d, and must be at least %(least_width)d×%(least_height)d."
            ) % {
                "width": asset.width,
                "height": asset.height,
                "least_width": self.min_width or 1,
                "least_height": self.min_height or 1,
            }
        return ""


@dataclass(frozen=True, slots=True)
class Pick:
    """What somebody has sent as their choice."""

    pk: uuid.UUID
    is_signed: bool
    """a person who may read the asset was given it"""
    was_there: bool
    """it stood in the form before: it may stay, whatever the limits say by now"""


def pick(pk: Any, *, was_there: bool = False) -> str:
    """The text by which a form takes this asset, for a week. Only for who may read it, or finds it there."""
    return _signer().sign(f"{uuid.UUID(str(pk)).hex}{'k' if was_there else 'n'}")


def read_pick(text: Any) -> Pick | None:
    """A pick, or a plain id; None for what is neither, and for a pick that is too old."""
    value = str(text).strip()
    if ":" in value:
        try:
            content = _signer().unsign(value, max_age=GOOD_FOR_S)
            return Pick(uuid.UUID(content[:-1]), True, content[-1] == "k")
        except (BadSignature, ValueError):
            return None
    try:
        return Pick(uuid.UUID(value), False, False)
    except ValueError:
        return None


def _signer() -> TimestampSigner:
    return TimestampSigner(salt="mediagen.picks")
