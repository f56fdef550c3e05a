"""Figma: takes pictures, makes none. Its REST API reads files and cannot put anything on a canvas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from mediagen import http
from mediagen.errors import (
    BadResponse,
    BreakerEffect,
    CredentialsRefused,
    InvalidRequest,
    Misconfigured,
    ProviderError,
    RateLimited,
    UnsupportedRequest,
)
from mediagen.providers.base import not_honoured
from mediagen.providers.service import ServiceProvider, export_digest
from mediagen.secrets import Secret
from mediagen.types import FigmaExportResult, GeneratedImage

_FILE_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PAGE_ID = re.compile(r"-?\d{1,20}[:-]\d{1,20}", re.ASCII)
_FILE_PAGES = frozenset({"board", "buzz", "design", "file", "make", "proto", "site", "slides"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FigmaFile:
    """What Figma says of a file that the token can see."""

    key: str
    name: str = ""
    editor_type: str = ""
    """figma, figjam, slides, ..."""
    last_touched_at: str = ""
    """ISO 8601"""
    url: str = ""


class FigmaFileMissing(Misconfigured):
    """The file does not exist, or is not shared with the owner of the token. Says nothing about other files."""

    breaker = BreakerEffect.NONE


class FigmaAPIAdapter(ServiceProvider):
    """Export of pictures to Figma files, and checks of token and file."""

    name = "figma_api"
    label = "Figma"
    default_base_url = "https://api.figma.com"
    default_timeout_s = 30.0
    default_cooldown_s = 60.0
    credential_argument: ClassVar[str] = "api_token"
    credential_env = "FIGMA_API_TOKEN"

    def __init__(
        self,
        api_token: str | Secret | None = None,
        base_url: str | None = None,
        model: str | None = None,
        dry_run: bool = True,
        timeout_s: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(api_token, base_url, model, dry_run, timeout_s, **options)

    async def export_to_figma(
        self, image: GeneratedImage, file_key: str, page_id: str | None = None, **options: Any
    ) -> FigmaExportResult:
        """The way of `image` into a Figma file. `file_key` may be the file's whole address as copied from Figma.

        Dry: a predictable result whose node id begins with "dry:". Live: `UnsupportedRequest`, because Figma's REST
        API cannot do it. `InvalidRequest` for a key or page that cannot be one.
        """
        key, page = parse_file_key(file_key), parse_page_id(page_id)
        if not self.runs_dry:
            raise UnsupportedRequest(
                f"{self.name}: Figma's REST API cannot place a picture in a file; only a plugin inside Figma can. "
                f"Live export comes with mediagen's own plugin. Until then download the picture and drag it into the "
                f"file, or export in dry run."
            )
        digest = export_digest(image, key, page)
        why = f"{self.name} has no such option"
        return FigmaExportResult(
            figma_node_id=f"dry:{digest}",
            figma_url=f"https://www.figma.com/design/{key}/dry-run?node-id=dry-{digest}",
            figma_file_key=key,
            page_id=page,
            metadata={
                "status": "dry_run",
                "dry_run": True,
                "fit_report": {f"options.{name}": not_honoured(value, why) for name, value in options.items()},
            },
        )

    async def check_file(self, file_key: str) -> FigmaFile:
        """The file behind a key or address, by a cheap call. `FigmaFileMissing` when the token cannot see it."""
        key = parse_file_key(file_key)
        if self.runs_dry:
            return FigmaFile(key=key, name="dry run", editor_type="figma", url=f"https://www.figma.com/design/{key}")
        with self._told_apart():
            self._require_credential()
            async with http.session():
                response = await self.service.request("GET", f"/v1/files/{key}/meta")
            if response.status == 404:
                raise FigmaFileMissing(
                    f"404: there is no file {key}, or it is not shared with the owner of the token.", http_status=404
                )
            file = self.checked(response).json_object().get("file")
            if not isinstance(file, dict):
                raise BadResponse("answered without the file's data.", http_status=response.status)
            return FigmaFile(
                key=key,
                name=self.quoted(file.get("name"), 300),
                editor_type=self.quoted(file.get("editorType")),
                last_touched_at=self.quoted(file.get("last_touched_at")),
                url=self.quoted(file.get("url"), 2000),
            )

    async def _probe(self) -> str:
        response = await self.service.request("GET", "/v1/me", timeout_s=self.probe_timeout_s)
        try:
            user = self.checked(response).json_object()
        except CredentialsRefused as exc:
            exc.args = (f"{exc} (a plan token cannot ask who it is: take a personal access token)",)
            raise
        handle = user.get("handle")
        if not isinstance(handle, str):
            raise BadResponse("answered without a user.", http_status=response.status)
        return f"signed in as {self.quoted(handle)}"

    def _auth(self) -> Mapping[str, str]:
        return {"x-figma-token": self.credential}

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        if response.status != 429:
            return None
        known = (("plan", "x-figma-plan-tier"), ("limit", "x-figma-rate-limit-type"))
        said = [f"{word} {self.quoted(response.headers[name], 40)}" for word, name in known if name in response.headers]
        text = "; ".join([self._vendor_text(response) or "too many requests", *said])
        # The wait may be days: a View seat has a handful of calls a month.
        return RateLimited(f"429: {text}", http_status=429, retry_after_s=http.retry_after_s(response.headers))


def parse_file_key(text: Any) -> str:
    """The file key in what a person pasted: the key itself, or a file's address (a branch's key is its own).

    `InvalidRequest` when it is neither.
    """
    value = text.strip() if isinstance(text, str) else ""
    if "/" in value:
        value = _key_in_address(value)
    if not _FILE_KEY.fullmatch(value):
        raise InvalidRequest(
            "file_key must be a Figma file key or the address of a file "
            f"(https://www.figma.com/design/KEY/name), not {text!r:.80}.",
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


def parse_page_id(text: Any) -> str | None:
    """A page's node id as the API writes it ("0:1"), from that or from the form in addresses ("0-1")."""
    if text is None or text == "":
        return None
    value = text.strip() if isinstance(text, str) else ""
    if not _PAGE_ID.fullmatch(value):
        raise InvalidRequest(f'page_id must be a Figma node id such as "0:1", not {text!r:.80}.', field="page_id")
    head, tail = value[:1], value[1:]  # a minus in front belongs to the number
    return head + tail.replace("-", ":")
