"""The one place that sends requests, and the clients it keeps per event loop."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from mediagen import __version__, conf, steps
from mediagen.errors import BadResponse, Misconfigured, OutcomeUnknown, ProviderError, Unavailable, UnsupportedRequest
from mediagen.http import library
from mediagen.http.bodies import needs_room, take_room
from mediagen.http.guard import AddressRefused, Target, split
from mediagen.http.quiet import hush
from mediagen.http.status import Response, loads

if TYPE_CHECKING:
    import httpx  # both have the same interface
from mediagen.types import Answer, current_call

logger = logging.getLogger("mediagen.http")

# A pool looks at each of its connections whenever a request starts or ends, so several small ones are far quicker.
CONNECTIONS_PER_POOL = 8
KEPT_ALIVE_S = 5.0
LINGER_S = 5.0
"""how long connections stay when nobody has a session any more"""
JSON_LIMIT_BYTES = 8 * 1024 * 1024
USER_AGENT = f"mediagen/{__version__} (+https://pypi.org/project/mediagen/)"

# A body larger than this waits for room where there is a limit.
LARGE_BODY_BYTES = 128 * 1024
ROOM_BYTES = 4 * 1024 * 1024

_kept: ContextVar[Answer | None] = ContextVar("mediagen_kept_answer", default=None)
_transport: ContextVar[httpx.AsyncBaseTransport | None] = ContextVar("mediagen_transport", default=None)


@contextmanager
def override_transport(transport: httpx.AsyncBaseTransport) -> Iterator[None]:
    """Send everything in this context through `transport` (an httpx.MockTransport in a unit test)."""
    token = _transport.set(transport)
    try:
        yield
    finally:
        _transport.reset(token)


@contextmanager
def answered_by(answer: Answer) -> Iterator[None]:
    """Whatever would buy something in this context is not sent: it is answered by what came once before."""
    token = _kept.set(answer)
    try:
        yield
    finally:
        _kept.reset(token)


class _Pool:
    __slots__ = ("busy", "client")

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.busy = 0


class _Pools:
    """The clients of one event loop, by host; closed when nobody has used them for `LINGER_S`, or the loop ends."""

    def __init__(self) -> None:
        self.users = 0
        self.by_host: dict[str, list[_Pool]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._keeper: AsyncGenerator[None, None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def join(self) -> None:
        self.users += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._keeper is None:
            # The loop closes the generators that were begun in it before it ends.
            self._keeper = self._until_the_end()
            await anext(self._keeper)

    def leave(self) -> None:
        self.users -= 1
        if not self.users:
            self._timer = asyncio.get_running_loop().call_later(LINGER_S, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._closing = asyncio.get_running_loop().create_task(self.aclose())

    async def _until_the_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self.aclose()

    def least_busy(self, key: str) -> _Pool:
        pools = self.by_host.setdefault(key, [])
        # The first with room, not the emptiest: idle connections of the first pools are used again.
        for pool in pools:
            if pool.busy < CONNECTIONS_PER_POOL:
                return pool
        pool = _Pool(_new_client())
        pools.append(pool)
        return pool

    async def aclose(self) -> None:
        by_host, self.by_host = self.by_host, {}
        for pools in by_host.values():
            for pool in pools:
                await pool.client.aclose()


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pools] = WeakKeyDictionary()


@cache
def _ssl_context() -> ssl.SSLContext:
    context: ssl.SSLContext = library.httpx().create_ssl_context()
    return context


def _new_client() -> httpx.AsyncClient:
    # Its classes are built on the HTTP library's, which is no part of start-up.
    from mediagen.http.transport import Transport

    lib = library.httpx()
    hush()
    proxy = conf.get("PROXY")
    if proxy:
        limits = lib.Limits(
            max_connections=None,
            max_keepalive_connections=CONNECTIONS_PER_POOL,
            keepalive_expiry=KEPT_ALIVE_S,
        )
        transport: httpx.AsyncBaseTransport = lib.AsyncHTTPTransport(
            verify=_ssl_context(), trust_env=False, proxy=proxy, limits=limits
        )
    else:
        transport = Transport(
            ssl_context=_ssl_context(),
            max_keepalive_connections=CONNECTIONS_PER_POOL,
            keepalive_expiry=KEPT_ALIVE_S,
        )
    client: httpx.AsyncClient = lib.AsyncClient(
        transport=transport,
        trust_env=False,  # neither proxies nor .netrc passwords that nobody chose for this
        follow_redirects=False,
        headers={"user-agent": USER_AGENT, "accept-encoding": "identity"},
    )
    return client


@asynccontextmanager
async def session() -> AsyncIterator[None]:
    """Keep connections open, for some seconds after the outermost session of this event loop has ended. Cheap to nest.

    A loop that ends before (`async_to_sync`, a management command) leaves no sockets behind.
    """
    loop = asyncio.get_running_loop()
    pools = _pools.get(loop) or _pools.setdefault(loop, _Pools())
    await pools.join()
    try:
        yield
    finally:
        pools.leave()


class _Sent:
    """Whether request bytes have left, learned from the transport's trace events."""

    __slots__ = ("yes",)

    def __init__(self) -> None:
        self.yes = True  # a transport that does not trace is taken at its worst

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            self.yes = False
        elif event.endswith("send_request_headers.started"):
            self.yes = True


async def send(
    method: str,
    target: Target | str,
    *,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    files: Any = None,
    form: Mapping[str, str] | None = None,
    content: bytes | None = None,
    params: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
    max_bytes: int = JSON_LIMIT_BYTES,
    purchase: bool = False,
    cut: bool = False,
) -> Response:
    """One request, no redirect followed, no status judged; `timeout_s` bounds the whole of it.

    Raises `Unavailable` when nothing was sent, and for a lost answer `OutcomeUnknown` if the request buys
    something (`purchase`), else `Unavailable`. `BadResponse` when a 2xx answer is over `max_bytes`. One whose body
    breaks off is returned with the error in `Response.broken`: who reads it can tell whether all is there.
    With `cut` no more than `max_bytes` are read, and neither length nor a broken end of the body is an error.
    `Misconfigured` and `UnsupportedRequest` when the address, or the request, cannot be put on the wire at all.
    `target` is a URL the operator chose, or a checked `Target` whose address is then pinned.
    """
    if purchase and (kept := _kept.get()) is not None:
        headers_then = {"content-type": kept.content_type}
        return Response(200, headers_then, bytearray(kept.content), _address(target)[1])
    lib = library.httpx()
    sent = _Sent()
    extensions: dict[str, Any] = {"trace": sent.trace}
    all_headers = dict(headers or {})
    request_url, where = _address(target)
    if isinstance(target, Target) and target.address is not None:
        all_headers["host"] = request_url.netloc.decode("ascii")
        extensions["sni_hostname"] = request_url.raw_host.decode("ascii")
        request_url = request_url.copy_with(host=target.address)
    lost: type[ProviderError] = OutcomeUnknown if purchase else Unavailable
    started = time.monotonic()
    response: httpx.Response | None = None
    arrived = _Arrived()
    broken: ProviderError | None = None
    async with steps.step("http", method=method, host=where) as seen, _client_for(where) as client:
        try:
            request = client.build_request(
                method,
                request_url,
                headers=all_headers,
                json=json,
                files=files,
                data=form,
                content=content,
                params=params,
                timeout=lib.Timeout(timeout_s, connect=min(timeout_s, conf.get("CONNECT_TIMEOUT_S"))),
                extensions=extensions,
            )
        except (TypeError, ValueError) as exc:  # the text may quote a header: it is left out
            raise UnsupportedRequest(f"the request to {where} could not be built ({type(exc).__name__}).") from None
        try:
            async with asyncio.timeout(timeout_s) as limit:
                response = await client.send(request, stream=True)
                seen.set(status=response.status_code)
                try:
                    if cut:
                        arrived.body = bytearray(await _head(response, max_bytes))
                    else:
                        broken = await _read(response, max_bytes, where, limit, arrived)
                finally:
                    await response.aclose()
        except (lib.ConnectError, lib.ConnectTimeout, lib.PoolTimeout, lib.ProxyError) as exc:
            raise Unavailable(f"could not connect to {where} ({type(exc).__name__}); nothing was sent.") from None
        except (TimeoutError, lib.TimeoutException):
            seconds = time.monotonic() - started
            if not sent.yes:
                raise Unavailable(f"could not connect to {where} in {seconds:.1f} s; nothing was sent.") from None
            broken = lost(f"{where} took the request and did not answer in {seconds:.1f} s.")
            if response is None or not (response.is_success and arrived.is_json_object()):
                raise broken from None
            del arrived.body[arrived.size :]
        except (lib.LocalProtocolError, lib.UnsupportedProtocol) as exc:
            raise UnsupportedRequest(f"the request to {where} could not be sent ({type(exc).__name__}).") from None
        except lib.TransportError as exc:
            if not sent.yes:
                raise Unavailable(f"lost {where} before anything was sent ({type(exc).__name__}).") from None
            raise lost(f"{where} took the request and broke the connection ({type(exc).__name__}).") from None
    answer = Response(response.status_code, _plain(response.headers.raw), arrived.body, str(request_url), broken)
    if answer.is_success and not cut:
        current_call().answer = Answer(answer.body, answer.content_type)
    return answer


def _plain(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their names in lower case; what came several times is joined by commas."""
    plain: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        plain[name] = f"{plain[name]}, {value}" if name in plain else value
    return plain


def _address(target: Target | str) -> tuple[httpx.URL, str]:
    """(URL, "host:port" for messages). Two parsers must agree on the host of a URL that somebody else wrote."""
    lib = library.httpx()
    if isinstance(target, str):
        try:
            return _own_address(target)
        except (lib.InvalidURL, ValueError):
            raise Misconfigured("base_url makes no address that can be asked. Correct it.") from None
    try:
        url = lib.URL(target.url)
        _, host, port = split(str(url))
    except (lib.InvalidURL, ValueError):
        raise AddressRefused("named a result address that is no URL; refused.") from None
    if target.host not in (host, url.host.rstrip(".")) or target.port != port:
        raise AddressRefused("named a result address that can be read in two ways; refused.")
    return url, f"{host}:{port}"


@lru_cache(256)
def _own_address(address: str) -> tuple[httpx.URL, str]:
    """Of an address under a base_url: the same few again and again."""
    url = library.httpx().URL(address)
    _, host, port = split(str(url))
    return url, f"{host}:{port}"


@asynccontextmanager
async def _client_for(key: str) -> AsyncIterator[httpx.AsyncClient]:
    if (transport := _transport.get()) is not None:
        yield library.httpx().AsyncClient(transport=transport, headers={"user-agent": USER_AGENT})
        return
    async with session():
        pool = _pools[asyncio.get_running_loop()].least_busy(key)
        pool.busy += 1
        try:
            yield pool.client
        finally:
            pool.busy -= 1


async def _room_for(size: int, limit: asyncio.Timeout) -> None:
    """Wait for room for a body, and give the waiting back to the time limit: it is our doing, not the provider's."""
    if not needs_room(size):
        return
    end, began = limit.when(), time.monotonic()
    limit.reschedule(None)
    await take_room(size)
    if end is not None:
        limit.reschedule(end + time.monotonic() - began)


async def _head(response: httpx.Response, max_bytes: int) -> bytes:
    """The first bytes of the body as they come, not unpacked; fewer when it breaks off."""
    head = bytearray()
    try:
        async for chunk in response.aiter_raw():
            head += chunk
            if len(head) >= max_bytes:
                break
    except library.httpx().TransportError as exc:
        logger.debug("a body broke off (%s)", type(exc).__name__)
    return bytes(head[:max_bytes])


class _Arrived:
    """As much of a body as has come: also when what reads it is ended by the time limit."""

    __slots__ = ("body", "size")

    def __init__(self) -> None:
        self.body = bytearray()
        self.size = 0

    def is_json_object(self) -> bool:
        """Whether the whole of a JSON object is there, though the end of the body was not said."""
        text = self.body[: self.size]
        try:
            return text.rstrip().endswith(b"}") and isinstance(loads(text), dict)
        except (ValueError, RecursionError):
            return False


async def _read(
    response: httpx.Response, max_bytes: int, where: str, limit: asyncio.Timeout, arrived: _Arrived
) -> ProviderError | None:
    """Read the body into `arrived`; the error that a 2xx means when its body breaks off, unless it is whole."""
    lib = library.httpx()
    broken: ProviderError | None = None
    text = response.headers.get("content-length", "")
    declared = int(text) if text.isdigit() else 0
    if declared > max_bytes:
        raise BadResponse(f"{where} announced {declared:,} bytes; the limit is {max_bytes:,}.")
    has_room_for = LARGE_BODY_BYTES
    if declared > has_room_for:
        await _room_for(declared, limit)
        has_room_for = declared
    # Room for all that was announced, so that the pieces are copied once; not for a number that somebody made up.
    arrived.body = body = bytearray(min(declared, ROOM_BYTES))
    size = 0
    try:
        async for chunk in response.aiter_bytes():
            body[size : size + len(chunk)] = chunk
            arrived.size = size = size + len(chunk)
            if size > has_room_for:
                has_room_for = max(ROOM_BYTES, 2 * size)
                await _room_for(has_room_for, limit)
            if size > max_bytes:
                raise BadResponse(f"{where} sent more than {max_bytes:,} bytes; reading was stopped.")
    except lib.TimeoutException:
        raise
    except (lib.TransportError, lib.DecodingError) as exc:
        if response.is_success:
            broken = BadResponse(
                f"{where} answered {response.status_code} and the body broke off after {size:,} bytes "
                f"({type(exc).__name__}).",
                http_status=response.status_code,
            )
    del body[size:]
    return broken


def __getattr__(name: str) -> Any:
    if name == "httpx":  # for tests, which make answers of it
        return library.httpx()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
