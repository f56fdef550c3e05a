"""A server on a real socket whose handler writes the bytes itself, for what no proper server would do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Handler = Callable[["Exchange"], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n\r\nok"


@dataclass
class Exchange:
    """One request as it came, and where to write the answer."""

    server: RawServer
    head: str
    body: bytes
    writer: asyncio.StreamWriter
    connection: int
    """number of the TCP connection, from 1"""

    @property
    def path(self) -> str:
        return self.head.split(" ", 2)[1]

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if name}

    async def write(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    def reset(self) -> None:
        """A TCP reset, not an orderly end."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.writer.transport.abort()


@dataclass
class RawServer:
    port: int = 0
    scheme: str = "http"
    exchanges: list[Exchange] = field(default_factory=list)
    connections: int = 0
    """how many were ever opened"""
    open: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def all_closed(self) -> bool:
        """Whether every connection has ended, given a moment for the news to arrive."""
        for _ in range(100):
            if self.open == 0:
                return True
            await asyncio.sleep(0.01)
        return False


class _Connection(asyncio.StreamReaderProtocol):
    """One TCP connection with the task that serves it; the task ends with the connection, whatever it waits for."""

    def __init__(self, server: RawServer, handler: Handler, tasks: set[asyncio.Task[None]]) -> None:
        self._in = asyncio.StreamReader()
        super().__init__(self._in)
        self._server, self._handler, self._tasks = server, handler, tasks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.connections += 1
        self._server.open += 1
        out = asyncio.StreamWriter(transport, self, self._in, asyncio.get_running_loop())  # type: ignore[arg-type]
        self._serving = asyncio.create_task(self._serve(out, self._server.connections))
        self._tasks.add(self._serving)

    def eof_received(self) -> bool:
        super().eof_received()
        return False  # a client that has gone waits for nothing more: close

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server.open -= 1
        self._serving.cancel()

    async def _serve(self, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            while not writer.is_closing():
                head = (await self._in.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n")
                exchange = Exchange(self._server, head, b"", writer, number)
                exchange.body = await self._in.readexactly(int(exchange.headers.get("content-length", 0)))
                self._server.exchanges.append(exchange)
                await self._handler(exchange)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client has gone
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def raw_server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """`handler` is awaited for every request; a connection stays open for more until it closes or resets it."""
    server = RawServer(scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: _Connection(server, handler, tasks), "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        failures = [found for found in await asyncio.gather(*tasks, return_exceptions=True) if found is not None]
        unplanned = [one for one in failures if not isinstance(one, asyncio.CancelledError)]
        assert not unplanned, unplanned


async def say_ok(exchange: Exchange) -> None:
    await exchange.write(OK)


def answering(status: int, body: bytes = b"", **headers: str) -> Handler:
    """A handler that always gives this answer. `retry_after="3"` is the header Retry-After."""

    async def handler(exchange: Exchange) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await exchange.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return handler


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
