"""Start-up imports no heavy library, and no circle of ours hides behind that."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest

import mediagen.engine
import mediagen.engine.money
from mediagen.errors import ConfigurationError
from mediagen.types import GeneratedImage

HEAVY = {"PIL", "httpx", "httpx2", "httpcore", "httpcore2", "cryptography", "defusedxml"}
ROOMS = ("errors", "types", "attempts", "http", "images", "providers", "providers.base", "providers.flux")
ADAPTERS = ("openai_images", "replicate_sdxl", "sdxl", "noop_media", "canva_api", "figma_api", "gemini")
ADAPTERS += ("openrouter", "fal", "comfyui")
ROOMS += tuple(f"providers.{name}" for name in ADAPTERS)


def test_the_rooms_below_the_engine_import_no_heavy_library():
    script = f"import sys, {', '.join(f'mediagen.{room}' for room in ROOMS)}; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True, text=True)
    assert not HEAVY & {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(("given", "cost"), [("0.04", "0.04"), (0.04, "0.04"), (1, "1"), (0.1 + 0.2, str(0.1 + 0.2))])
def test_a_cost_is_taken_as_it_is_written(given, cost):
    assert GeneratedImage(content=b"x", cost=given).cost == Decimal(cost)


def test_no_cost_is_none():
    assert GeneratedImage(content=b"x", cost=None).cost is None


@pytest.mark.parametrize("cost", ["four cents", float("nan"), float("inf"), -0.01, True, b"1", Decimal("NaN"), 10**6])
def test_what_is_no_cost_is_refused_at_construction(cost):
    with pytest.raises(ConfigurationError, match="cost must be USD") as caught:
        GeneratedImage(content=b"x", cost=cost)
    assert (caught.value.image.content, caught.value.image.cost) == (b"x", None)


ENGINE = Path(mediagen.engine.__file__).parent
FACES = sorted(path for path in ENGINE.glob("*/__init__.py") if "names_from" in path.read_text())


def imported(file: Path) -> list[ast.ImportFrom]:
    found = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom))
    return [node for node in found if (node.module or "").startswith("mediagen.engine.")]


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.parent.name)
def test_a_room_hands_on_what_type_checkers_read_there(face):
    room = f"mediagen.engine.{face.parent.name}"
    read = {alias.name: node.module for node in imported(face) for alias in node.names}
    [given] = [node for node in ast.walk(ast.parse(face.read_text())) if isinstance(node, ast.Dict)]
    handed = {name: f"{room}.{module}" for module, names in ast.literal_eval(given).items() for name in names.split()}
    assert handed == read
    for name, module in handed.items():
        assert getattr(import_module(room), name) is getattr(import_module(module), name)


def test_nobody_reaches_through_a_room_into_its_files():
    through = [
        f"{file.relative_to(ENGINE.parent)}: {node.module}"
        for file in ENGINE.parent.rglob("*.py")
        for node in imported(file)
        if node.module.count(".") > 2 and not file.is_relative_to(ENGINE / node.module.split(".")[2])
    ]
    assert through == []


def test_a_room_has_no_name_that_is_not_there():
    with pytest.raises(AttributeError, match=r"mediagen\.engine\.money.*'gold'"):
        mediagen.engine.money.gold  # noqa: B018
