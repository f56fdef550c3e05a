"""Files on their way to a browser: the picture of an asset, a rendition of it, a zip; to those who may have them.

Whatever stands in the storage, no browser runs it: the type is the one we found out, and a sandbox is around it.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.core.handlers.asgi import ASGIRequest
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from django.utils.http import content_disposition_header, quote_etag
from django.views.generic import View

from mediagen import conf
from mediagen.engine.files import LinkRefused, links, originals, renditions, storage
from mediagen.engine.library import Access, strangers
from mediagen.errors import ComeLater, InvalidRequest, StorageFailed
from mediagen.models import AssetOriginal, MediaAsset, asset_storage
from mediagen.origins import allow_origin

CONTENT_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
}
PIECE = 256 * 1024
ASK_AGAIN = "private, no-cache"
"""The address stays when a placeholder is replaced, so a browser asks again; for this user only."""
WISHES = {"w": "width", "h": "height", "format": "format", "fit": "fit", "q": "quality"}


def wishes(query: Mapping[str, str]) -> dict[str, str]:
    """What a query string says of a rendition, as arguments of `renditions.rendition`; {} when it asks for none."""
    return {name: query[short] for short, name in WISHES.items() if query.get(short)}


def picture_response(
    request: HttpRequest,
    asset: MediaAsset,
    wanted: Mapping[str, str],
    *,
    download: bool = False,
    cache: str = ASK_AGAIN,
    is_stranger: bool = False,
    chooses: bool = False,
) -> HttpResponseBase:
    """The asset's file, or the rendition that is `wanted`: with ETag, 304, and Range.

    404 when the file is not in the storage. `InvalidRequest` and `StorageFailed` as from `rendition`. `is_stranger`:
    whoever asks has a signed address, and nothing else is known of them; `chooses` where the address leaves them to say
    which rendition, so that only so many are made for them.
    """
    if wanted:
        made = renditions.rendition(asset, **wanted, for_stranger=chooses)
        if not download and conf.get("SERVE_FILES") == "storage" and (address := links.storage_url(made.file)):
            return _to_storage(address)
        etag, format = quote_etag(made.content_hash), made.format
    else:
        etag, format = quote_etag(asset.content_hash), asset.format
    response = get_conditional_response(request, etag=etag)
    if response is None:
        content = renditions.content_of(asset, made) if wanted else _whole(asset)
        response = _part(request, content, etag)
    response["ETag"] = etag
    response["Cache-Control"] = cache
    content_type = CONTENT_TYPES.get(format)
    if response.status_code in (200, 206):
        response["Content-Type"] = content_type or "application/octet-stream"
        name = links.download_name(asset, format)
        response["Content-Disposition"] = content_disposition_header(download or content_type is None, name) or ""
        response["Accept-Ranges"] = "bytes"
    _make_harmless(request, response, is_stranger=is_stranger)
    return response


def original_response(request: HttpRequest, asset: MediaAsset) -> HttpResponseBase:
    """The asset's file as its vendor sent it, to be saved. 404 where it was not kept, or is what the asset has."""
    row = AssetOriginal.objects.filter(asset=asset).first()
    if row is None:
        raise Http404("No other file is kept of this asset than its own.")
    etag = quote_etag(row.content_hash)
    response = get_conditional_response(request, etag=etag)
    if response is None:
        try:
            response = _part(request, originals.read(row), etag)
        except StorageFailed:
            raise Http404("The original of this asset is not in the storage.") from None
        response["Content-Type"] = CONTENT_TYPES.get(row.format, "application/octet-stream")
        response["Content-Disposition"] = content_disposition_header(True, links.download_name(asset, row.format)) or ""
        response["Accept-Ranges"] = "bytes"
    response["ETag"], response["Cache-Control"] = etag, ASK_AGAIN
    _make_harmless(request, response)
    return response


def _to_storage(address: str) -> HttpResponseBase:
    """There the browser gets it. A bucket's signature lives for an hour or so, and the way to it for less."""
    response = HttpResponseRedirect(address)
    response["Cache-Control"] = "private, max-age=300"
    return response


def _make_harmless(request: HttpRequest, response: HttpResponseBase, *, is_stranger: bool = False) -> None:
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = conf.get("LINK_RESOURCE_POLICY") if is_stranger else "same-origin"
    if is_stranger:
        allow_origin(request, response)
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Referrer-Policy"] = "no-referrer"


def _whole(asset: MediaAsset) -> bytes:
    try:
        with asset.file.open("rb") as file:
            return storage.leaving(asset, file.read())
    except OSError:
        raise Http404("The file of this asset is not in the storage.") from None


def _part(request: HttpRequest, content: bytes, etag: str) -> HttpResponse:
    """The one range that was asked for; the whole where it asks for several, or for one that is not there."""
    header = request.headers.get("Range", "")
    if request.method != "GET" or request.headers.get("If-Range", etag) != etag or not header.startswith("bytes="):
        return HttpResponse(content)
    first, dash, last = header.removeprefix("bytes=").strip().partition("-")
    size = len(content)
    if (
        not dash
        or "," in last
        or not (first or last)
        or not (f"{first}{last}".isascii() and f"{first}{last}".isdecimal())
    ):
        return HttpResponse(content)
    if len(first) > 18 or len(last) > 18:
        start, stop = size, size
    elif first:
        start, stop = int(first), min(int(last) + 1 if last else size, size)
    else:
        start, stop = max(0, size - int(last)), size
    if start >= size or stop <= start:
        return HttpResponse(content)
    response = HttpResponse(content[start:stop], status=206)
    response["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return response


def stored_file_response(
    request: HttpRequest, name: str, content_type: str, called: str, *, is_stranger: bool = False
) -> HttpResponseBase:
    """A large stored file, piece by piece, to be saved as `called`. 404 when it is not in the storage."""
    try:
        file = asset_storage().open(name)
        size = file.size
    except OSError:
        raise Http404("The file is not in the storage.") from None
    # Under ASGI a plain iterator would be gathered in memory first.
    pieces: Any = _pieces_async(file) if isinstance(request, ASGIRequest) else _pieces(file)
    response = StreamingHttpResponse(pieces, content_type=content_type)
    response["Content-Length"] = str(size)
    response["Content-Disposition"] = content_disposition_header(True, called) or ""
    response["Cache-Control"] = "private, no-store"
    _make_harmless(request, response, is_stranger=is_stranger)
    return response


def _pieces(file: Any) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece


async def _pieces_async(file: Any) -> AsyncIterator[bytes]:
    read = sync_to_async(file.read, thread_sensitive=False)
    try:
        while piece := await read(PIECE):
            yield piece
    finally:
        await sync_to_async(file.close, thread_sensitive=False)()


class RenditionView(View):
    """`?w=400&h=300&format=webp&fit=cover&q=80`: for signed-in people, who may read the asset."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        asset = get_object_or_404(Access(request.user).files().exclude(file=""), pk=pk)
        is_named = request.GET.get("v") == asset.content_hash[:8]
        cache = "private, max-age=31536000, immutable" if is_named else ASK_AGAIN
        try:
            return picture_response(request, asset, wishes(request.GET) or {"format": "webp"}, cache=cache)
        except (InvalidRequest, StorageFailed) as exc:
            return refusal(exc)


@method_decorator(login_not_required, name="dispatch")
class SignedFileView(View):
    """The file of a signed address, for whoever has it. With a rendition's wishes in the query: that rendition."""

    def get(self, request: HttpRequest, token: str) -> HttpResponseBase:
        try:
            return signed_file_response(request, token)
        except (InvalidRequest, StorageFailed) as exc:
            response = refusal(exc)
            allow_origin(request, response)
            return response


def signed_file_response(request: HttpRequest, token: str) -> HttpResponseBase:
    """What a signed address gives. `LinkRefused`, `ComeLater` to those who guess and who ask for every size there is,
    and what `picture_response` raises."""
    try:
        grant = links.check(token)
    except links.NotSigned:
        strangers.count_wrong(request, "signed address")
        raise
    if grant.kind == "job":
        job = links.granted_job(grant)
        called = f"{job.kind}-{job.pk}.zip"
        return stored_file_response(request, str(job.file.name), "application/zip", called, is_stranger=True)
    return picture_response(
        request,
        links.granted_asset(grant),
        wishes(request.GET),
        download=grant.is_download,
        cache=f"private, max-age={grant.left_s}",
        is_stranger=True,
        chooses=True,
    )


@method_decorator(login_not_required, name="dispatch")
class PagePictureView(View):
    """A picture of a public page: for everybody."""

    def get(self, request: HttpRequest, token: str) -> HttpResponseBase:
        try:
            return page_picture_response(request, token)
        except (InvalidRequest, StorageFailed) as exc:
            response = refusal(exc)
            allow_origin(request, response)
            return response


def page_picture_response(request: HttpRequest, token: str) -> HttpResponseBase:
    """The picture of the address, see `links.page_url`, to be kept by browsers and a CDN. `LinkRefused` for an address
    that is none, else as `picture_response`.

    When it was replaced since the page was written, which may lie in a cache: the new one in its place.
    """
    try:
        grant = links.check_page(token)
    except links.NotSigned:
        strangers.count_wrong(request, "signed address")
        raise
    asset = links.page_asset(grant)
    if asset.content_hash[: links.MARK_CHARS] != grant.mark:
        url = links.page_url(asset, renditions.Spec.checked(**grant.wanted) if grant.wanted else None)
        response = HttpResponseRedirect(url)
        response["Cache-Control"] = "public, max-age=60"
        return response
    kept_s = int(conf.get("PICTURE_CACHE_S"))
    return picture_response(
        request,
        asset,
        grant.wanted,
        cache=f"public, max-age={kept_s}, immutable" if kept_s else "public, no-cache",
        is_stranger=True,
    )


def refusal(exc: Exception) -> JsonResponse:
    """What went wrong, as problem details (RFC 9457): programs fetch these addresses more often than people."""
    kind, status, title = "invalid", 400, "The request asks for something that cannot be."
    if isinstance(exc, LinkRefused):
        kind, status, title = "link-refused", 403, "This address gives no file."
    elif isinstance(exc, StorageFailed):
        kind, status, title = "unavailable", 503, "The site cannot do this at the moment."
    elif isinstance(exc, ComeLater):
        kind, status, title = "throttled", 429, "Too many requests."
    body = {"type": f"urn:mediagen:problem:{kind}", "title": title, "status": status, "detail": str(exc)}
    if isinstance(exc, StorageFailed):
        body["detail"] = "The site's storage does not give the file. Try again later."
    if field := getattr(exc, "field", None):
        body["field"] = field
    response = JsonResponse(body, status=status, content_type="application/problem+json")
    response["Cache-Control"] = "no-store"
    if status in (429, 503):
        response["Retry-After"] = str(math.ceil(exc.retry_after_s)) if isinstance(exc, ComeLater) else "30"
    return response
