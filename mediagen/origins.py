"""Which pages of other origins may read what signed addresses answer (CORS)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers

from mediagen import conf


def allow_origin(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let scripts of the pages in LINK_ORIGINS read the answer to a signed address, which needs no cookie (CORS)."""
    origins = conf.get("LINK_ORIGINS")
    origin = request.headers.get("Origin", "")
    if "*" in origins:
        response["Access-Control-Allow-Origin"] = "*"
    elif origins:
        patch_vary_headers(response, ["Origin"])
        if origin in origins:
            response["Access-Control-Allow-Origin"] = origin
    if "Access-Control-Allow-Origin" in response:
        response["Access-Control-Expose-Headers"] = "Content-Disposition, Content-Length, Content-Range, ETag"
