"""Start-up imports no heavy library, and no circle of ours hides behind that."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal

import pytest

from mediagen.errors import ConfigurationError
from mediagen.types import GeneratedImage

HEAVY = {"PIL", "httpx", "httpx2", "httpcore", "httpcore2", "cryptography", "defusedxml"}
ROOMS = ("errors", "types", "attempts", "http", "images", "providers", "providers.base", "providers.flux")
ADAPTERS = ("openai_images", "replicate_sdxl", "sdxl", "noop_media", "canva_api", "figma_api")
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
