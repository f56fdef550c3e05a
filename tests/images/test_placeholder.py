"""A placeholder is a real picture of the size that was asked for, and says what it is."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from mediagen.errors import InvalidRequest
from mediagen.images import card, colours, decode_check, inspect, placeholder

FOX = "A red fox in deep snow at dawn, cinematic light"


def made(**changes):
    return placeholder(**({"provider": "sdxl", "prompt": FOX, "width": 96, "height": 64} | changes))


def opened(content):
    image = Image.open(BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (1, 2), (2, 1), (3, 700), (64, 64), (333, 17), (512, 512), (1024, 1024), (1536, 640), (640, 1536),
     (16384, 1), (1, 16384), (16384, 64), (64, 16384), (4096, 4096), (5003, 4999)],
)  # fmt: skip
def test_a_real_png_of_exactly_the_size(width, height):
    content = made(width=width, height=height)
    picture = inspect(content)
    assert (picture.format, picture.width, picture.height) == ("png", width, height)
    assert decode_check(content, picture)
    assert opened(content).mode == "P"


@pytest.mark.parametrize("changes", [{"width": 0}, {"height": -1}, {"width": 16_385}, {"height": 99_999}])
def test_an_impossible_size_is_refused(changes):
    with pytest.raises(InvalidRequest, match="between 1 and 16384") as refusal:
        made(**changes)
    assert refusal.value.field in changes


def test_the_same_arguments_give_the_same_bytes():
    assert made(seed=5, variant="b") == made(seed=5, variant="b")


@pytest.mark.parametrize(
    "changes",
    [
        {"provider": "flux"},
        {"prompt": FOX + "."},
        {"prompt": FOX + " " * 2000 + "the end, far behind what is drawn"},
        {"operation": "edit_image"},
        {"seed": 0},
        {"seed": 1},
        {"variant": "2"},
        {"width": 97},
        {"height": 65},
        {"provider": "sdxlA", "prompt": FOX[1:]},
    ],
)
@pytest.mark.parametrize("size", [{}, {"width": 1, "height": 1}], ids=["96x64", "1x1"])
def test_other_arguments_give_other_bytes(changes, size):
    assert made(**(size | changes)) != made(**size)


def test_another_seed_looks_different_and_not_only_in_its_metadata():
    first, second = (opened(made(seed=seed, width=300, height=300)).convert("RGB") for seed in (1, 2))
    assert ImageChops.difference(first, second).getbbox() is not None


SCRIPT = """
import hashlib, sys
from mediagen.images import placeholder
content = placeholder(provider="flux", prompt="Ein Füchslein 雪 🦊", width=320, height=200, seed=7, variant="x")
sys.stdout.write(hashlib.sha256(content).hexdigest())
"""


def test_other_processes_and_hash_seeds_give_the_same_bytes():
    digests = set()
    for hash_seed in ("0", "1", "4294967295"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    content = placeholder(provider="flux", prompt="Ein Füchslein 雪 🦊", width=320, height=200, seed=7, variant="x")
    assert digests == {inspect(content).sha256}


def test_threads_do_not_mix_their_letters():
    sizes = [(200 + 7 * number, 200) for number in range(24)]
    alone = [made(width=width, height=height) for width, height in sizes]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda size: made(width=size[0], height=size[1]), sizes))
    assert together == alone


def test_the_metadata_says_what_it_is():
    prompt = "Füchse 狐 🦊 " + "x" * 5000
    text = opened(made(prompt=prompt, width=1, height=1)).text
    assert text["mediagen"] == "placeholder"
    assert text["Description"] == prompt[:1000]
    assert len(text["mediagen:digest"]) == 64


def facts_of(monkeypatch, **changes):
    """The lines that are written on the card."""
    lines = []
    write = card._write
    monkeypatch.setattr(card, "_write", lambda pen, line, *place: (lines.append(line.text), write(pen, line, *place)))
    made(**changes)
    return lines


def test_its_face_says_what_it_is(monkeypatch):
    lines = facts_of(monkeypatch, width=1024, height=768, seed=42, operation="edit_image", variant="v2")
    assert lines[0] == "PLACEHOLDER"
    facts = "  ·  ".join(lines[1:]).split("  ·  ")
    assert facts[:6] == ["dry run", "sdxl", "1024 x 768", "edit_image", "seed 42", "v2"]
    assert " ".join(facts[6:]) == FOX


def test_a_long_prompt_is_clipped_with_an_ellipsis(monkeypatch):
    lines = facts_of(monkeypatch, width=600, height=600, prompt="snow and fire " * 1000)
    assert lines[-1].endswith("…")
    assert len(lines) <= 2 + card._MAX_PROMPT_LINES


def test_a_prompt_that_fits_has_no_ellipsis(monkeypatch):
    lines = facts_of(monkeypatch, width=600, height=600, prompt="snow and fire")
    assert lines[-1] == "snow and fire"


def test_a_long_provider_name_is_clipped(monkeypatch):
    lines = facts_of(monkeypatch, width=200, height=200, provider="a_provider_with_a_very_long_name" * 10)
    assert lines[2].endswith("…")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20, 20), (40, 400), (400, 8)])
def test_where_no_text_fits_there_is_none(monkeypatch, width, height):
    assert facts_of(monkeypatch, width=width, height=height) == []


def test_a_small_one_still_says_placeholder(monkeypatch):
    assert facts_of(monkeypatch, width=64, height=64)[:3] == ["PLACEHOLDER", "dry run  ·  sdxl", "64 x 64"]


@pytest.mark.parametrize("width", [64, 100, 256, 1000])
def test_no_line_is_wider_than_the_card(monkeypatch, width):
    seen = []
    monkeypatch.setattr(card, "_write", lambda pen, line, left, top: seen.append((line, left, top, pen.im.size)))
    made(width=width, height=width, prompt="Donaudampfschifffahrtsgesellschaft 狐狐狐 " * 30, seed=123)
    assert len(seen) > 2
    for line, left, top, (card_width, card_height) in seen:
        assert left + card._width(line.text, line.font_px) <= card_width
        assert 0 <= top <= card_height - line.font_px


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " \n\t ",
        "🦊" * 500,
        "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
        "ثعلب أحمر في الثلج",
        "שועל אדום בשלג",
        "雪の中の赤い狐" * 100,
        "สุนัขจิ้งจอก",
        "Z" + "\u0301\u0302\u0303" * 5000,
        "\u202e\u2066\u200b\ufeff\u00ad",
        "\ufdfa" * 1000,
        "\ud83e",
        "\x00\x01\x1b[31m",
        "a" * 1_000_000,
        "word " * 200_000,
        "\U0010ffff\U000e0001",
    ],
    ids=lambda prompt: ascii(prompt[:8]),
)
def test_any_prompt_will_do(prompt):
    content = made(prompt=prompt, width=512, height=384)
    picture = inspect(content)
    assert decode_check(content, picture)


@given(
    prompt=st.text(st.characters(), max_size=600),
    provider=st.text(max_size=80),
    variant=st.text(max_size=20),
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    seed=st.none() | st.integers(0, 2**63 - 1),
)
def test_whatever_is_asked_a_placeholder_comes(prompt, provider, variant, width, height, seed):
    content = placeholder(
        provider=provider, prompt=prompt, width=width, height=height, variant=variant, seed=seed, operation="upscale"
    )
    picture = inspect(content)
    assert (picture.width, picture.height) == (width, height)
    assert decode_check(content, picture)
    assert opened(content).text["mediagen"] == "placeholder"


def test_accents_are_dropped_and_what_has_no_glyph_becomes_a_bar():
    assert card._drawable("naïve  café\nŁódź — ½") == "naive cafe Lodz - 1⁄2".replace("⁄", "")
    assert card._drawable("a狐🦊b") == "a\x00\x00b"
    assert card._drawable("e\u0301\u200d\ufe0f!") == "e!"


def test_all_that_counts_as_drawable_has_a_glyph_of_its_own():
    missing = bytes(card._font(40).getmask("\U0010fffe"))
    for char in sorted(card._DRAWABLE - {" "}):
        assert bytes(card._font(40).getmask(char)) != missing, unicodedata.name(char)


@given(digest=st.binary(min_size=32, max_size=32))
def test_text_is_readable_whatever_the_colours_are(digest):
    scheme = colours.scheme(digest)
    paper = scheme.colour(colours.CARD)
    assert colours.contrast(scheme.colour(colours.INK), paper) >= 7
    muted = colours.ink_table()[scheme.muted]
    assert colours.contrast(scheme.colour(muted), paper) >= 4.5


def test_contrast_is_what_wcag_says():
    assert colours.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert colours.contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


def test_without_a_font_engine_there_is_a_picture_without_text(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("PIL.features.check", lambda name: False)
        content = made(width=300, height=300)
    assert content != made(width=300, height=300)
    assert decode_check(content, inspect(content))


GIANT = """
import resource
from mediagen.images import placeholder
small = placeholder(provider="sdxl", prompt="fox", width=64, height=64)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
content = placeholder(provider="sdxl", prompt="fox", width=16384, height=16384)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, len(content) // 2**20)
from mediagen.images import inspect
assert inspect(content, max_pixels=300_000_000).width == 16384
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
def test_the_largest_one_does_not_need_the_memory_of_its_pixels():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", GIANT], env=environment, capture_output=True, text=True, check=True)
    memory_mib, size_mib = map(int, done.stdout.split())
    assert memory_mib < 128  # its pixels alone would be 256
    assert size_mib < 16
