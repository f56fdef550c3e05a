"""One provider's service as an adapter sees it: paths under a base_url, a key, and results named by URL."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin

from mediagen import conf
from mediagen.errors import BadResponse, NotAPicture, OutcomeUnknown, ProviderError, RateLimited, Unavailable
from mediagen.http import guard
from mediagen.http.client import JSON_LIMIT_BYTES, send
from mediagen.http.inline import from_data_url, is_data_url
from mediagen.http.status import Response, error_for_status

_PATH = re.compile(r"(?!//)(?![A-Za-z][A-Za-z0-9+.\-]*:)[^\s\\]*/[^\s\\]+")
"""an address without scheme and host"""
MAX_REDIRECTS = 5
POLL_TIMEOUT_S = 20.0
DOWNLOAD_TIMEOUT_S = 120.0
FETCH_TRIES = 4
FETCH_BACKOFF_S = 0.25
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Service:
    """Requests to `base_url` and to the URLs that it answers.

    `auth` are the headers that carry the key. They go to the host of base_url and to hosts that end in one of
    `key_hosts` (".bfl.ai"), and nowhere else.
    """

    def __init__(
        self, base_url: str, *, auth: Mapping[str, str], key_hosts: tuple[str, ...] = (), timeout_s: float
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout_s = timeout_s
        self._auth = dict(auth)
        self._key_hosts = key_hosts

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        files: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        max_bytes: int = JSON_LIMIT_BYTES,
        purchase: bool = False,
    ) -> Response:
        """Ask `base_url + path` with the key. See `mediagen.http.client.send` for what is raised."""
        return await send(
            method,
            self.base_url + path,
            headers={**self._auth, **(headers or {})},
            json=json,
            files=files,
            form=form,
            content=content,
            params=params,
            timeout_s=timeout_s or self.timeout_s,
            max_bytes=max_bytes,
            purchase=purchase,
        )

    @property
    def poll_timeout_s(self) -> float:
        """For one look at a job: one that hangs must leave time for others."""
        return min(POLL_TIMEOUT_S, max(1.0, self.timeout_s / 3), self.timeout_s)

    async def get_url(self, url: str, *, timeout_s: float | None = None, max_bytes: int = JSON_LIMIT_BYTES) -> Response:
        """GET a URL out of an answer (a polling URL), guarded, with the key if the host may have it."""
        url = self._absolute(url)
        target = await guard.check(url, base_url=self.base_url)
        headers = self._auth if self._may_have_key(url) else {}
        seconds = timeout_s or self.poll_timeout_s
        return await send("GET", target, headers=headers, timeout_s=seconds, max_bytes=max_bytes)

    async def download(
        self,
        url: str,
        *,
        with_key: bool = False,
        only_public: bool = False,
        check: Callable[[bytes], object] | None = None,
        timeout_s: float | None = None,
        max_bytes: int | None = None,
    ) -> bytes:
        """The bytes behind a result URL, guarded at every redirect and size-limited while they stream.

        `with_key` sends the key to those hosts that may have it: only for services that want it there. `only_public`: a
        person wrote the URL, and TRUSTED_HOSTS are as private as others to them. `check` raises
        `NotAPicture` for bytes that are not to be believed; they are fetched once more.
        Fetches again when the fetch fails (a fetch buys nothing), all tries together in `timeout_s`; what does not
        come then, and a URL that has expired, is `BadResponse`, so that no caller ever generates again because of it.
        """
        limit = max_bytes or conf.get("MAX_IMAGE_BYTES")
        if is_data_url(url):
            return _held_by(url, limit, check)
        url = self._absolute(url)
        budget_s = timeout_s or min(DOWNLOAD_TIMEOUT_S, self.timeout_s)
        deadline = time.monotonic() + budget_s
        trouble: ProviderError | None = None
        disbelieved = 0
        for attempt in range(FETCH_TRIES):
            if attempt:
                wait_s = (trouble.retry_after_s if trouble else None) or FETCH_BACKOFF_S * 2**attempt
                if time.monotonic() + wait_s >= deadline:
                    break
                await asyncio.sleep(wait_s)
            # A first try that hangs must leave time for another one.
            left_s = min(deadline - time.monotonic(), max(budget_s / 2, 1.0))
            try:
                response = await self._follow(
                    url, with_key=with_key, only_public=only_public, timeout_s=left_s, max_bytes=limit
                )
            except guard.AddressRefused:
                raise
            except (Unavailable, OutcomeUnknown) as exc:
                trouble = exc
                continue
            except BadResponse as exc:
                if exc.http_status is None:  # over the size limit: asking again changes nothing
                    raise
                trouble = exc
                continue
            if response.broken is not None and check is None:
                trouble = response.broken  # nobody can tell whether all of it is there
                continue
            if response.is_success and response.body:
                content = bytes(response.body)
                try:
                    if check is not None:
                        check(content)
                except NotAPicture as exc:
                    if response.broken is not None:
                        trouble = response.broken
                        continue
                    trouble = BadResponse(str(exc), http_status=response.status)
                    disbelieved += 1
                    if disbelieved > 1:
                        break
                    continue
                return content
            if response.is_success:
                trouble = BadResponse("the result URL answered with an empty body.", http_status=response.status)
                continue
            error = error_for_status(response, "the result URL did not give the picture")
            if not isinstance(error, Unavailable | RateLimited):
                raise BadResponse(
                    f"the result URL answered {response.status}: expired or not ours.", http_status=response.status
                )
            trouble = error
        raise BadResponse(
            f"the picture could not be fetched: {trouble}", http_status=trouble.http_status if trouble else None
        )

    async def _follow(
        self, url: str, *, with_key: bool, only_public: bool, timeout_s: float, max_bytes: int
    ) -> Response:
        """The answer after redirects, all of them in `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        for _ in range(MAX_REDIRECTS + 1):
            target = await guard.check(url, base_url=self.base_url, only_public=only_public)
            headers = self._auth if with_key and self._may_have_key(url) else {}
            left_s = max(deadline - time.monotonic(), 0.001)
            response = await send("GET", target, headers=headers, timeout_s=left_s, max_bytes=max_bytes)
            location = response.headers.get("location")
            if response.status not in REDIRECTS or not location:
                return response
            try:
                url = urljoin(url, location)
            except ValueError:
                raise guard.AddressRefused("the result URL redirects to what is no URL; refused.") from None
        raise BadResponse(f"the result URL redirected more than {MAX_REDIRECTS} times; refused.")

    def _absolute(self, url: str) -> str:
        """A path in an answer is read against base_url: it is on the same host, so as trusted as that."""
        return urljoin(f"{self.base_url}/", url) if _PATH.fullmatch(url) else url

    def _may_have_key(self, url: str) -> bool:
        parts, host, _ = guard.split(url)
        if guard.same_host(url, self.base_url):
            return True
        return parts.scheme == "https" and any(
            host == name.lstrip(".") or host.endswith("." + name.lstrip(".")) for name in self._key_hosts
        )


def _held_by(url: str, limit: int, check: Callable[[bytes], object] | None) -> bytes:
    """The bytes that a data: address holds, as if they had been fetched."""
    try:
        content = from_data_url(url) if len(url) <= 3 * limit + 1024 else b""
    except ValueError:
        raise BadResponse("put a picture into a data: address that cannot be read, or is cut off.") from None
    if not content or len(content) > limit:
        raise BadResponse(f"put nothing, or more than {limit:,} bytes, into a data: address.")
    try:
        if check is not None:
            check(content)
    except NotAPicture as exc:
        raise BadResponse(f"put no usable picture into a data: address: {exc}") from None
    return content
