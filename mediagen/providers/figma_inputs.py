"""What people write down of Figma: files, pages, nodes and places. Checked, before anybody is asked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from mediagen.errors import InvalidRequest
from mediagen.types import checked_text
from mediagen.wording import say as _

T = TypeVar("T")
_FILE_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PAGE_ID = re.compile(r"-?\d{1,20}[:-]\d{1,20}", re.ASCII)
_NODE_ID = re.compile(r"I?-?\d{1,20}[:-]\d{1,20}(;-?\d{1,20}[:-]\d{1,20}){0,20}", re.ASCII)
_FILE_PAGES = frozenset({"board", "buzz", "design", "file", "make", "proto", "site", "slides"})
MAX_NAME_CHARS = 255
MAX_DRY_CHARS = 128
"""of a file key or page that stands for one in a dry run; as long as a real key"""
MIN_SCALE, MAX_SCALE = 0.01, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FigmaPlace:
    """Where in Figma a picture is to go. Build it with `checked()`."""

    file_key: str
    page_id: str | None = None
    """None: the page that is open when it is placed"""
    frame_name: str = ""
    x: float | None = None
    """canvas pixels; None: where the plugin finds room"""
    y: float | None = None
    comment: str = ""

    @classmethod
    def checked(
        cls,
        file_key: Any,
        page_id: Any = None,
        *,
        frame_name: str | None = "",
        x: float | None = None,
        y: float | None = None,
        comment: str | None = "",
        dry_run: bool = False,
    ) -> FigmaPlace:
        """The place, or `InvalidRequest` that names the argument and says what to do.

        In a dry run nobody has a file yet: any words that could be typed for file and page will do.
        """
        name, text = checked_text(frame_name or "", "frame_name").strip(), checked_text(comment or "", "comment")
        if len(name) > MAX_NAME_CHARS:
            raise InvalidRequest(
                _(
                    "frame_name has %(number)s characters; at most %(max_name_chars)s fit.",
                    number=len(name),
                    max_name_chars=MAX_NAME_CHARS,
                ),
                field="frame_name",
            )
        return cls(
            file_key=_any_words(file_key, "file_key", parse_file_key) if dry_run else parse_file_key(file_key),
            page_id=_any_words(page_id, "page_id", parse_page_id) if dry_run else parse_page_id(page_id),
            frame_name=name,
            x=_checked_coordinate(x, "x"),
            y=_checked_coordinate(y, "y"),
            comment=text.strip(),
        )


def _any_words(text: Any, field: str, parse: Callable[[Any], T]) -> T | str:
    """What `parse` makes of the text, or the text itself where it is short words without control characters."""
    try:
        return parse(text)
    except InvalidRequest:
        value = checked_text(text, field).strip() if isinstance(text, str) else ""
        if not value or len(value) > MAX_DRY_CHARS or not value.isprintable():
            raise
        return value


def parse_file_key(text: Any) -> str:
    """The file key in what a person pasted: the key itself, or a file's address (a branch's key is its own).

    `InvalidRequest` when it is neither.
    """
    value = text.strip() if isinstance(text, str) else ""
    if "/" in value:
        value = _key_in_address(value)
    if not _FILE_KEY.fullmatch(value):
        raise InvalidRequest(
            _(
                "file_key must be a Figma file key or the address of a file "
                "(https://www.figma.com/design/KEY/name), not %(text)s.",
                text=f"{text!r:.80}",
            ),
            field="file_key",
        )
    return value


def _key_in_address(address: str) -> str:
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not (host == "figma.com" or host.endswith(".figma.com")):
        return ""
    match parts.path.strip("/").split("/"):
        case [page, _, "branch", branch, *_] if page in _FILE_PAGES:
            return branch
        case [page, key, *_] if page in _FILE_PAGES:
            return key
    return ""


def parse_render(format: Any, scale: Any) -> tuple[str, float]:
    """(Figma's word for the format, the scale), or `InvalidRequest`."""
    kind = {"png": "png", "jpg": "jpg", "jpeg": "jpg"}.get(str(format).lower())
    if kind is None:
        raise InvalidRequest(_("format must be png or jpg, not %(format)s.", format=f"{format!r:.40}"), field="format")
    is_number = isinstance(scale, int | float) and not isinstance(scale, bool)
    if not is_number or not MIN_SCALE <= scale <= MAX_SCALE:
        raise InvalidRequest(
            _(
                "scale must be a number from %(min_scale)s to %(max_scale)s.",
                min_scale=MIN_SCALE,
                max_scale=f"{MAX_SCALE:g}",
            ),
            field="scale",
        )
    return kind, float(scale)


def file_url(file_key: str, node_id: str = "", name: str = "") -> str:
    """The address that a person opens: of the file, or of one node in it."""
    address = f"https://www.figma.com/design/{quote(file_key)}"
    if not node_id:
        return address
    # With a colon in the API, with a dash in addresses.
    return f"{address}/{quote(name or 'file', safe='')}?node-id={quote(node_id.replace(':', '-'))}"


def parse_node_id(text: Any, field: str = "node_id") -> str:
    """A node's id as the API writes it ("1:23"), from that, from "1-23", or from an address that names the node."""
    value = text.strip() if isinstance(text, str) else ""
    if "/" in value:
        try:
            value = parse_qs(urlsplit(value).query).get("node-id", [""])[0]
        except ValueError:
            value = ""
    if not _NODE_ID.fullmatch(value):
        raise InvalidRequest(
            _('%(field)s must be a Figma node id such as "1:23", not %(text)s.', field=field, text=f"{text!r:.80}"),
            field=field,
        )
    return re.sub(r"(\d)-(?=-?\d)", r"\1:", value)


def parse_page_id(text: Any) -> str | None:
    """A page's node id as the API writes it ("0:1"), from that or from the form in addresses ("0-1")."""
    if text is None or text == "":
        return None
    value = text.strip() if isinstance(text, str) else ""
    if not _PAGE_ID.fullmatch(value):
        raise InvalidRequest(
            _('page_id must be a Figma node id such as "0:1", not %(text)s.', text=f"{text!r:.80}"), field="page_id"
        )
    head, tail = value[:1], value[1:]  # a minus in front belongs to the number
    return head + tail.replace("-", ":")


def _checked_coordinate(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e7:
        raise InvalidRequest(
            _("%(name)s must be a number of canvas pixels, not %(value)s.", name=name, value=f"{value!r:.40}"),
            field=name,
        )
    return float(value)
