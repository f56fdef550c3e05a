"""Our own script and style, as files: no build step makes them smaller."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mediagen

STATIC = Path(mediagen.__file__).parent / "static" / "mediagen"
ALL = sorted([*STATIC.rglob("*.js"), *STATIC.rglob("*.css")])
STUDIO = [STATIC / "mediagen.css", *sorted((STATIC / "studio").iterdir())]
PHYSICAL = re.compile(
    r"(?<![\w-])(?:(?:margin|padding|border)-(?:left|right)|left|right)\s*:|(?:text-align|float)\s*:\s*(?:left|right)"
)


def weight(files):
    return sum(file.stat().st_size for file in files)


def test_a_page_of_the_studio_loads_less_than_100_kb_and_all_of_us_does_not_grow_on():
    assert weight(STUDIO) < 100_000
    # 120,000 are wanted. Whoever takes something away lowers this.
    assert weight(ALL) < 163_000


@pytest.mark.parametrize("sheet", [file for file in ALL if file.suffix == ".css"], ids=lambda file: file.name)
def test_no_style_says_left_or_right(sheet):
    """Where people read from the right, it would be the wrong side."""
    assert PHYSICAL.findall(sheet.read_text()) == []
