"""What programs for making pictures write into their PNGs: prompt, seed, model.

A1111 and its kin write the text chunk `parameters`, ComfyUI its graph as JSON in `prompt`, InvokeAI JSON in
`invokeai_metadata`. All of it comes from strangers: texts are bounded, reading takes no longer than the file is long,
and what is not understood is left.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from mediagen.errors import NotAPicture
from mediagen.images import png
from mediagen.types import MAX_SEED

MAX_TEXT = 32_000
"""characters of a prompt"""
MAX_CHUNK_BYTES = 4 * 1024 * 1024
"""of a chunk, also unpacked: a graph of ComfyUI may be large"""
_MAX_SAMPLERS = 20
"""nodes of a graph that are looked at"""
_PAIR = re.compile(r'(?:^|,) {0,9}(\w[\w ]{0,60}): *("(?:\\.|[^"\\])*"|[^,]*)')
"""begins where a pair may begin, so that no text is looked at from each of its characters on"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a picture was made, as far as its file says."""

    prompt: str
    negative_prompt: str = ""
    seed: int | None = None
    model: str = ""
    program: str = ""


def recipe_in(content: bytes) -> Recipe | None:
    """Of a PNG; None when it has none that we know."""
    texts = _texts(content)
    for program, name, read in PROGRAMS:
        if name in texts:
            with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                found = read(texts[name])
                if found is not None and found.prompt.strip():
                    return replace(found, program=program)
    return None


def _texts(content: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return found
    view = memoryview(content)
    with suppress(NotAPicture, zlib.error, ValueError):
        for kind, start, end in png.chunks(view):
            if kind not in (b"tEXt", b"iTXt", b"zTXt") or end - start > MAX_CHUNK_BYTES:
                continue
            keyword, _nul, rest = bytes(view[start:end]).partition(b"\0")
            name = keyword.decode("latin-1")
            if name not in found and any(name == known for _program, known, _read in PROGRAMS):
                found[name] = unpacked(kind, rest)
    return found


def unpacked(kind: bytes, rest: bytes) -> str:
    """The text of a PNG's chunk, of what stands behind its keyword."""
    if kind == b"tEXt":
        try:
            return rest.decode()  # as they write it, whatever the standard says
        except UnicodeDecodeError:
            return rest.decode("latin-1")
    if kind == b"zTXt":
        return _inflated(rest[1:]).decode("utf-8", "replace")
    is_packed, rest = rest[:1] == b"\x01", rest[2:]
    for _part in ("language", "translated keyword"):
        rest = rest.partition(b"\0")[2]
    return (_inflated(rest) if is_packed else rest).decode("utf-8", "replace")


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, MAX_CHUNK_BYTES)


def _a1111(text: str) -> Recipe:
    lines = text.replace("\r\n", "\n").strip().split("\n")
    pairs = {}
    if lines and "Steps:" in lines[-1]:
        pairs = {name.strip(): value.strip().strip('"') for name, value in _PAIR.findall(lines.pop())}
    prompt, marker, negative = "\n".join(lines).partition("Negative prompt:")
    return _recipe(prompt, negative if marker else "", pairs.get("Seed"), pairs.get("Model", ""))


def _invokeai(text: str) -> Recipe:
    said = json.loads(text)
    model = said.get("model") or {}
    name = model.get("name") or model.get("model_name", "") if isinstance(model, Mapping) else model
    return _recipe(said["positive_prompt"], said.get("negative_prompt") or "", said.get("seed"), name)


def _comfyui(text: str) -> Recipe | None:
    """The first sampler of the graph, and what its inputs lead to."""
    graph = {key: node for key, node in json.loads(text).items() if isinstance(node, Mapping)}
    found = (node.get("inputs") for node in graph.values())
    samplers = (one for one in found if isinstance(one, Mapping) and {"positive", "negative"} <= one.keys())
    for inputs in islice(samplers, _MAX_SAMPLERS):
        seed = inputs.get("seed", inputs.get("noise_seed"))
        model = _upstream(graph, inputs.get("model"), ("ckpt_name", "unet_name"))
        words = ("text", "text_g", "prompt")
        prompt = _upstream(graph, inputs["positive"], words)
        if prompt:
            return _recipe(prompt, _upstream(graph, inputs["negative"], words), seed, model)
    return None


def _upstream(graph: Mapping[str, Any], link: Any, names: tuple[str, ...]) -> str:
    """The first text of these names, going up from a link ([node, output]) through the first inputs first,
    to each node once."""
    links: list[Any] = [link]
    seen: set[str] = set()
    while links:
        link = links.pop()
        if not (isinstance(link, list) and link) or (pk := str(link[0])) in seen:
            continue
        seen.add(pk)
        inputs = graph.get(pk, {}).get("inputs")
        if not isinstance(inputs, Mapping):
            continue
        for name in names:
            if isinstance(inputs.get(name), str):
                return str(inputs[name])
        links += [*inputs.values()][::-1]
    return ""


def _recipe(prompt: Any, negative: Any, seed: Any, model: Any) -> Recipe:
    number = int(seed) if isinstance(seed, int | str) and str(seed).strip().isdigit() else None
    return Recipe(
        prompt=_clean(prompt),
        negative_prompt=_clean(negative),
        seed=number if number is not None and number <= MAX_SEED else None,
        model=_clean(model)[:200],
    )


def _clean(text: Any) -> str:
    return str(text or "").replace("\x00", "").encode("utf-8", "replace").decode().strip()[:MAX_TEXT]


PROGRAMS = (
    ("A1111", "parameters", _a1111),
    ("InvokeAI", "invokeai_metadata", _invokeai),
    ("ComfyUI", "prompt", _comfyui),
)
"""(what it is called, its chunk, how that is read); the first that is understood counts"""
