"""Broken, hostile and false pictures: always NotAPicture, never another exception, never accepted by mistake."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediagen.errors import NotAPicture
from mediagen.images import Picture, decode_check, inspect
from tests import pictures
from tests.covering import all_but
from tests.images.samples import SAMPLES, sample

# In the everyday run each format, twice where it has two ways of writing; each costs thousands of readings.
ONE_EACH = ("png", "png-animated", "jpeg-with-metadata", "webp", "webp-animated", "avif-alpha", "gif")


@pytest.mark.parametrize("name", all_but(SAMPLES, *ONE_EACH))
def test_cut_off_at_any_byte_is_refused(name):
    content = sample(name)[0]
    view = memoryview(content)
    for length in range(len(content)):
        with pytest.raises(NotAPicture):
            inspect(view[:length])


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_off_says_where(name):
    content = sample(name)[0]
    with pytest.raises(NotAPicture, match=f"cut off at byte {len(content) - 1} of at least"):
        inspect(content[:-1])


@pytest.mark.parametrize("name", all_but(SAMPLES, *ONE_EACH))
def test_flipped_bits_raise_nothing_but_not_a_picture(name):
    content = sample(name)[0]
    chance = random.Random(f"{name}")
    # The structure is at the front: every byte there in turn, then some anywhere.
    places = [*range(min(400, len(content))), *(chance.randrange(len(content)) for _ in range(300))]
    for place in places:
        broken = bytearray(content)
        broken[place] ^= 1 << chance.randrange(8)
        _accepts_or_refuses(broken)
        broken[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        _accepts_or_refuses(broken)


@pytest.mark.parametrize("name", ["png", "png-palette", "png-animated"])
def test_any_flipped_bit_of_a_png_is_found_by_a_checksum(name):
    content = sample(name)[0]
    for place in range(len(content)):
        broken = bytearray(content)
        broken[place] ^= 0x10
        with pytest.raises(NotAPicture):
            inspect(broken)


@pytest.mark.parametrize("name", all_but(SAMPLES, *ONE_EACH))
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_spliced_bytes_raise_nothing_but_not_a_picture(name, data):
    content = bytearray(sample(name)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 16)))
        content[start:end] = data.draw(st.binary(max_size=16))
    _accepts_or_refuses(content)


@pytest.mark.parametrize("format", pictures.FORMATS)
@given(tail=st.binary(max_size=200))
def test_anything_behind_a_signature_raises_nothing_but_not_a_picture(format, tail):
    start = {"png": 8, "jpeg": 2, "webp": 16, "avif": 32, "gif": 6}[format]
    _accepts_or_refuses(pictures.picture(format)[:start] + tail)


@given(content=st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_not_a_picture(content):
    _accepts_or_refuses(content)


@pytest.mark.parametrize("name", [name for name in SAMPLES if not name.startswith("png")])
def test_what_the_structure_lets_pass_decodes_or_is_refused(name):
    content = sample(name)[0]
    chance = random.Random(f"decode {name}")
    for _ in range(40):
        broken = bytearray(content)
        for _ in range(3):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        picture = _accepts_or_refuses(broken)
        if picture is not None:
            with contextlib.suppress(NotAPicture):
                assert decode_check(broken, picture) is True


def _accepts_or_refuses(content: bytes | bytearray) -> Picture | None:
    try:
        picture = inspect(content)
    except NotAPicture:
        return None
    assert picture.width > 0
    assert picture.height > 0
    return picture


# What follows the end


PAYLOADS = {
    "zip": pictures.zip_archive(),
    "html": pictures.html(),
    "php": b"<?php system($_GET['c']); ?>",
    "two bytes": b"PK",
    "long padding": b"\0" * 65,
    "behind padding": b"\0" * 40 + b"x",
}


def is_refused(content: bytes) -> bool:
    try:
        inspect(content)
    except NotAPicture:
        return True
    return False


@pytest.mark.parametrize("name", SAMPLES)
def test_a_payload_behind_the_picture_is_refused(name):
    content = sample(name)[0]
    assert [what for what, payload in PAYLOADS.items() if not is_refused(content + payload)] == []


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_a_polyglot_is_named(format):
    content = pictures.polyglot(format)
    said = "box" if format == "avif" else "bytes that are no part of it"
    with pytest.raises(NotAPicture, match=said):
        inspect(content)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_little_padding_is_let_pass(name):
    content = sample(name)[0]
    for padding in (b"\0", b"\n", b"\r\n", b"\xff\xff", b" ", b"\0" * 64):
        picture = inspect(content + padding)
        assert picture.size_bytes == len(content) + len(padding)
        assert (picture.width, picture.height) == sample(name)[2]


def test_a_phones_second_jpeg_is_let_pass_when_it_is_whole():
    content, _, size = sample("jpeg-two")
    picture = inspect(content)
    assert (picture.width, picture.height) == size
    first = sample("jpeg")[0]
    assert content.startswith(first)
    for length in range(len(first) + 3, len(content)):
        with pytest.raises(NotAPicture):
            inspect(content[:length])
    with pytest.raises(NotAPicture, match="follow 64"):
        inspect(first + b"x" * 64)
    with pytest.raises(NotAPicture, match="no part of it"):
        inspect(first * 20)
