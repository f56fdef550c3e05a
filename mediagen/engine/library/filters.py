"""What a list of assets is narrowed to: the same words in admin, API and studio."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from mediagen.engine.database import as_uuid
from mediagen.engine.library.access import Access
from mediagen.engine.library.labels import unlabelled
from mediagen.engine.library.libraries import find_library
from mediagen.engine.library.search import Assets, matching
from mediagen.errors import InvalidRequest
from mediagen.models import AssetSource, GenerationState, MediaAsset, MediaTag, ReviewStatus
from mediagen.models.clock import to_db
from mediagen.types import checked_text
from mediagen.wording import say as _

RARE_TAG = 5_000
MAX_PX = 2**31 - 1
MAX_USD = Decimal(10**6)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFilters:
    """What to look for; what is left empty narrows nothing. `AssetFilters.of` makes it from what people send.

    `state`, `status`, `source` take one word or several, of which one has to fit; of several `tag`s all have to.
    """

    q: str = ""
    """words, see `words.matching`"""
    library: uuid.UUID | str | None = None
    """an id, a slug or a name"""
    state: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    unlabelled: bool | None = None
    """made by a model and published, and pages show no label with it"""
    provider: str = ""
    model: str = ""
    tag: tuple[str, ...] = ()
    format: str = ""
    min_width: int | None = None
    """pixels, as all sizes here; the limit itself is within"""
    max_width: int | None = None
    min_height: int | None = None
    max_height: int | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    """not including this moment"""
    is_placeholder: bool | None = None
    dry_run: bool | None = None
    min_cost: Decimal | None = None
    """USD; assets whose cost is not known are left out"""
    max_cost: Decimal | None = None
    parent: uuid.UUID | None = None
    batch: uuid.UUID | None = None
    generation_id: uuid.UUID | None = None
    content_hash: str = ""
    created_by: str = ""
    """a user's name"""

    def __post_init__(self) -> None:
        """One word is as good as a tuple of one, and everything is checked, however it came here."""
        for field in fields(self):
            object.__setattr__(self, field.name, _READ[field.name](getattr(self, field.name), field.name))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> AssetFilters:
        """From a query string or a form: texts, or lists of them. Other names than ours are not looked at.

        `InvalidRequest` with the `field` at fault for what cannot be read.
        """
        many = {"state", "status", "source", "tag"}
        names = [field.name for field in fields(cls) if field.name in values]
        get_all = getattr(values, "getlist", None)
        return cls(**{name: get_all(name) if get_all and name in many else values[name] for name in names})

    def __bool__(self) -> bool:
        """Whether anything is narrowed."""
        return any(getattr(self, field.name) not in (None, "", ()) for field in fields(self))


def narrowed(assets: Assets, filters: AssetFilters, access: Access | None = None) -> Assets:
    """Those of the assets that fit. No joins, so none comes twice; any order and any slice may follow.

    A tag or a library that does not exist fits nothing; each costs one small query here. What may be seen is decided
    before, see `access.Access`; a library is looked for among those that `access` may see (None: all).
    """
    plain: dict[str, Any] = {
        "generation_state": filters.state,
        "status": filters.status,
        "source": filters.source,
    }
    for column, words in plain.items():
        if len(words) == 1:  # equality lets the database walk an index in the list's order
            assets = assets.filter(**{column: words[0]})
        elif words:
            assets = assets.filter(**{f"{column}__in": words})
    if filters.library is not None:
        library = filters.library
        if not isinstance(library, uuid.UUID):
            found = find_library(library, access)
            if found is None:
                return assets.none()
            library = found.pk
        assets = assets.filter(library=library)
    if filters.created_by:
        users = get_user_model()._default_manager
        named = (
            users.filter(**{get_user_model().USERNAME_FIELD: filters.created_by}).values_list("pk", flat=True).first()
        )
        if named is None:
            return assets.none()
        assets = assets.filter(created_by=named)
    conditions = {
        "provider_name": filters.provider or None,
        "model_name": filters.model or None,
        "format": filters.format or None,
        "width__gte": filters.min_width,
        "width__lte": filters.max_width,
        "height__gte": filters.min_height,
        "height__lte": filters.max_height,
        "created_at__gte": to_db(filters.created_from),
        "created_at__lt": to_db(filters.created_to),
        "is_placeholder": filters.is_placeholder,
        "dry_run": filters.dry_run,
        "cost__gte": filters.min_cost,
        "cost__lte": filters.max_cost,
        "parent": filters.parent,
        "batch": filters.batch,
        "generation_id": filters.generation_id,
        "content_hash": filters.content_hash or None,
    }
    assets = assets.filter(**{name: value for name, value in conditions.items() if value is not None})
    if filters.unlabelled is not None:
        assets = assets.filter(unlabelled() if filters.unlabelled else ~unlabelled())
    for name in filters.tag:
        assets = _tagged(assets, name)
    return matching(assets, filters.q) if filters.q else assets


def _tagged(assets: Assets, name: str) -> Assets:
    """Those with the tag. Of a rare one the database fetches all assets and sorts them, of a frequent one it walks the
    list and looks at each: either is quick where the other is not."""
    key = MediaTag.objects.filter(key=name.casefold()).values_list("pk", flat=True).first()
    if key is None:
        return assets.none()
    links = MediaAsset.tags.through._default_manager.filter(mediatag=key)
    if links.order_by()[:RARE_TAG].count() < RARE_TAG:
        return assets.filter(pk__in=links.values("mediaasset"))
    return assets.filter(Exists(links.filter(mediaasset=OuterRef("pk"))))


# --- reading what people send

Reader = Callable[[Any, str], Any]


def _text(value: Any, name: str) -> str:
    return checked_text(value, name).strip() if value is not None else ""


def _words(legal: Iterable[str] | None = None) -> Reader:
    def read(value: Any, name: str) -> tuple[str, ...]:
        given = [value] if isinstance(value, str) else list(value or ())
        # Tags may hold commas; the other words do not.
        parts = given if legal is None else [part for text in given for part in _text(text, name).split(",")]
        words = tuple(dict.fromkeys(word for part in parts if (word := _text(part, name))))
        if legal is not None and (wrong := [word for word in words if word not in legal]):
            raise InvalidRequest(
                _(
                    "%(name)s can be %(legal)s, not %(wrong)s.",
                    name=name,
                    legal=", ".join(legal),
                    wrong=f"{wrong[0]!r:.40}",
                ),
                field=name,
            )
        return words

    return read


def _library(value: Any, name: str) -> uuid.UUID | str | None:
    value = getattr(value, "pk", value)
    if value is None or value == "" or isinstance(value, uuid.UUID):
        return value or None
    text = _text(value, name)
    try:
        return uuid.UUID(text)
    except ValueError:
        return text or None


def _uuid(value: Any, name: str) -> uuid.UUID | None:
    return as_uuid(value, name) if value != "" else None


def _pixels(value: Any, name: str) -> int | None:
    if value is None or value == "":
        return None
    try:
        number = int(str(value).strip())
    except ValueError:
        number = -1
    if not 0 <= number <= MAX_PX:
        raise InvalidRequest(
            _("%(name)s must be a whole number of pixels, not %(value)s.", name=name, value=f"{value!r:.40}"),
            field=name,
        )
    return number


def _usd(value: Any, name: str) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and 0 <= amount <= MAX_USD):
        raise InvalidRequest(
            _("%(name)s must be an amount in USD such as 0.05, not %(value)s.", name=name, value=f"{value!r:.40}"),
            field=name,
        )
    return amount


TRUE, FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})


def _flag(value: Any, name: str) -> bool | None:
    if value is None or value == "" or isinstance(value, bool):
        return value if isinstance(value, bool) else None
    word = _text(value, name).lower()
    if word not in TRUE | FALSE:
        raise InvalidRequest(
            _("%(name)s must be true or false, not %(value)s.", name=name, value=f"{value!r:.40}"), field=name
        )
    return word in TRUE


def _moment(*, end_of_day: bool = False) -> Reader:
    def read(value: Any, name: str) -> datetime | None:
        if value is None or value == "":
            return None
        try:
            moment = value if isinstance(value, date) else _parsed(_text(value, name))
            if not isinstance(moment, datetime):
                moment = datetime.combine(moment + timedelta(days=end_of_day), time())
            aware = moment if timezone.is_aware(moment) else timezone.make_aware(moment)
            # At the ends of the calendar a time cannot be turned into other zones, as the database will want to.
            timezone.localtime(aware.astimezone(UTC))
        except (ValueError, OverflowError):
            text = f"{name} must be a date such as 2026-11-22 or a time such as 2026-11-22T10:00Z, not {value!r:.40}."
            raise InvalidRequest(text, field=name) from None
        return aware

    return read


def _parsed(text: str) -> date:
    # In a query string a plus sign means a blank.
    moment = parse_date(text) if len(text) <= 10 else parse_datetime(text.replace(" ", "+") if "T" in text else text)
    if moment is None:
        raise ValueError(text)
    return moment


_READ: dict[str, Reader] = {
    "q": _text,
    "library": _library,
    "state": _words(GenerationState.values),
    "status": _words(ReviewStatus.values),
    "source": _words(AssetSource.values),
    "unlabelled": _flag,
    "provider": _text,
    "model": _text,
    "tag": _words(),
    "format": lambda value, name: _text(value, name).lower(),
    "min_width": _pixels,
    "max_width": _pixels,
    "min_height": _pixels,
    "max_height": _pixels,
    "created_from": _moment(),
    "created_to": _moment(end_of_day=True),
    "is_placeholder": _flag,
    "dry_run": _flag,
    "min_cost": _usd,
    "max_cost": _usd,
    "parent": _uuid,
    "batch": _uuid,
    "generation_id": _uuid,
    "created_by": _text,
    "content_hash": lambda value, name: _text(value, name).lower(),
}
