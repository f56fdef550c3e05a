"""What people upload loses where and by whom it was made, and nothing that can be seen."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image, ImageChops, ImageStat
from PIL.PngImagePlugin import PngInfo

from mediagen.images import cleaned, inspect, upright
from mediagen.images.origin import source_type_in
from tests import pictures
from tests.images.samples import SAMPLES, sample

FORMATS = ["png", "jpeg", "webp", "avif"]
SECRET = "Ada of 12 Lighthouse Road"
XMP = f"""<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
<rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/' dc:creator='{SECRET}'
 xmlns:e='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'
 e:DigitalSourceType='http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia'/></rdf:RDF></x:xmpmeta>"""


def exif(orientation: int | None = None) -> bytes:
    found = Image.Exif()
    found[0x013B] = SECRET
    found[0x8825] = {1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 0.0)}
    if orientation:
        found[0x0112] = orientation
    return found.tobytes()


def private(format: str, orientation: int | None = None, **options: object) -> bytes:
    """A picture with a place, a name and a source type."""
    if format == "png":
        info = PngInfo()
        info.add_text("Author", SECRET)
        info.add_itxt("XML:com.adobe.xmp", XMP)
        return pictures.png(40, 24, pnginfo=info, exif=exif(orientation), **options)
    xmp = {"comment": SECRET} if format == "jpeg" else {}
    return pictures.picture(format, 40, 24, exif=exif(orientation), xmp=XMP.encode(), **xmp, **options)


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def difference(one: Image.Image, other: Image.Image) -> int:
    return max(high for _, high in ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getextrema())


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize("format", FORMATS)
def test_place_and_name_go_and_every_pixel_stays(format):
    before = private(format, icc_profile=b"profile" * 40)
    assert opened(before).getexif().get_ifd(0x8825)

    after = cleaned(before, inspect(before))

    assert SECRET.encode() not in after
    assert SECRET[:3].encode() + b" of" not in after
    image = opened(after)
    assert not image.getexif().get_ifd(0x8825)
    assert difference(image, opened(before)) == 0
    assert image.info["icc_profile"] == b"profile" * 40
    assert inspect(after).format == format
    # That a model made it is no secret.
    assert b"trainedAlgorithmicMedia" in after
    assert "Iptc4xmpExt" in str(image.info.get("xmp") or image.info.get("XML:com.adobe.xmp"))
    assert cleaned(after, inspect(after)) == after


@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_of_file_looks_the_same_afterwards(name):
    content, format, size = sample(name)

    after = cleaned(content, inspect(content))

    before, picture = inspect(content), inspect(after)
    assert (picture.format, picture.width, picture.height) == (format, *size)
    assert (picture.has_alpha, picture.is_animated) == (before.has_alpha, before.is_animated)
    one, other = opened(content), opened(after)
    assert (one.mode, getattr(one, "n_frames", 1)) == (other.mode, getattr(other, "n_frames", 1))
    assert one.tobytes() == other.tobytes()


def test_appended_pictures_go():
    content, _, _ = sample("jpeg-two")
    private_one = content + private("jpeg")

    after = cleaned(private_one, inspect(private_one))

    assert SECRET.encode() not in after
    assert after.count(b"\xff\xd8\xff") == 1


def test_a_comment_and_a_foreign_block_of_a_gif_go_and_the_loop_stays():
    frames = [pictures.image(32, 24, "RGB", seed) for seed in (1, 2)]
    content = pictures.encode(
        frames[0], "gif", save_all=True, append_images=frames[1:], loop=3, comment=SECRET.encode()
    )

    after = cleaned(content, inspect(content))

    assert SECRET.encode() not in after
    assert opened(after).info["loop"] == 3


def test_a_payload_in_a_text_chunk_goes():
    info = PngInfo()
    info.add_text("Comment", "<script>alert(1)</script>")
    content = pictures.png(8, 8, pnginfo=info)

    assert b"<script>" not in cleaned(content, inspect(content))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_picture_is_upright_afterwards(format, orientation):
    content = private(format, orientation)
    wanted = opened(content)
    wanted = wanted.transpose(
        {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}[orientation]  # Image.Transpose, as the standard numbers them
    )

    turned, picture = upright(content, inspect(content))
    after = opened(cleaned(turned, picture))

    assert after.size == wanted.size == (picture.width, picture.height)
    assert mean_difference(after, wanted) <= (0 if format == "png" else 15)
    assert mean_difference(after, wanted.rotate(180)) > 20
    assert after.getexif().get(0x0112, 1) == 1
    assert source_type_in(turned)


def test_what_is_upright_is_not_written_anew():
    for format in pictures.FORMATS:
        content = pictures.picture(format)
        assert upright(content, inspect(content))[0] is content
    animation = pictures.animation("webp", exif=exif(6))
    assert upright(animation, inspect(animation))[0] is animation


# --- nothing that is not known to be harmless stays, wherever in the file it is

PLACE = b"GPS 48.2084N 16.3725E"


def box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def planted() -> dict[str, bytes]:
    """A place where no reader of metadata looks."""
    png, jpeg, webp = pictures.png(40, 24), pictures.jpeg(40, 24), pictures.webp(40, 24)
    avif, gif = pictures.avif(40, 24), pictures.gif(40, 24)
    segment = (len(PLACE) + 2).to_bytes(2, "big") + PLACE
    frame = pictures.animation("webp")
    first = frame.index(b"ANMF")
    size = int.from_bytes(frame[first + 4 : first + 8], "little")
    chunk = b"prIv" + len(PLACE + b" ").to_bytes(4, "little") + PLACE + b" "
    in_frame = frame[: first + 4] + (size + len(chunk)).to_bytes(4, "little") + frame[first + 8 : first + 8 + size]
    in_frame += chunk + frame[first + 8 + size :]
    in_frame = b"RIFF" + (len(in_frame) - 8).to_bytes(4, "little") + in_frame[8:]
    plain = webp + b"prIv" + (len(PLACE) + 1).to_bytes(4, "little") + PLACE + b" "
    meta = avif.index(b"meta") - 4
    meta_size = int.from_bytes(avif[meta : meta + 4], "big")
    return {
        "png-private-chunk": png[:33] + pictures.png_chunk(b"prIv", PLACE) + png[33:],
        "png-c2pa": png[:33] + pictures.png_chunk(b"caBX", PLACE) + png[33:],
        "jpeg-app-segment": jpeg[:2] + b"\xff\xed" + segment + jpeg[2:],
        "jpeg-between-scans": jpeg[:-2] + b"\xff\xfe" + segment + jpeg[-2:],
        "jpeg-jfif-thumbnail": b"\xff\xd8\xff\xe0\x00\x25JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x07\x01"
        + PLACE
        + jpeg[jpeg.index(b"\xff\xdb") :],
        "webp-unknown-chunk": b"RIFF" + (len(plain) - 8).to_bytes(4, "little") + plain[8:],
        "webp-in-a-frame": in_frame,
        "gif-under-a-loop's-name": gif[:-1]
        + b"\x21\xff\x0bNETSCAPE2.0"
        + bytes([len(PLACE)])
        + PLACE
        + b"\0"
        + gif[-1:],
        "avif-uuid": avif + box(b"uuid", bytes(range(16)) + PLACE),
        "avif-c2pa": avif + box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + PLACE),
        "avif-free": avif + box(b"free", PLACE),
        "avif-data-of-no-item": avif + box(b"mdat", PLACE),
        "avif-before-everything": avif[:meta] + moved(avif[meta:], box(b"skip", PLACE)),
        "avif-in-meta": in_meta(avif, meta, meta_size),
    }


def moved(rest: bytes, before: bytes) -> bytes:
    """Behind `before`: the one place that the sample's table names is moved with it."""
    at = rest.index(b"iloc") + 4
    return before + _shifted(rest, at, len(before))


def in_meta(avif: bytes, meta: int, size: int) -> bytes:
    extra = box(b"prIv", PLACE)
    head = avif[:meta] + (size + len(extra)).to_bytes(4, "big") + avif[meta + 4 : meta + size] + extra
    return _shifted(head + avif[meta + size :], head.index(b"iloc") + 4, len(extra))


def _shifted(content: bytes, body: int, by: int) -> bytes:
    """An `iloc` of version 0 with one item of one extent, as Pillow writes it: version, sizes, count, item, reference,
    (base), count, offset, length."""
    sizes = content[body + 4 : body + 6]
    assert content[body] == 0
    offset = body + 6 + 2 + 2 + 2 + (sizes[1] >> 4) + 2
    moved = int.from_bytes(content[offset : offset + 4], "big") + by
    return content[:offset] + moved.to_bytes(4, "big") + content[offset + 4 :]


@pytest.mark.parametrize("name", planted())
def test_a_place_that_is_hidden_anywhere_goes_and_every_pixel_stays(name):
    content = planted()[name]
    assert PLACE in content
    before = opened(content)

    after = cleaned(content, inspect(content))

    assert PLACE not in after
    assert opened(after).tobytes() == before.tobytes()
    assert cleaned(after, inspect(after)) == after
