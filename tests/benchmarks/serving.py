"""What the API costs: one generation through it beside the engine alone, and 500 open event streams in one process.

The server is uvicorn in a process of its own, on an SQLite file; only that process is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.children import ROOT, child, run

TOGETHER = 50
ASK = {"prompt": "a lighthouse", "width": 64, "height": 64}
HEADERS = {"Content-Type": "application/json"}


def served(folder: str, token: str, pictures: int, at_once: int) -> dict[str, Any]:
    """Pictures through the API of a server on the data in the folder, each waited for, over so many connections."""
    body = {"prompt": "a lighthouse", "options": {"quality": "low"}}

    async def all_of_them(port: int) -> None:
        share, rest = divmod(pictures, at_once)
        lanes = [share + (lane < rest) for lane in range(at_once)]
        await asyncio.gather(*(ask(port, token, count, body) for count in lanes if count))

    with server(folder, is_live=True) as (pid, port):
        asyncio.run(ask(port, token, 2, body))  # everything is imported
        cpu, began = cpu_s(pid), time.perf_counter()
        asyncio.run(all_of_them(port))
        wall_s = time.perf_counter() - began
        return {"cpu_s": cpu_s(pid) - cpu, "wall_s": wall_s, "peak_rss_bytes": peak_kb(pid) * 1024}


def endpoint(quick: bool) -> dict[str, float]:
    """CPU ms a picture, dry run: `POST generations/` with `Prefer: wait` over the engine's `generate_asset`."""
    rounds, count = (1, 40) if quick else (3, 200)
    engine_ms, api_ms = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            token = prepared(folder, rows=0)["token"]
            engine_ms.append(run("serving", {"action": "engine", "count": count}, data_dir=folder)["cpu_ms"])
            with server(folder) as (pid, port):
                asyncio.run(ask(port, token, 10))  # everything is imported, connections are open
                before = cpu_s(pid)
                asyncio.run(ask(port, token, count))
                api_ms.append((cpu_s(pid) - before) * 1000 / count)
    engine, api = statistics.median(engine_ms), statistics.median(api_ms)
    print("\n## One generation through the API, dry run, 64 px, one after the other\n")
    print("| program | CPU ms a picture |\n|---|---|")
    print(
        f"| engine | {engine:.1f} |\n| POST generations/, Prefer: wait | {api:.1f} |\n"
        f"| difference | {api - engine:.1f} |"
    )
    return {"S5 API over the engine": api / engine}


def streams(quick: bool) -> None:
    """Memory a stream, and how soon an event arrives after the request that causes it."""
    count = 50 if quick else 500
    with tempfile.TemporaryDirectory() as folder:
        made = prepared(folder, rows=count)
        with server(folder) as (pid, port):
            result = asyncio.run(watch(pid, port, made))
    late = sorted(result["late_ms"])
    print(f"\n## {count} event streams in one process\n")
    print("| | |\n|---|---|")
    print(f"| memory a stream, of the last four fifths | {result['kb']:.1f} kB |")
    print(f"| threads of the process | {result['threads']} |")
    for name, share in (("median", 0.5), ("p95", 0.95), ("worst", 1.0)):
        at = late[min(int(len(late) * share), len(late) - 1)]
        print(f"| from a request to the event of what it does, {name} | {at:.0f} ms |")


async def ask(port: int, token: str, count: int, asked: dict[str, Any] = ASK) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(asked).encode()
    for _ in range(count):
        writer.write(
            head(
                "POST",
                "/api/v1/generations/",
                token,
                f"Content-Type: application/json\r\nPrefer: wait=60\r\nContent-Length: {len(body)}\r\n",
            )
            + body
        )
        status, content = await answer(reader)
        assert status == 201, (status, content)
    writer.close()


async def watch(pid: int, port: int, made: dict[str, Any]) -> dict[str, Any]:
    token = made["token"]
    # One by itself first: what the first stream imports and begins belongs to no stream.
    first = await opened(port, token, made["assets"][0])
    rest: list[Any] = []
    ids = made["assets"][1:]

    async def up_to(number: int) -> int:
        """So many are open, many of them opened at the same moment; the process's memory then, in kB."""
        while more := ids[len(rest) : min(number, len(rest) + TOGETHER)]:
            rest.extend(await asyncio.gather(*(opened(port, token, pk) for pk in more)))
        await asyncio.sleep(2)
        return rss_kb(pid)

    # The first fifth brings what many at once need in any case.
    begun = len(ids) // 5
    kb = (-await up_to(begun) + await up_to(len(ids))) / (len(ids) - begun)
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    late = []
    for (stream, _), pk in list(zip(rest, made["assets"][1:], strict=True))[:: max(1, len(rest) // 50)]:
        began = time.perf_counter()
        writer.write(head("POST", f"/api/v1/generations/{pk}/cancel/", token, "Content-Length: 0\r\n"))
        await stream.readuntil(b'"state":"cancelled"')
        late.append((time.perf_counter() - began) * 1000)
        status, content = await answer(reader)
        assert status == 200, (status, content)
    for _, one in [first, *rest]:
        one.close()
    return {"kb": kb, "threads": threads, "late_ms": late}


async def opened(port: int, token: str, pk: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head("GET", f"/api/v1/generations/{pk}/events", token, "Accept: text/event-stream\r\n"))
    await reader.readuntil(b"event: asset\n")
    return reader, writer


def head(method: str, path: str, token: str, more: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{more}\r\n".encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    lengths = [line.split(":")[1] for line in lines if line.lower().startswith("content-length:")]
    return int(lines[0].split()[1]), await reader.readexactly(int(lengths[0])) if lengths else b""


def prepared(folder: str, rows: int) -> dict[str, Any]:
    return run("serving", {"action": "prepare", "rows": rows}, data_dir=folder)


@contextmanager
def server(folder: str, *, is_live: bool = False) -> Any:
    """(process id, port) of a server on the data in the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "DATABASE_URL")
        },
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.serving_settings",
        "SECRET_KEY": "only-for-benchmarks-" + "0" * 40,
        "ALLOWED_HOSTS": "localhost",
        "SECURE_SSL_REDIRECT": "false",
        "LOG_LEVEL": "ERROR",
        "MEDIAGEN_DATA_DIR": folder,
        "BENCHMARK_LIVE": "1" if is_live else "",
    }
    command = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--port", str(port), "--lifespan", "off"]
    process = subprocess.Popen([*command, "--log-level", "error", "--backlog", "1000"], cwd=ROOT, env=environment)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kb(pid: int) -> int:
    return _memory_kb(pid, "VmRSS:")


def peak_kb(pid: int) -> int:
    return _memory_kb(pid, "VmHWM:")


def _memory_kb(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))


# ---------------------------------------------------------------------- in the measured processes


def work(job: dict[str, Any]) -> dict[str, Any]:
    import django

    django.setup()
    return {"prepare": prepare, "engine": engine}[job["action"]](job)


def prepare(job: dict[str, Any]) -> dict[str, Any]:
    """A database with a token, and `rows` pictures of a paused batch."""
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from mediagen.engine.batches import lifecycle
    from mediagen.engine.batches.manifests import open_manifest
    from mediagen.models import ApiToken

    call_command("migrate", verbosity=0)
    user = get_user_model().objects.create_superuser("benchmark")
    _, token = ApiToken.objects.issue(user, "benchmark", scopes=["read", "generate", "change"])
    if not job["rows"]:
        return {"token": token}
    path = Path(settings.DATA_DIR) / "prompts.txt"
    path.write_text("".join(f"picture {number} of a lighthouse\n" for number in range(job["rows"])))
    defaults = {"width": 64, "height": 64, "dry_run": True}
    with open_manifest(str(path)) as manifest:
        batch, _ = lifecycle.open_batch(manifest, defaults, created_by=user)
        lifecycle.load(batch, manifest.rows(defaults))
    lifecycle.pause(batch)
    return {
        "token": token,
        "batch": str(batch.pk),
        "assets": [str(pk) for pk in batch.assets.values_list("pk", flat=True)],
    }


def engine(job: dict[str, Any]) -> dict[str, Any]:
    from asgiref.sync import async_to_sync

    from mediagen.engine import get_media_engine

    async def make(count: int) -> None:
        for _ in range(count):
            await get_media_engine().generate_asset(**ASK, dry_run=True)

    async_to_sync(make)(10)
    before = cpu_s(os.getpid())
    async_to_sync(make)(job["count"])
    return {"cpu_ms": (cpu_s(os.getpid()) - before) * 1000 / job["count"]}


if __name__ == "__main__":
    child(work)
