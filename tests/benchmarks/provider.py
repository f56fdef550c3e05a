"""A provider that is never the bottleneck: OpenAI's picture API by a bare protocol, in a process of its own.

Started by `started()`; it prints its port, and answers GET /stats with what it has been asked.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.samples import png

FAILURES = ("500", "hang", "reset", "truncated", "429", "401", "html")
SLICE_BYTES = 256 * 1024

_ERRORS = {
    "500": (500, "server_error", "The server had an error", ""),
    "429": (429, "rate_limit_exceeded", "Rate limit reached", "retry-after: 30\r\n"),
    "401": (401, "invalid_api_key", "Incorrect API key provided", ""),
}


def answer_of(picture: bytes) -> bytes:
    """The whole HTTP answer that carries a picture."""
    body: dict[str, Any] = {
        "created": 1_795_305_600,
        "background": "opaque",
        "data": [{"b64_json": base64.b64encode(picture).decode()}],
        "output_format": "png",
        "quality": "low",
        "size": "1024x1024",
        "usage": {
            "input_tokens": 12,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 12},
            "output_tokens": 196,
            "total_tokens": 208,
        },
    }
    return _http(200, "application/json", json.dumps(body).encode())


def _http(status: int, content_type: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} x\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


class Behaviour:
    """What the provider answers and when."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.mode: str = options.mode
        self.latency_s: float = options.latency
        self.jitter: float = options.jitter
        self.wave: int = options.wave
        self.answer = answer_of(png(options.size, options.width, options.height))
        self.asked = 0
        self.latencies: list[float] = []
        self._chance = random.Random(2)
        self._wave: list[Connection] = []

    def ask(self, connection: Connection) -> None:
        """Answer a purchase when its time has come."""
        self.asked += 1
        if self.wave:
            self._wave.append(connection)
            if len(self._wave) == self.wave:
                wave, self._wave = self._wave, []
                asyncio.get_running_loop().call_later(self.latency_s, _answer_all, wave)
            return
        latency_s = self.latency_s * (1 + self._chance.uniform(-self.jitter, self.jitter))
        self.latencies.append(latency_s)
        if latency_s > 0:
            asyncio.get_running_loop().call_later(latency_s, connection.answer)
        else:
            connection.answer()

    def stats(self) -> bytes:
        return _http(200, "application/json", json.dumps({"asked": self.asked, "latencies": self.latencies}).encode())


def _answer_all(connections: list[Connection]) -> None:
    for connection in connections:
        connection.answer()


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.received = bytearray()
        self.waiting = memoryview(b"")
        self.is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        transport.set_write_buffer_limits(high=SLICE_BYTES)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.received[:end]).lower()
        _, _, rest = head.partition(b"content-length:")
        length = int(rest.partition(b"\r\n")[0] or 0)
        if len(self.received) < end + 4 + length:
            return
        del self.received[: end + 4 + length]
        if head.startswith(b"get "):
            self.transport.write(self.behaviour.stats())
        else:
            self.behaviour.ask(self)

    def answer(self) -> None:
        if self.transport.is_closing():
            return
        mode = self.behaviour.mode
        if mode == "ok":
            self.waiting = memoryview(self.behaviour.answer)
            self._send()
        elif mode == "reset":
            self.transport.abort()
        elif mode == "truncated":
            self.transport.write(self.behaviour.answer[: len(self.behaviour.answer) // 2])
            self.transport.close()
        elif mode == "html":
            self.transport.write(_http(200, "text/html", b"<!DOCTYPE html><html><title>Welcome</title></html>"))
        elif mode in _ERRORS:
            status, code, message, more = _ERRORS[mode]
            error = json.dumps({"error": {"message": message, "code": code, "type": code, "param": None}})
            self.transport.write(_http(status, "application/json", error.encode(), more))

    def _send(self) -> None:
        # Slice by slice: what the kernel does not take at once is copied into the transport's buffer.
        while self.waiting and not self.is_paused:
            part, self.waiting = self.waiting[:SLICE_BYTES], self.waiting[SLICE_BYTES:]
            self.transport.write(part)

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        self._send()


@dataclass(frozen=True, slots=True)
class Provider:
    """A running provider process."""

    base_url: str

    def stats(self) -> dict[str, Any]:
        """`asked`: purchases so far; `latencies` of each, seconds, in the order in which they were asked."""
        with urllib.request.urlopen(f"{self.base_url}/stats", timeout=10) as response:
            found: dict[str, Any] = json.load(response)
            return found


@contextmanager
def started(
    *,
    size: int = 64 * 1024,
    latency: float = 0.0,
    jitter: float = 0.0,
    mode: str = "ok",
    wave: int = 0,
    side: int = 1024,
) -> Iterator[Provider]:
    """A provider on a free port. `size` in bytes and `side` in pixels of its pictures, `latency` in seconds and
    `jitter` as a fraction of it; `wave`: that many requests are waited for and answered at one instant."""
    options = {"size": size, "latency": latency, "jitter": jitter, "mode": mode, "wave": wave}
    arguments = [f"--{name}={value}" for name, value in {**options, "width": side, "height": side}.items()]
    process = subprocess.Popen([sys.executable, "-m", __name__, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Provider(f"http://127.0.0.1:{int(process.stdout.readline())}/v1")
    finally:
        process.kill()
        process.communicate()


async def serve(behaviour: Behaviour) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(behaviour), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64 * 1024)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--wave", type=int, default=0)
    parser.add_argument("--mode", choices=("ok", *FAILURES), default="ok")
    asyncio.run(serve(Behaviour(parser.parse_args())))


if __name__ == "__main__":
    main()
