"""A picture by its address: fetched by our guarded client, and then an upload like any other."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import mediagen.engine.files.uploads as uploads
from mediagen import http
from mediagen.engine.database import run_sync
from mediagen.errors import InvalidRequest, ProviderError
from mediagen.models import MediaAsset, MediaLibrary
from mediagen.wording import say as _

FETCH_S = 20.0
_NOBODY = "https://nobody.invalid"
"""no host is trusted for being ours"""


def upload_from(address: str, *, library: MediaLibrary, by: Any, name: str = "", **texts: Any) -> MediaAsset:
    """As `upload`, also with its `texts`, of what is behind an https address on the public internet, and behind its
    redirects; never of a host of TRUSTED_HOSTS, which may show anybody's pictures to us. `InvalidRequest` with field
    "address" for any other, and when nothing comes within 20 s."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:  # half an IPv6 address
        parts = urlsplit("")
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise InvalidRequest(_("Give the whole address of a picture, from https:// on."), field="address")
    try:
        content = run_sync(_fetch, address.strip())
    except ProviderError as exc:
        raise InvalidRequest(_("The picture could not be fetched: %(why)s", why=exc), field="address") from None
    name = name or PurePosixPath(unquote(parts.path)).stem[: uploads.NAME_LENGTH] or parts.netloc
    return uploads.upload(content, library=library, by=by, name=name, **texts)


async def _fetch(address: str) -> bytes:
    async with http.session():
        service = http.Service(_NOBODY, auth={}, timeout_s=FETCH_S)
        return await service.download(address, only_public=True, timeout_s=FETCH_S)
