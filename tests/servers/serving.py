"""A small HTTP/1.1 server for ASGI programs that can also break things on the wire.

What no finished ASGI server offers: a program finds a `Wire` in `scope["extensions"][WIRE]`, with which it can reset
the connection or close it in the middle of an answer. Requests reach the program as soon as their head has been
read, so a reset before the body is one. Keep-alive, chunked bodies and 100-continue work; TLS and HTTP/2 do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
T = TypeVar("T")

log = logging.getLogger("tests.servers")

WIRE = "mediagen.test.wire"
HOST = "127.0.0.1"
MAX_HEAD_BYTES = 64 * 1024


class BadRequestHead(Exception):
    """What came is no HTTP/1.1 request we understand."""


class Wire:
    """Power over one connection, for faults that are none of HTTP's business."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def reset(self) -> None:
        """TCP RST now: the client sees a reset, not an end."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def close(self) -> None:
        """FIN after what has been written: the client sees an end, perhaps too early."""
        self._transport.close()


class _Connection(asyncio.Protocol):
    """One client's connection: requests one after the other, each given to the program."""

    transport: asyncio.Transport

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.buffer = bytearray()
        self.arrived = asyncio.Event()
        self.lost = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.busy = False
        self.last = False
        self.task: asyncio.Task[None] | None = None

    # asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections.add(self)
        self.task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self.lost.set()
        self.arrived.set()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    # reading
    async def more(self) -> None:
        """Wait for more bytes. ConnectionError when there will be none."""
        self.arrived.clear()
        if self.lost.is_set():
            raise ConnectionResetError("the client is gone")
        await self.arrived.wait()
        if self.lost.is_set():
            raise ConnectionResetError("the client is gone")

    def take(self, count: int) -> bytes:
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    async def until(self, mark: bytes) -> bytes:
        while (end := self.buffer.find(mark)) < 0:
            if len(self.buffer) > MAX_HEAD_BYTES:
                raise BadRequestHead("head too long")
            await self.more()
        return self.take(end + len(mark))[: -len(mark)]

    # the life of a connection
    async def _serve(self) -> None:
        try:
            while not self.last:
                head = await self.until(b"\r\n\r\n")
                self.busy = True
                try:
                    await _Exchange(self, head).run()
                except BadRequestHead as exc:
                    self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n" + str(exc).encode())
                    break
                self.busy = False
        except (ConnectionError, asyncio.CancelledError):
            pass
        except Exception:
            # A bug in a server must not look like one of its faults.
            log.exception("the test server's program failed")
            self.transport.write(
                b"HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\n\r\ntest server bug, see log"
            )
        finally:
            self.transport.close()


class _Exchange:
    """One request and its answer, as the program's `scope`, `receive` and `send`."""

    def __init__(self, connection: _Connection, head: bytes) -> None:
        self.connection = connection
        lines = head.decode("latin-1").split("\r\n")
        try:
            self.method, self.target, self.version = lines[0].split(" ")
            self.headers = [
                (name.strip().lower().encode("latin-1"), value.strip().encode("latin-1"))
                for name, value in (line.split(":", 1) for line in lines[1:])
            ]
        except ValueError:
            raise BadRequestHead("not an HTTP/1.1 request") from None
        named = dict(self.headers)
        self.keep_alive = self.version == "HTTP/1.1" and named.get(b"connection", b"").lower() != b"close"
        self.expects_continue = named.get(b"expect", b"").lower() == b"100-continue"
        self.chunked = named.get(b"transfer-encoding", b"").lower() == b"chunked"
        length = named.get(b"content-length", b"0")
        if not length.isdigit():
            raise BadRequestHead("content-length is no number")
        self.left = int(length)
        self.body_done = False
        self.answered = False
        self.chunk_answer = False
        self.head = b""

    async def run(self) -> None:
        path, _, query = self.target.partition("?")
        peer = self.connection.transport.get_extra_info("peername") or ("", 0)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": self.version.removeprefix("HTTP/"),
            "method": self.method.upper(),
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": self.headers,
            "client": peer[:2],
            "server": (HOST, self.connection.server.port),
            "extensions": {WIRE: Wire(self.connection.transport)},
        }
        await self.connection.server.app(scope, self.receive, self.send)
        if not self.answered:  # cut off on purpose, or the program forgot; either way this connection is over
            self.connection.last = True
        if not self.keep_alive:
            self.connection.last = True
        if not self.connection.last:
            while not self.body_done and not self.connection.lost.is_set():
                await self.receive()

    async def receive(self) -> Message:
        connection = self.connection
        if self.body_done:
            await connection.lost.wait()
            return {"type": "http.disconnect"}
        if self.expects_continue:
            self.expects_continue = False
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            if self.chunked:
                return await self._receive_chunk()
            while self.left and not connection.buffer:
                await connection.more()
        except ConnectionError:
            return {"type": "http.disconnect"}
        piece = connection.take(self.left)
        self.left -= len(piece)
        self.body_done = self.left == 0
        return {"type": "http.request", "body": piece, "more_body": not self.body_done}

    async def _receive_chunk(self) -> Message:
        connection = self.connection
        size = int((await connection.until(b"\r\n")).split(b";")[0], 16)
        while len(connection.buffer) < size + 2:
            await connection.more()
        piece = connection.take(size + 2)[:-2]
        self.body_done = size == 0
        return {"type": "http.request", "body": piece, "more_body": not self.body_done}

    async def send(self, message: Message) -> None:
        connection = self.connection
        if connection.lost.is_set() or connection.transport.is_closing():
            raise ConnectionResetError("the client is gone")
        if message["type"] == "http.response.start":
            self.head = self._head(message)  # goes out with the first of the body, in one segment
        elif message["type"] == "http.response.body":
            body, more = message.get("body", b""), message.get("more_body", False)
            if self.chunk_answer:
                frame = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
                body = frame if more else frame + b"0\r\n\r\n"
            head, self.head = self.head, b""
            if out := head + (b"" if self.method == "HEAD" else body):
                connection.transport.write(out)
            self.answered = not more
        await connection.writable.wait()

    def _head(self, message: Message) -> bytes:
        status = int(message["status"])
        headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", [])]
        names = {name for name, _ in headers}
        bodyless = status < 200 or status in (204, 304)
        if b"content-length" not in names and not bodyless:
            self.chunk_answer = True
            headers.append((b"transfer-encoding", b"chunked"))
        if b"date" not in names:
            headers.append((b"date", formatdate(usegmt=True).encode()))
        if self.connection.last or not self.keep_alive:
            headers.append((b"connection", b"close"))
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = ""
        lines = [f"HTTP/1.1 {status} {reason}".encode(), *(name + b": " + value for name, value in headers)]
        return b"\r\n".join(lines) + b"\r\n\r\n"


class HTTPServer:
    """Serves one ASGI program on 127.0.0.1, in a thread with an event loop of its own."""

    def __init__(self, app: Application, port: int = 0) -> None:
        """`port` 0 takes a free one, known in `.port` once started."""
        self.app = app
        self.port = port
        self.connections: set[_Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listener: asyncio.Server | None = None
        self._guard: socket.socket | None = None
        self._reopening: asyncio.TimerHandle | None = None
        self._opener: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Listen. OSError when the port is taken."""
        # Holds the port while nobody listens on it, so that a closed door stays ours and refuses.
        self._guard = _bound(self.port)
        self.port = self._guard.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"server-{self.port}", daemon=True)
        self._thread.start()
        try:
            self.accept()
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """Close everything. Harmless when not started."""
        if self._loop is None or self._thread is None:
            return
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._guard is not None:
            self._guard.close()
        self._loop = self._thread = self._guard = None

    def refuse(self, for_s: float = 0.0) -> None:
        """Stop listening and close idle connections: the next connection is refused. Answers under way go out first.

        Listens again after `for_s` seconds, if that is more than 0.
        """
        self._run(self.close_door(for_s))

    def accept(self) -> None:
        """Listen again on the same port."""
        self._run(self.open_door())

    def drop_busy(self) -> None:
        """End the exchanges under way; idle kept-alive connections stay."""
        self._run(self._drop(only_busy=True))

    async def close_door(self, for_s: float = 0.0) -> None:
        self._cancel_reopening()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in list(self.connections):
            connection.last = True
            if not connection.busy:
                connection.transport.close()
        if for_s > 0:
            loop = asyncio.get_running_loop()
            self._reopening = loop.call_later(for_s, self._reopen)

    async def open_door(self) -> None:
        self._cancel_reopening()
        if self._listener is None:
            sock = _bound(self.port)
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: _Connection(self), sock=sock, backlog=512
            )

    def _reopen(self) -> None:
        self._opener = asyncio.ensure_future(self.open_door())

    def _cancel_reopening(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None

    async def _drop(self, *, only_busy: bool) -> None:
        dropped = [one for one in self.connections if one.busy or not only_busy]
        for connection in dropped:
            if connection.task is not None:
                connection.task.cancel()
            connection.transport.abort()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*(one.task for one in dropped if one.task), return_exceptions=True)

    async def _shut(self) -> None:
        await self.close_door()
        await self._drop(only_busy=False)
        await asyncio.sleep(0)  # transports close their sockets in the next round of the loop

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("This server is not running. Call start() first.")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)


def _bound(port: int) -> socket.socket:
    """A socket on HOST:port that does not listen yet. Several may be bound to one port as long as none listens."""
    # asyncio switches Nagle's delay off only where the protocol is named.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


@contextlib.contextmanager
def nobody_listens() -> Any:
    """The origin ("http://127.0.0.1:PORT") of a port that refuses every connection and is taken by nobody else."""
    with _bound(0) as sock:
        yield f"http://{HOST}:{sock.getsockname()[1]}"
