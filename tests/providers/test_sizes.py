"""Mapping sizes: whatever is asked, what comes out is within the rules, and as near as they allow."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.providers.sizes import nearest_ratio, reduced_ratio, snap_to_grid

sides = st.integers(1, 16_384)
SHAPES = ((21, 9), (16, 9), (3, 2), (5, 4), (1, 1), (4, 5), (2, 3), (9, 16), (9, 21))
GRIDS = {
    "gpt-image-2": {
        "multiple": 16,
        "min_side": 16,
        "max_side": 3840,
        "min_area": 655_360,
        "max_area": 8_294_400,
        "max_ratio": 3,
    },
    "flux-pro-1.1": {"multiple": 32, "min_side": 256, "max_side": 1440},
    "flux-2": {"multiple": 16, "min_side": 64, "max_side": 4096, "max_area": 4_194_304},
    "replicate": {"multiple": 8, "min_side": 512, "max_side": 2048, "max_area": 1_600_000},
}


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [
        (1024, 1024, (1, 1)),
        (1920, 1080, (16, 9)),
        (1080, 1920, (9, 16)),
        (1500, 1000, (3, 2)),
        (1280, 1024, (5, 4)),
        (16_384, 1, (21, 9)),
        (1, 16_384, (9, 21)),
    ],
)
def test_nearest_ratio_of_well_known_sizes(width, height, shape):
    assert nearest_ratio(width, height, SHAPES) == shape


@given(sides, sides)
def test_no_other_ratio_is_nearer(width, height):
    def distance(shape):
        return abs(math.log(width / height) - math.log(shape[0] / shape[1]))

    chosen = nearest_ratio(width, height, SHAPES)
    assert distance(chosen) <= min(map(distance, SHAPES)) + 1e-9


@given(sides, sides)
def test_turning_the_size_turns_the_ratio(width, height):
    if width != height:
        across, down = nearest_ratio(width, height, SHAPES)
        assert nearest_ratio(height, width, SHAPES) == (down, across)


def test_of_two_equally_near_the_larger_is_taken():
    assert nearest_ratio(1000, 1000, [(512, 512), (1024, 1024), (768, 768)]) == (1024, 1024)


def within(size, *, multiple, min_side, max_side, min_area=1, max_area=None, max_ratio=None):
    width, height = size
    return (
        width % multiple == height % multiple == 0
        and min_side <= min(width, height)
        and max(width, height) <= max_side
        and min_area <= width * height <= (max_area or math.inf)
        and max(width, height) <= (max_ratio or math.inf) * min(width, height)
    )


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@given(width=sides, height=sides)
def test_a_snapped_size_is_always_within_the_rules(grid, width, height):
    assert within(snap_to_grid(width, height, **grid), **grid)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@given(width=sides, height=sides)
def test_a_size_that_is_within_the_rules_stays(grid, width, height):
    size = (width - width % grid["multiple"], height - height % grid["multiple"])
    if min(size) and within(size, **grid):
        assert snap_to_grid(*size, **grid) == size


@given(width=sides, height=sides)
def test_the_shape_is_kept_as_far_as_the_ratio_allows(width, height):
    grid = GRIDS["gpt-image-2"]
    made = snap_to_grid(width, height, **grid)
    wanted = min(max(width / height, 1 / 3), 3)
    # Sides are at least about 470 pixels here: half a grid line on each is under 5 %.
    assert abs(math.log(made[0] / made[1]) - math.log(wanted)) < 0.05


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ((1024, 1024), (1024, 1024)),
        ((512, 512), (816, 816)),  # scaled up to the least area
        ((3840, 2160), (3840, 2160)),
        ((8000, 8000), (2880, 2880)),  # scaled down to the largest
        ((1920, 1080), (1920, 1072)),
    ],
)
def test_snapping_well_known_sizes(asked, made):
    assert snap_to_grid(*asked, **GRIDS["gpt-image-2"]) == made


@given(sides, sides)
def test_a_reduced_ratio_is_in_lowest_terms_between_its_bounds(width, height):
    text = reduced_ratio(width, height, lowest=(9, 21), highest=(21, 9))
    across, down = map(int, text.split(":"))
    assert math.gcd(across, down) == 1
    assert Fraction(9, 21) <= Fraction(across, down) <= Fraction(21, 9)
    assert max(across, down) <= 64


@pytest.mark.parametrize(
    ("size", "text"),
    [((1920, 1080), "16:9"), ((1024, 1024), "1:1"), ((16_384, 1), "7:3"), ((1, 16_384), "3:7"), ((800, 600), "4:3")],
)
def test_reduced_ratio_of_well_known_sizes(size, text):
    assert reduced_ratio(*size, lowest=(9, 21), highest=(21, 9)) == text
