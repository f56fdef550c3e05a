"""HTTP over asyncio's own sockets: httpcore's protocol and pool, without the layers below and above them.

httpx reads through anyio, 64 KiB at a time with a turn of the event loop for each, and asks it for the same facts of a
socket again and again. For megabytes of base64 that is a quarter of all CPU time of a picture.
"""

# ruff: noqa: ASYNC109 - the arguments are httpcore's

from __future__ import annotations

import asyncio
import select
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpcore  # both have the same interface
    import httpx
else:
    try:
        import httpcore2 as httpcore
        import httpx2 as httpx
    except ImportError:
        import httpcore
        import httpx

KEPT_UNREAD_BYTES = 64 * 1024
"""what nobody has asked for stays in the kernel's buffers beyond this"""
GATHERED_BYTES = 16 * 1024
"""the head of a request up to this size waits for its body, so that both leave in one packet"""
TURNS_TO_CLOSE = 5

_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


class Transport(httpx.AsyncBaseTransport):
    """What `httpx.AsyncHTTPTransport` is, on `Sockets`; no proxies."""

    def __init__(self, *, ssl_context: ssl.SSLContext, max_keepalive_connections: int, keepalive_expiry: float) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=None,
            max_keepalive_connections=max_keepalive_connections,
            keepalive_expiry=keepalive_expiry,
            network_backend=Sockets(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        try:
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except _FAILURES as exc:
            raise _in_httpx_words(exc) from exc
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except _FAILURES as exc:
            raise _in_httpx_words(exc) from exc

    async def aclose(self) -> None:
        await self._stream.aclose()


def _in_httpx_words(exc: Exception) -> Exception:
    """httpx has a class of the same name for each of httpcore's."""
    for cls in type(exc).__mro__:
        if isinstance(found := getattr(httpx, cls.__name__, None), type) and issubclass(found, httpx.TransportError):
            return found(str(exc))
    return httpx.TransportError(str(exc))


class Sockets(httpcore.AsyncNetworkBackend):
    """httpcore's network on asyncio."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Socket:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                _, stream = await loop.create_connection(Socket, host, port, happy_eyeballs_delay=_stagger_s(host))
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(str(exc)) from exc
        except OSError as exc:
            raise httpcore.ConnectError(str(exc)) from exc
        return stream

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Socket(httpcore.AsyncNetworkStream, asyncio.Protocol):
    """One connection: asyncio tells it what arrives, httpcore asks for it."""

    _transport: Any

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parts: deque[bytes] = deque()
        self._unread_bytes = 0
        self._unsent = b""
        self._is_paused = False
        self._is_over = False
        self._is_lost = False
        self._why_lost: Exception | None = None
        self._reader: asyncio.Future[bool] | None = None
        self._writer: asyncio.Future[bool] | None = None
        self._may_write = True

    # ------------------------------------------------------------------ what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._unread_bytes += len(data)
        _wake(self._reader)
        # Before it is read: who has asked for this much may then wait for his turn to read the rest.
        if self._unread_bytes > KEPT_UNREAD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._is_over = True
        _wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = self._is_lost = True
        self._why_lost = exc
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        _wake(self._writer)

    # ------------------------------------------------------------------ what httpcore asks

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """All that is there: more than `max_bytes`, too. Each piece costs the parser a call, whatever its size."""
        self._send_unsent()
        if not self._parts and not self._is_over:
            await self._wait_to_read(timeout)
        if not self._parts:
            if self._why_lost is not None:
                raise httpcore.ReadError(type(self._why_lost).__name__) from self._why_lost
            return b""
        data = self._parts.popleft() if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._unread_bytes = 0
        return data

    async def _wait_to_read(self, timeout_s: float | None) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        self._reader = self._loop.create_future()
        try:
            if not await _woken(self._reader, timeout_s):
                raise httpcore.ReadTimeout("nothing came")
        finally:
            self._reader = None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._is_lost or self._transport.is_closing():
            raise httpcore.WriteError("the connection is closed") from self._why_lost
        if len(self._unsent) + len(buffer) <= GATHERED_BYTES:
            # A request is always followed by a read: a head waits for its body, and both for that.
            self._unsent += buffer
            return
        self._send_unsent()
        self._transport.write(buffer)
        while not self._may_write and not self._is_lost:
            self._writer = self._loop.create_future()
            try:
                if not await _woken(self._writer, timeout):
                    raise httpcore.WriteTimeout("nothing was taken")
            finally:
                self._writer = None
        if self._is_lost:
            raise httpcore.WriteError("the connection was lost") from self._why_lost

    def _send_unsent(self) -> None:
        if self._unsent:
            unsent, self._unsent = self._unsent, b""
            self._transport.write(unsent)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Socket:
        try:
            async with asyncio.timeout(timeout):
                self._transport = await self._loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as exc:
            await self.aclose()
            raise httpcore.ConnectTimeout(str(exc)) from exc
        except OSError as exc:  # also what ssl raises
            await self.aclose()
            raise httpcore.ConnectError(str(exc)) from exc
        except BaseException:
            await self.aclose()
            raise
        if self._transport is None:  # the peer closed it in the same turn in which it had agreed
            raise httpcore.ConnectError("the connection was closed")
        return self

    async def aclose(self) -> None:
        # Not close(): with TLS that waits for the peer to say good-bye too, longer than this event loop may live.
        self._transport.abort()
        for _ in range(TURNS_TO_CLOSE):
            if self._is_lost:
                break
            await asyncio.sleep(0)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._has_news()
        names = {"ssl_object": "ssl_object", "socket": "socket", "server_addr": "peername", "client_addr": "sockname"}
        return self._transport.get_extra_info(names[info]) if info in names else None

    def _has_news(self) -> bool:
        """Whether something came, or the end, which on an idle connection means that no request must go there."""
        if self._parts or self._is_over or self._transport.is_closing():
            return True
        # The event loop may not have looked since.
        sock = self._transport.get_extra_info("socket")
        number = -1 if sock is None else sock.fileno()
        if number < 0:
            return True
        if not hasattr(select, "poll"):  # Windows
            return bool(select.select([number], [], [], 0)[0])
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))


def _stagger_s(host: str) -> float | None:
    """A name may have addresses of two kinds of which only one can be reached (RFC 8305); an address is one."""
    try:
        ip_address(host)
    except ValueError:
        return 0.25
    return None


def _wake(waiting: asyncio.Future[bool] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(True)


def _give_up(waiting: asyncio.Future[bool]) -> None:
    if not waiting.done():
        waiting.set_result(False)


async def _woken(waiting: asyncio.Future[bool], timeout_s: float | None) -> bool:
    """Whether it was woken in time. Cheaper than `asyncio.timeout`, and there is one for each piece that arrives."""
    if timeout_s is None:
        return await waiting
    timer = asyncio.get_running_loop().call_later(timeout_s, _give_up, waiting)
    try:
        return await waiting
    finally:
        timer.cancel()
