"""Prompt, seed and model out of PNGs of other programs."""

from __future__ import annotations

import json
import struct
import zlib

import pytest

from mediagen.images.recipes import Recipe, recipe_in
from tests import pictures

A1111 = (
    "a tower, oil on canvas\nsoft light\nNegative prompt: people, cars\n"
    'Steps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: 1234, Size: 512x512, Model: dream, Lora: "a: b, c: d"'
)
COMFYUI = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 77, "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0]},
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl.safetensors"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a boat", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "people", "clip": ["4", 1]}},
    "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "x", "model": ["4", 0]}},
}
INVOKEAI = {"positive_prompt": "a tree", "negative_prompt": "", "seed": 5, "model": {"name": "juggernaut"}}


def with_text(name, text, kind=b"tEXt"):
    png = pictures.png()
    body = text.encode()
    if kind == b"zTXt":
        body = b"\0" + zlib.compress(body)
    if kind == b"iTXt":
        body = b"\1\0\0\0" + zlib.compress(body)
    data = name.encode() + b"\0" + body
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return png[:33] + chunk + png[33:]


HOSTILE = {
    "a line without a pair": ("parameters", "x\nSteps: 1, " + "a" * 500_000),
    "a line of quotes": ("parameters", "x\nSteps: 1" + ', a: "' * 100_001),
    "a line of blanks": ("parameters", "x\nSteps: 1," + " " * 500_000),
    "a graph with more ways than atoms": (
        "prompt",
        json.dumps(
            {str(n): {"inputs": {f"i{k}": [str(n + 1), 0] for k in range(50)}} for n in range(14)}
            | {f"s{n}": {"inputs": {"positive": ["0", 0], "negative": ["0", 0]}} for n in range(5000)}
        ),
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_takes_no_longer_than_its_size(name):
    """Or else it takes days."""
    recipe_in(with_text(*HOSTILE[name]))


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_a1111_in_every_kind_of_chunk(kind):
    found = recipe_in(with_text("parameters", A1111, kind))

    assert found == Recipe("a tower, oil on canvas\nsoft light", "people, cars", 1234, "dream", "A1111")


def test_comfyui_and_invokeai():
    assert recipe_in(with_text("prompt", json.dumps(COMFYUI))) == Recipe(
        "a boat", "people", 77, "sdxl.safetensors", "ComfyUI"
    )
    assert recipe_in(with_text("invokeai_metadata", json.dumps(INVOKEAI))) == Recipe(
        "a tree", "", 5, "juggernaut", "InvokeAI"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prompt", "no graph"),
        ("prompt", "[1]"),
        ("prompt", '{"1": {"inputs": {"positive": ["1", 0], "negative": ["1", 0]}}}'),
        ("parameters", "   "),
        ("invokeai_metadata", "{}"),
        ("Comment", A1111),
    ],
)
def test_what_is_not_understood_is_none(name, text):
    assert recipe_in(with_text(name, text)) is None
    assert recipe_in(pictures.jpeg()) is None
