"""Addresses of files: for signed-in people our access-checked views, for everybody else signed ones that expire.

A signed address stands for one asset with one content, and for nobody in particular: who may make one has been asked
before, and whoever has it can use it until it expires, unless the asset is deleted or its picture replaced.
"""

from __future__ import annotations

import logging
import re
import time
import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import NoReverseMatch, get_script_prefix, get_urlconf, reverse

from mediagen import conf
from mediagen.errors import InvalidRequest
from mediagen.models import BackgroundJob, JobState, MediaAsset
from mediagen.wording import say as _

if TYPE_CHECKING:
    from mediagen.engine.files.renditions import Spec

logger = logging.getLogger("mediagen.engine")

LONGEST_S = 7 * 24 * 3600
MARK_CHARS = 16
EXTENSIONS = {"jpeg": "jpg"}


class LinkRefused(InvalidRequest):
    """An address that is none of ours, has expired, or leads to a file that is not there any more."""


class NotSigned(LinkRefused):
    """An address that nobody here has signed: made up, or altered."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a signed address lets its holder have."""

    kind: str
    """ "asset" or "job" """
    pk: uuid.UUID
    mark: str
    """the beginning of the content's hash, or of the stored file's"""
    expires_at: int
    """Unix time"""
    is_download: bool

    @property
    def left_s(self) -> int:
        return max(0, self.expires_at - int(time.time()))


def token(asset: MediaAsset, *, expires_s: float | None = None, download: bool = False, steady: bool = False) -> str:
    """A text that lets whoever has it read the asset's present file for `expires_s` seconds (LINK_LIFETIME_S; at most
    a week). `download`: browsers save it instead of showing it. `steady`: the same text is given for a while, so that
    browsers keep the file; it lives a quarter longer then. `InvalidRequest` for an asset without a file."""
    if not asset.file or not asset.content_hash:
        raise InvalidRequest(
            _("Asset %(pk)s is %(state)s: it has no file.", pk=asset.pk, state=asset.generation_state), field="asset_id"
        )
    return _signed("a", asset.pk, asset.content_hash[:MARK_CHARS], expires_s, download, steady)


def job_token(job: BackgroundJob, *, expires_s: float | None = None) -> str:
    """The same for the file that a job has made."""
    if job.state != JobState.DONE or not job.file:
        raise InvalidRequest(_("Job %(pk)s is %(state)s: it has no file.", pk=job.pk, state=job.state), field="job")
    return _signed("j", job.pk, str(job.lease_token), expires_s, True)


def _signed(kind: str, pk: uuid.UUID, mark: str, expires_s: float | None, download: bool, steady: bool = False) -> str:
    text = f"{kind}.{pk.hex}.{mark}.{_expires_at(expires_s, steady)}.{'d' if download else 'i'}"
    return _kept(settings.SECRET_KEY, text) if steady else _signer().sign(text)


def _expires_at(expires_s: float | None, steady: bool) -> int:
    """Unix time; `steady`: the same for a while."""
    lifetime = conf.get("LINK_LIFETIME_S") if expires_s is None else expires_s
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not 1 <= lifetime <= LONGEST_S:
        raise InvalidRequest(
            _(
                "expires_s must be 1 to %(longest_s)s seconds, not %(lifetime)s.",
                longest_s=LONGEST_S,
                lifetime=f"{lifetime!r:.40}",
            ),
            field="expires_s",
        )
    expires_at = int(time.time() + lifetime)
    if steady:
        step = max(1, int(lifetime) // 4)
        expires_at = (expires_at // step + 1) * step
    return expires_at


@lru_cache(maxsize=2048)
def _kept(key: str, text: str) -> str:
    """The signed text, as long as the key is the same: what is listed again and again is signed once."""
    return _signer().sign(text)


def check(text: str) -> Grant:
    """What the token grants; `LinkRefused` when it was altered, is of another site, or has expired."""
    try:
        kind, pk, mark, expires_at, how = _signer().unsign(text).split(".")
        grant = Grant({"a": "asset", "j": "job"}[kind], uuid.UUID(pk), mark, int(expires_at), how == "d")
    except (BadSignature, ValueError, KeyError):
        raise NotSigned("This address is not one that this site has signed. Ask for a new one.") from None
    if grant.expires_at <= time.time():
        raise LinkRefused(_("This address has expired. Ask for a new one."))
    return grant


def granted_asset(grant: Grant) -> MediaAsset:
    """The asset; `LinkRefused` when it was deleted, or has another picture by now."""
    asset = MediaAsset.objects.kept().exclude(file="").filter(pk=grant.pk).first()
    if grant.kind != "asset" or asset is None or asset.content_hash[:MARK_CHARS] != grant.mark:
        raise LinkRefused(_("The file of this address is not there any more. Ask for a new address."))
    return asset


def granted_job(grant: Grant) -> BackgroundJob:
    """The job; `LinkRefused` when its file is gone."""
    job = BackgroundJob.objects.filter(pk=grant.pk, state=JobState.DONE).exclude(file="").first()
    if grant.kind != "job" or job is None or str(job.lease_token) != grant.mark:
        raise LinkRefused(_("The file of this address is not there any more. Ask for a new address."))
    return job


@dataclass(frozen=True, slots=True)
class PageGrant:
    """What the address of a picture on a public page stands for: one file of one content, as long as it is there."""

    pk: uuid.UUID
    mark: str
    wanted: dict[str, Any]
    """arguments of `renditions.rendition`; {}: the file itself"""


def page_url(asset: MediaAsset, spec: Spec | None) -> str:
    """The address of a picture on a page, for whoever has it: always the same for the same content, so that browsers
    and a CDN keep it. What is wanted is signed with it: nobody can have others made. "" without our pages and API."""
    pattern = _pattern(get_urlconf() or settings.ROOT_URLCONF, get_script_prefix(), "page-picture")
    if not pattern:
        return ""
    extension = asset.format if spec is None else spec.format
    how = "" if spec is None else _spelled(spec)
    text = f"p.{asset.pk.hex}.{asset.content_hash[:MARK_CHARS]}.{how}"
    signed = _kept(settings.SECRET_KEY, text)
    return pattern.replace(PLACE, f"{signed}.{EXTENSIONS.get(extension, extension)}")


def _spelled(spec: Spec) -> str:
    focus = "-".join(str(round(part * 100)) for part in spec.focus or ())
    return "_".join((str(spec.width or ""), str(spec.height or ""), spec.format, spec.fit, str(spec.quality), focus))


def check_page(text: str) -> PageGrant:
    """What the last part of such an address stands for; `NotSigned` when it is none of ours."""
    try:
        kind, pk, mark, how = _signer().unsign(text.rpartition(".")[0]).split(".")
        if kind != "p":
            raise ValueError(kind)
        wanted: dict[str, Any] = {}
        if how:
            width, height, format, fit, quality, focus = how.split("_")
            around = tuple(int(part) / 100 for part in focus.split("-")) if focus else None
            wanted = {"width": width, "height": height, "format": format, "fit": fit, "focus": around}
            wanted["quality"] = None if format == "png" else quality
            if text.rpartition(".")[2] != EXTENSIONS.get(format, format):
                raise ValueError(text)
        return PageGrant(uuid.UUID(pk), mark, wanted)
    except (BadSignature, ValueError):
        raise NotSigned("This address is not one that this site has signed.") from None


def page_asset(grant: PageGrant) -> MediaAsset:
    """The asset, which may have another picture by now; `LinkRefused` when it was deleted."""
    asset = MediaAsset.objects.kept().exclude(file="").filter(pk=grant.pk).first()
    if asset is None or not asset.content_hash:
        raise LinkRefused(_("The picture of this address is not there any more."))
    return asset


def stored_renditions(asset: MediaAsset) -> dict[str, str]:
    """With SERVE_FILES = "storage", where the storage itself gives the renditions that were made, by their key; else
    {}. One query, unless `renditions` was prefetched."""
    if conf.get("SERVE_FILES") != "storage":
        return {}
    return {made.key: url for made in asset.renditions.all() if (url := storage_url(made.file))}


def _signer() -> Signer:
    # Made anew: settings may change the key, and old keys stay valid through SECRET_KEY_FALLBACKS.
    return Signer(salt="mediagen.links")


# --- addresses


def signed_url(
    asset: MediaAsset,
    *,
    expires_s: float | None = None,
    download: bool = False,
    steady: bool = False,
    **rendition: Any,
) -> str:
    """A signed address of the asset's file, without the host; "" where neither our pages nor our API are included.

    `rendition`: width, height, format, fit, quality of a rendition of it instead.
    """
    return _address(token(asset, expires_s=expires_s, download=download, steady=steady), rendition)


def steady_url_maker() -> Callable[[Any], str]:
    """`signed_url(asset, steady=True)` as a function for the many assets of a list, which must have files: what is the
    same for all of them is found out once."""
    expires_at, key = _expires_at(None, True), settings.SECRET_KEY
    before, place, behind = _pattern(
        get_urlconf() or settings.ROOT_URLCONF, get_script_prefix(), "signed-file"
    ).partition(PLACE)

    def url(asset: Any) -> str:
        text = f"a.{asset.pk.hex}.{asset.content_hash[:MARK_CHARS]}.{expires_at}.i"
        return f"{before}{_kept(key, text)}{behind}" if place else ""

    return url


def signed_job_url(job: BackgroundJob, *, expires_s: float | None = None) -> str:
    """The same for the file that a job has made."""
    return _address(job_token(job, expires_s=expires_s), {})


SHORT = {"width": "w", "height": "h", "quality": "q"}


def _address(text: str, rendition: dict[str, Any]) -> str:
    pattern = _pattern(get_urlconf() or settings.ROOT_URLCONF, get_script_prefix(), "signed-file")
    return pattern and pattern.replace(PLACE, text) + rendition_query(**rendition)


def rendition_query(**rendition: Any) -> str:
    """What makes the address of a file that of a rendition: "?w=400"; "" for the file itself."""
    query = {SHORT.get(name, name): value for name, value in rendition.items() if value is not None}
    return f"?{urlencode(query)}" if query else ""


PLACE = "here-stands-the-token"


@lru_cache(maxsize=16)
def _pattern(urlconf: str, prefix: str, name: str) -> str:
    """The path of a signed file with `PLACE` in it: a list has a hundred of them, and to reverse each one is slow."""
    for namespace in ("mediagen", "mediagen_api"):
        try:
            return reverse(f"{namespace}:{name}", args=[PLACE])
        except NoReverseMatch:
            continue
    return ""


def picture_url(asset: MediaAsset | None) -> str:
    """Where a browser gets the asset's file, for pages of signed-in people: our view, which asks for their access at
    every request; with SERVE_FILES = "storage" the storage's own address. "" when there is no asset, file or address.

    A site that includes none of our pages gets the storage's address too. No query.
    """
    if not asset or not asset.file:
        return ""
    if conf.get("SERVE_FILES") == "storage" and (url := storage_url(asset.file)) is not None:
        return url
    try:
        return reverse("mediagen:asset-file", args=[asset.pk])
    except NoReverseMatch:
        return storage_url(asset.file) or ""


def thumbnail_url(asset: MediaAsset | None, width: int = 400) -> str:
    """The same for the picture at this width, made when it is first asked for. No query; so lists may use it."""
    if not asset or not asset.file:
        return ""
    try:
        address = reverse("mediagen:asset-rendition", args=[asset.pk])
    except NoReverseMatch:
        return picture_url(asset)
    # With the content's mark in the address browsers may keep it for ever.
    return f"{address}?w={width}&v={asset.content_hash[:8]}"


def storage_url(file: Any) -> str | None:
    """The storage's own address of a stored file. None where it has none: a site without MEDIA_URL, for instance. ""
    when it cannot say now."""
    if getattr(file.storage, "base_url", None) == get_script_prefix():
        return None
    try:
        return str(file.url)
    except (NotImplementedError, ValueError):
        return None
    except Exception as exc:
        # A bucket that cannot sign now: a list of other things must not fail with it.
        logger.warning("the storage has no address for %s (%s)", file.name, type(exc).__name__)
        return ""


def download_name(asset: MediaAsset, format: str = "") -> str:
    """A file name made of the asset's name: letters, digits, dots and dashes, at most 100, with its extension."""
    plain = unicodedata.normalize("NFKC", asset.name or asset.prompt or "")
    stem = re.sub(r"[^\w.-]+", "-", plain)[:100].strip("-._") or str(asset.pk)
    kind = format or asset.format
    return f"{stem}.{EXTENSIONS.get(kind, kind) or 'bin'}"
