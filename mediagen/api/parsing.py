"""Bodies: JSON, no larger and no deeper than a request can need."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.utils.mediatypes import media_type_matches

from mediagen import conf
from mediagen.api.problems import INVALID, TOO_LARGE, Problem
from mediagen.wording import say as _

HALF_A_CHARACTER = "holds half of a character (an unpaired surrogate). Send whole ones."
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")


class Body(BaseParser):
    """JSON (RFC 8259), strictly. Limit: MEDIAGEN["API_MAX_BODY_BYTES"]."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = int(conf.get("API_MAX_BODY_BYTES"))
        content = stream.read(limit + 1)
        if len(content) > limit:
            raise Problem(TOO_LARGE, _("The body has more than %(limit)s bytes. Send less.", limit=f"{limit:,}"))
        try:
            data = json.loads(content.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
            if _ESCAPED_SURROGATE.search(content) and (path := _half_character(data)) is not None:
                raise Problem(INVALID, f"{path or 'The body'}: {HALF_A_CHARACTER}", field=path or None)
            return data
        except UnicodeDecodeError:
            raise ParseError("The body is no UTF-8 text.") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ValueError as exc:
            raise ParseError(f"The body is no JSON: {exc}"[:300]) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two members with one name nobody can say which is meant (RFC 8259, section 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, __ in pairs:
            if name in seen:
                raise Problem(
                    INVALID, _("%(shown)s: is there twice. Send each name once.", shown=shown(name)), field=shown(name)
                )
            seen.add(name)
    return found


def _half_character(data: Any, path: str = "") -> str | None:
    """Where text holds half of a surrogate pair, which is no character and cannot be stored or sent; None: nowhere."""
    if isinstance(data, str):
        return path if _HALF.search(data) else None
    members = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, value in members:
        inner = f"{path}.{shown(str(name))}".lstrip(".")
        if isinstance(name, str) and _HALF.search(name):
            return inner
        if (found := _half_character(value, inner)) is not None:
            return found
    return None


def shown(name: str) -> str:
    """The name of a field as it may stand in an answer: short, and with halves of characters replaced."""
    return _HALF.sub("\ufffd", name)[:60]


class Answer(JSONRenderer):
    """JSON, whatever the site's REST_FRAMEWORK says about it."""

    strict = True
    ensure_ascii = False
    compact = True
    charset = None


class JSONAlways(BaseContentNegotiation):
    """The API answers JSON, and what else a view offers it decides itself by the Accept header."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        content_type = request.content_type or ""
        return next((parser for parser in parsers if media_type_matches(parser.media_type, content_type)), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type
