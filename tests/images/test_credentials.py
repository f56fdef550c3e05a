"""Content credentials: found in every format, and what they say is read; made up ones are no trouble."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from mediagen import images
from mediagen.images import cbor, credentials, signing
from tests import pictures

MANIFEST = (Path(__file__).parent / "data" / "manifest.c2pa").read_bytes()
"""signed by "Example Site" with a certificate of its own, made by "Painter 3" """
SAYS = {"generator": "Painter 3", "signer": "Example Site", "validation": "not checked"}


def signed(format: str, store: bytes = MANIFEST) -> bytes:
    """A picture with the manifest where its format has it. The signature is of another picture."""
    content = pictures.picture(format)
    if format == "png":
        return content[:33] + pictures.png_chunk(b"caBX", store) + content[33:]
    if format == "jpeg":
        pieces = [store[at : at + 2000] for at in range(8, len(store), 2000)]
        segments = [b"JP\0\1" + struct.pack(">I", i + 1) + store[:8] + piece for i, piece in enumerate(pieces)]
        return content[:2] + b"".join(b"\xff\xeb" + struct.pack(">H", len(s) + 2) + s for s in segments) + content[2:]
    if format == "webp":
        body = content[8:] + b"C2PA" + struct.pack("<I", len(store)) + store + b"\0" * (len(store) % 2)
        return b"RIFF" + struct.pack("<I", len(body)) + body
    if format == "gif":
        blocks = b"".join(bytes([len(p)]) + p for p in (store[at : at + 255] for at in range(0, len(store), 255)))
        start = 13 + 3 * 2 ** ((content[10] & 7) + 1) * (content[10] >> 7)
        return b"GIF89a" + content[6:start] + b"\x21\xff\x0bC2PA_GIF\1\0\0" + blocks + b"\0" + content[start:]
    box = credentials._UUID + bytes(4) + b"manifest\0" + bytes(8) + store
    return content + struct.pack(">I", len(box) + 8) + b"uuid" + box


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_it_is_read_where_each_format_has_it(format):
    content = signed(format)
    picture = images.inspect(content)
    assert credentials.manifest_store(content, picture) == MANIFEST
    assert images.credentials_in(content, picture) == SAYS
    plain = pictures.picture(format)
    assert images.credentials_in(plain, images.inspect(plain)) == {}


def test_whatever_somebody_has_written_there_is_no_trouble():
    chance = random.Random(7)
    for _ in range(300):
        store = bytearray(MANIFEST)
        for _ in range(chance.randint(1, 8)):
            store[chance.randrange(len(store))] = chance.randrange(256)
        content = signed("png", bytes(store[: chance.choice([len(store), chance.randrange(len(store))])]))
        assert set(images.credentials_in(content, images.inspect(content))) == set(SAYS)


@pytest.mark.parametrize(
    "data", [b"", b"\x9f", b"\x81" * 100, b"\x5f\x41a", b"\x1f", b"\xbf\x61a", b"\x9b" + b"\xff" * 8, b"\xfb\0"]
)
def test_what_is_no_cbor_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011
        cbor.loads(data)


def test_cbor_of_the_standard():
    """Examples of RFC 8949, appendix A."""
    for hexed, value in {
        "1bffffffffffffffff": 18446744073709551615, "3863": -100, "f93c00": 1.0, "fb3ff199999999999a": 1.1, "f5": True,
        "f6": None, "4401020304": b"\1\2\3\4", "62c3bc": "ü", "83010203": [1, 2, 3],
        "a26161016162820203": {"a": 1, "b": [2, 3]},
        "c11a514b67b0": 1363896240, "5f42010243030405ff": b"\1\2\3\4\5", "9f018202039f0405ffff": [1, [2, 3], [4, 5]],
        "bf61610161629f0203ffff": {"a": 1, "b": [2, 3]}, "7f657374726561646d696e67ff": "streaming",
    }.items():  # fmt: skip
        assert cbor.loads(bytes.fromhex(hexed)) == value


def test_without_the_library_nothing_is_checked(monkeypatch):
    monkeypatch.setattr(signing, "library", lambda: None)
    content = signed("png")
    assert images.checked_credentials(content, images.inspect(content)) == SAYS
    assert images.checked_credentials(content, images.inspect(content), content + b"behind") == SAYS
