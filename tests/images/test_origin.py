"""A file says who made it: as its vendor said it, or as we do; in all five formats, and nothing of it moves a pixel."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mediagen.images import cleaned, converted, fit, inspect, scaled
from mediagen.images.origin import BY_MODEL, PARTLY_BY_MODEL, marked, packet, source_type_in
from tests import pictures
from tests.images.samples import SAMPLES, sample

XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    b"<rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/' dc:creator='the vendor'/></rdf:RDF></x:xmpmeta>"
)


def pixels(content: bytes) -> tuple[object, ...]:
    image = Image.open(BytesIO(content))
    image.load()
    return image.mode, image.size, getattr(image, "n_frames", 1), image.tobytes()


def xmp_of(content: bytes) -> str:
    """As Pillow reads it."""
    image = Image.open(BytesIO(content))
    return str(image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or "")


def with_xmp(format: str, xmp: bytes) -> bytes:
    if format == "png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        return pictures.png(40, 24, pnginfo=info)
    return pictures.picture(format, 40, 24, xmp=xmp)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_of_file_gets_the_mark_and_looks_the_same(name):
    content, format, size = sample(name)

    after = marked(content, format, BY_MODEL)

    picture = inspect(after)
    assert (picture.format, picture.width, picture.height) == (format, *size)
    assert pixels(after) == pixels(content)
    assert source_type_in(after) == BY_MODEL
    assert marked(after, format, BY_MODEL) is after
    assert source_type_in(cleaned(after, picture)) == BY_MODEL


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif"])
def test_another_reader_finds_the_mark_beside_what_stood_there(format):
    after = marked(with_xmp(format, XMP), format, BY_MODEL)

    assert inspect(after).format == format
    assert BY_MODEL in xmp_of(after)
    assert "the vendor" in xmp_of(after)
    assert BY_MODEL in xmp_of(marked(pictures.picture(format, 40, 24), format, BY_MODEL))


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif"])
def test_what_the_vendor_wrote_stays(format):
    content = with_xmp(format, packet(PARTLY_BY_MODEL))
    assert marked(content, format, BY_MODEL) is content


def test_a_png_that_keeps_its_xmp_compressed_is_read_and_written():
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet(PARTLY_BY_MODEL).decode(), zip=True)
    content = pictures.png(40, 24, pnginfo=info)
    assert source_type_in(content) == PARTLY_BY_MODEL
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    after = marked(pictures.png(40, 24, pnginfo=info), "png", BY_MODEL)
    assert "the vendor" in xmp_of(after)
    assert BY_MODEL in xmp_of(after)


def test_a_signed_picture_is_left_as_its_vendor_signed_it():
    content = pictures.png(40, 24)
    signed = content[:33] + pictures.png_chunk(b"caBX", b"\0\0\0\x1cjumb" + b"x" * 40) + content[33:]
    assert marked(signed, "png", BY_MODEL) is signed


@pytest.mark.parametrize("target", ["webp", "avif", "jpeg", "png"])
@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif", "gif"])
def test_whatever_is_made_of_it_says_it_too(format, target):
    content = marked(pictures.picture(format, 64, 48), format, PARTLY_BY_MODEL)
    picture = inspect(content)

    assert source_type_in(scaled(content, picture, target, width=32).content) == PARTLY_BY_MODEL
    if target in ("png", "jpeg"):
        assert source_type_in(converted(content, picture, target)[0]) == PARTLY_BY_MODEL
    if target == format:
        assert source_type_in(fit(content, picture, 32, 32)[0]) == PARTLY_BY_MODEL


def test_a_rendition_says_it_when_only_a_signature_of_the_original_did():
    content = pictures.png(40, 24)
    claim = b"\0\0\0\x1cjumb" + packet(BY_MODEL)  # in a manifest it stands in CBOR, as plain text
    signed = content[:33] + pictures.png_chunk(b"caBX", claim) + content[33:]
    assert BY_MODEL in xmp_of(scaled(signed, inspect(signed), "webp", width=20).content)
