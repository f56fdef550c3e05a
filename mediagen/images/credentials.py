"""Whether a picture carries content credentials (C2PA): a signature over the file as it is."""

from __future__ import annotations

from mediagen.images import isobmff, png, structure
from mediagen.images.picture import Picture

LEFT_OUT = "its content credentials (C2PA), which sign the file as it came"

_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""of the box in an AVIF (C2PA specification, "Embedding manifests into BMFF-based assets")"""


def lost_by_writing(content: bytes, picture: Picture) -> tuple[str, ...]:
    """What of a picture that `inspect` has let pass is lost when its file changes, in words for `Picture.left_out`."""
    return (LEFT_OUT,) if are_in(content, picture) else ()


def are_in(content: bytes, picture: Picture) -> bool:
    with memoryview(content) as view:
        if picture.format == "png":
            return any(kind == b"caBX" for kind, _, _ in png.chunks(view))
        if picture.format == "jpeg":
            return any(
                code == 0xEB and bytes(view[start + 2 : start + 4]) == b"JP"
                for code, start, _ in structure.jpeg_segments(view)
            )
        if picture.format == "webp":
            end = 8 + int.from_bytes(view[4:8], "little")
            return any(kind == b"C2PA" for kind, _, _ in structure.riff_chunks(view, 12, end))
        if picture.format == "avif":
            top = isobmff.boxes(view, 0, len(view), at_top=True)
            return any(box.kind == b"uuid" and bytes(view[box.start : box.start + 16]) == _UUID for box in top)
    return b"\x21\xff\x0bC2PA_GIF" in content
