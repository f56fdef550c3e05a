"""Bodies: JSON, no larger and no deeper than a request can need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.utils.mediatypes import media_type_matches

from mediagen import conf
from mediagen.api.problems import TOO_LARGE, Problem


class Body(BaseParser):
    """JSON (RFC 8259), strictly. Limit: MEDIAGEN["API_MAX_BODY_BYTES"]."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = int(conf.get("API_MAX_BODY_BYTES"))
        content = stream.read(limit + 1)
        if len(content) > limit:
            raise Problem(TOO_LARGE, f"The body has more than {limit:,} bytes. Send less.")
        try:
            return json.loads(content.decode("utf-8"), parse_constant=_no_constant)
        except UnicodeDecodeError:
            raise ParseError("The body is no UTF-8 text.") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ValueError as exc:
            raise ParseError(f"The body is no JSON: {exc}"[:300]) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


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
