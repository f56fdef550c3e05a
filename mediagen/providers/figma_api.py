"""Figma: takes pictures, makes none. Its REST API reads files and cannot put anything on a canvas.

So an export asks whether token, file and page are right, leaves a comment if one is wanted, and then waits for
mediagen's plugin, which runs inside Figma and places the picture.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from mediagen import http, images
from mediagen.errors import (
    BadResponse,
    BreakerEffect,
    CredentialsRefused,
    InvalidRequest,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    UnsupportedRequest,
)
from mediagen.providers.base import inspected, not_honoured
from mediagen.providers.figma_inputs import (
    MIN_SCALE,
    FigmaPlace,
    file_url,
    parse_file_key,
    parse_node_id,
    parse_render,
)
from mediagen.providers.service import ServiceProvider, export_digest
from mediagen.secrets import Secret
from mediagen.types import FigmaExportResult, GeneratedImage

WAITING = "waiting_for_plugin"
PAGES_KEPT_S = 600.0
MAX_FILES_KEPT = 500
MAX_NODES = 200
NODES_AT_ONCE = 50


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
    version: str = ""
    """changes with every change of the file"""


class FigmaFileMissing(Misconfigured):
    """The file does not exist, or is not shared with the owner of the token. Says nothing about other files."""

    breaker = BreakerEffect.NONE


class FigmaPlaceMissing(UnsupportedRequest):
    """The file has no such page, or is no design file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigmaRender:
    """One node as a picture, or why there is none."""

    node_id: str
    content: bytes = b""
    problem: str = ""
    """what went wrong with this node, and what to do; empty when there is a picture"""
    scale: float = 1.0
    """at which Figma rendered it; smaller than asked when that took it too long"""
    is_placeholder: bool = False


@dataclass(slots=True, kw_only=True)
class FigmaRenders:
    """Nodes that Figma has rendered. The pictures are fetched one at a time, because they may be large."""

    file_key: str
    node_ids: tuple[str, ...]
    fetch: Callable[[str], Awaitable[FigmaRender]]
    """node id -> its picture; raises no `ProviderError`. The addresses expire: fetch soon"""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _Rendered:
    url: str
    """"" when Figma could not"""
    scale: float


@dataclass(slots=True)
class _KnownPages:
    """Page lists by address, token, file and version, for a while: to ask for one is among Figma's dearest calls."""

    lists: dict[tuple[str, ...], tuple[float, dict[str, str]]] = field(default_factory=dict)

    def get(self, key: tuple[str, ...]) -> dict[str, str] | None:
        kept_until, pages = self.lists.get(key, (0.0, {}))
        return pages if kept_until > time.monotonic() else None

    def put(self, key: tuple[str, ...], pages: dict[str, str]) -> None:
        while len(self.lists) >= MAX_FILES_KEPT:
            self.lists.pop(next(iter(self.lists)), None)
        self.lists[key] = (time.monotonic() + PAGES_KEPT_S, pages)


_pages = _KnownPages()


class FigmaAPIAdapter(ServiceProvider):
    """Export of pictures to Figma files, and checks of token and file."""

    name = "figma_api"
    label = "Figma"
    default_base_url = "https://api.figma.com"
    default_timeout_s = 30.0
    default_cooldown_s = 60.0
    credential_argument: ClassVar[str] = "api_token"
    is_healthy_without_key = False
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
        self,
        image: GeneratedImage,
        file_key: str,
        page_id: str | None = None,
        *,
        frame_name: str | None = "",
        x: float | None = None,
        y: float | None = None,
        comment: str | None = "",
        **options: Any,
    ) -> FigmaExportResult:
        """What is known of the way of `image` into a Figma file. `file_key` may be the file's address as copied.

        Dry: a predictable result whose node id begins with "dry:". Live: token, file and page are checked, the comment
        is pinned, and the result waits for the plugin, without a node id. What could not be done beside that
        (a page list or a comment that the token may not have) is told in `metadata["notes"]` and fails nothing.
        `InvalidRequest` for what cannot be a place; `FigmaFileMissing`, `FigmaPlaceMissing` for what is not there.
        """
        place = FigmaPlace.checked(
            file_key, page_id, frame_name=frame_name, x=x, y=y, comment=comment, dry_run=self.runs_dry
        )
        why = f"{self.name} has no such option"
        fit_report = {f"options.{name}": not_honoured(value, why) for name, value in options.items()}
        if self.runs_dry:
            with self._told_apart():
                self._require_credential()
            return self._dry_export(image, place, fit_report)
        file = await self.check_file(place.file_key)
        if file.editor_type not in ("", "figma"):
            raise FigmaPlaceMissing(
                f"{self.name}: {file.name or file.key} is a {file.editor_type} file. The plugin places pictures in "
                "design files; give the key of one."
            )
        notes: list[str] = []
        if place.page_id:
            notes += await self._check_page(file, place.page_id)
        comment_id = ""
        if place.comment:
            comment_id, problem = await self._pin(place)
            notes += [problem] if problem else []
        return FigmaExportResult(
            figma_node_id="",
            figma_url=file.url or file_url(place.file_key),
            figma_file_key=place.file_key,
            page_id=place.page_id,
            metadata={
                "status": WAITING,
                "dry_run": False,
                "file_name": file.name,
                "comment_id": comment_id,
                "notes": notes,
                "fit_report": fit_report,
            },
        )

    async def import_from_figma(
        self, file_key: str, node_ids: Sequence[str], format: str = "png", scale: float = 1.0, **options: Any
    ) -> FigmaRenders:
        """Nodes of a file, rendered by Figma as "png" or "jpg". `scale` from 0.01 to 4.

        One question for up to 50 nodes: these calls are rare on some plans. A render that takes Figma too long is
        asked for once more, in halves, and a single node at half the scale. Dry: placeholders, 640 x 480 pixels.
        """
        key = parse_file_key(file_key)
        ids = list(dict.fromkeys(parse_node_id(node, "node_ids") for node in node_ids))
        if not 1 <= len(ids) <= MAX_NODES:
            raise InvalidRequest(f"Name 1 to {MAX_NODES} nodes at a time, not {len(ids)}.", field="node_ids")
        kind, factor = parse_render(format, scale)
        if self.runs_dry:
            return FigmaRenders(
                file_key=key, node_ids=tuple(ids), dry_run=True, fetch=partial(self._placeholder, key, factor)
            )
        found: dict[str, _Rendered] = {}
        with self._told_apart():
            self._require_credential()
            for start in range(0, len(ids), NODES_AT_ONCE):
                found |= await self._rendered(key, ids[start : start + NODES_AT_ONCE], kind, factor)
        return FigmaRenders(
            file_key=key, node_ids=tuple(ids), fetch=partial(self._fetched, key=key, kind=kind, found=found)
        )

    async def _rendered(
        self, key: str, ids: Sequence[str], kind: str, scale: float, *, again: bool = True
    ) -> dict[str, _Rendered]:
        """What Figma has made of the nodes: addresses, None where it could not."""
        params = {"ids": ",".join(ids), "format": kind, "scale": f"{scale:g}"}
        async with http.session():
            response = await self.service.request("GET", f"/v1/images/{key}", params=params)
        if response.status == 500 and again:  # Figma's documentation: the render took too long
            if len(ids) > 1:
                middle = len(ids) // 2
                first = await self._rendered(key, ids[:middle], kind, scale, again=False)
                return first | await self._rendered(key, ids[middle:], kind, scale, again=False)
            smaller = max(MIN_SCALE, scale / 2)
            return await self._rendered(key, ids, kind, smaller, again=False)
        if response.status == 404:
            raise FigmaFileMissing(
                f"404: there is no file {key}, or it is not shared with the owner of the token.", http_status=404
            )
        answer = self.checked(response).json_object()
        urls = answer.get("images")
        if not isinstance(urls, dict):
            said = self.quoted(answer.get("err"), 300)
            raise BadResponse(f"answered without renders. {said}".strip(), http_status=response.status)
        return {node: _Rendered(url if isinstance(url, str) else "", scale) for node in ids for url in [urls.get(node)]}

    async def _fetched(self, node_id: str, *, key: str, kind: str, found: dict[str, _Rendered]) -> FigmaRender:
        rendered = found[node_id]
        if not rendered.url:
            return FigmaRender(
                node_id=node_id,
                problem=f"Figma could not render node {node_id}: it is not in the file, or shows nothing "
                "(hidden, fully transparent, without size).",
            )
        try:
            with self._told_apart():
                try:
                    content = await self._downloaded(rendered.url)
                except BadResponse as exc:
                    if exc.http_status not in (403, 404, 410):
                        raise
                    # The address has expired: once more, with a fresh one.
                    rendered = (await self._rendered(key, [node_id], kind, rendered.scale, again=False))[node_id]
                    if not rendered.url:
                        raise
                    content = await self._downloaded(rendered.url)
        except ProviderError as exc:
            return FigmaRender(node_id=node_id, problem=str(exc))
        return FigmaRender(node_id=node_id, content=content, scale=rendered.scale)

    async def _downloaded(self, url: str) -> bytes:
        async with http.session():
            return await self.service.download(url, check=inspected)

    async def _placeholder(self, key: str, scale: float, node_id: str) -> FigmaRender:
        content = await asyncio.to_thread(
            images.placeholder, provider=self.name, prompt=f"{key} {node_id}", width=640, height=480, seed=None
        )
        return FigmaRender(node_id=node_id, content=content, is_placeholder=True)

    def _dry_export(self, image: GeneratedImage, place: FigmaPlace, fit_report: dict[str, Any]) -> FigmaExportResult:
        digest = export_digest(image, place.file_key, place.page_id)
        return FigmaExportResult(
            figma_node_id=f"dry:{digest}",
            figma_url=f"https://www.figma.com/design/{quote(place.file_key, safe='')}/dry-run?node-id=dry-{digest}",
            figma_file_key=place.file_key,
            page_id=place.page_id,
            metadata={"status": "dry_run", "dry_run": True, "fit_report": fit_report},
        )

    async def _check_page(self, file: FigmaFile, page_id: str) -> list[str]:
        """Nothing when the file has the page; a note when that could not be found out, which the plugin then does.

        The list of pages is asked once for each version of a file: a View or Collab seat has a handful of such calls
        a month.
        """
        key = (self.base_url, self._credential.fingerprint(), file.key, file.version)
        pages = _pages.get(key)
        if pages is None:
            try:
                with self._told_apart():
                    pages = await self._page_list(file.key)
            except ProviderError as exc:
                return [f"Whether the file has page {page_id} was not checked: {exc}"]
            if file.version:
                _pages.put(key, pages)
        if page_id not in pages:
            known = ", ".join(f"{id} ({name})" for id, name in list(pages.items())[:10])
            raise FigmaPlaceMissing(f"{self.name}: the file has no page {page_id}. It has: {known or 'none'}.")
        return []

    async def _page_list(self, key: str) -> dict[str, str]:
        """{page id: name}"""
        async with http.session():
            response = await self.service.request("GET", f"/v1/files/{key}", params={"depth": "1"})
        document = self.checked(response).json_object().get("document")
        children = document.get("children") if isinstance(document, dict) else None
        if not isinstance(children, list):
            raise BadResponse("answered without the file's pages.", http_status=response.status)
        pages = [page for page in children if isinstance(page, dict) and isinstance(page.get("id"), str)]
        return {page["id"]: self.quoted(page.get("name")) for page in pages}

    async def _pin(self, place: FigmaPlace) -> tuple[str, str]:
        """(id of the comment, ""), or ("", why there is none): it is a courtesy and fails no export."""
        body = {"message": place.comment, "client_meta": {"x": place.x or 0, "y": place.y or 0}}
        try:
            with self._told_apart():
                async with http.session():
                    response = await self.service.request(
                        "POST", f"/v1/files/{place.file_key}/comments", json=body, purchase=True
                    )
                comment_id = self.checked(response).json_object().get("id")
        except ProviderError as exc:
            # Lost on the way it may be there all the same: never sent twice.
            maybe = (
                "It is not known whether the comment was pinned" if isinstance(exc, OutcomeUnknown) else "No comment"
            )
            return "", f"{maybe}: {exc}"
        return self.quoted(comment_id), ""

    async def check_file(self, file_key: str) -> FigmaFile:
        """The file behind a key or address, by a cheap call. `FigmaFileMissing` when the token cannot see it."""
        key = parse_file_key(file_key)
        if self.runs_dry:
            return FigmaFile(key=key, name="dry run", editor_type="figma", url=file_url(key))
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
                version=self.quoted(file.get("version")),
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
        wait_s = http.retry_after_s(response.headers)
        if wait_s is not None:
            text += f"; it asks to wait {_long(wait_s)}"
        if response.headers.get("x-figma-rate-limit-type") == "low":
            text += ". The token is of a View or Collab seat, which has a handful of such calls a month: take one of a "
            text += "Dev or Full seat"
        return RateLimited(f"429: {text}", http_status=429, retry_after_s=wait_s)


def _long(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"
