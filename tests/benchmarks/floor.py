"""The floor: a bare client that posts, decodes and writes the file. No database, no failover, no checks."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.benchmarks.children import Used, child


def work(job: dict[str, Any]) -> dict[str, Any]:
    """`library` "httpx" or "httpx2", `fast` with orjson and pybase64, `pictures`, `concurrency`, `base_url`."""
    library = import_module(job["library"])
    loads: Callable[[bytes], Any] = import_module("orjson").loads if job["fast"] else json.loads
    decode: Callable[[str], bytes] = import_module("pybase64").b64decode if job["fast"] else base64.b64decode
    if job.get("action") == "count":
        return _count(library, loads, decode, job)
    with tempfile.TemporaryDirectory() as folder:
        used = Used()
        asyncio.run(_all(library, loads, decode, Path(folder), job))
        return used.result()


def _count(library: Any, loads: Callable[[bytes], Any], decode: Callable[[str], bytes], job: dict[str, Any]) -> Any:
    from tests.counting import counted

    with tempfile.TemporaryDirectory() as folder:
        with counted(calls=True) as counts:
            asyncio.run(_all(library, loads, decode, Path(folder), {**job, "pictures": 1}))
            counts.begin()
            asyncio.run(_all(library, loads, decode, Path(folder), job))
        return counts.per(job["pictures"])


async def _all(
    library: Any, loads: Callable[[bytes], Any], decode: Callable[[str], bytes], folder: Path, job: dict[str, Any]
) -> None:
    numbers = iter(range(job["pictures"]))

    async def worker(client: Any) -> None:
        for number in numbers:
            payload = {"model": "gpt-image-2", "prompt": f"picture {number}", "n": 1, "size": "1024x1024"}
            response = await client.post(f"{job['base_url']}/images/generations", json=payload)
            response.raise_for_status()
            picture = decode(loads(response.content)["data"][0]["b64_json"])
            (folder / f"{number}.png").write_bytes(picture)

    async with library.AsyncClient(timeout=60.0) as client:
        await asyncio.gather(*(worker(client) for _ in range(job["concurrency"])))


if __name__ == "__main__":
    child(work)
