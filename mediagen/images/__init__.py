"""What picture bytes really are, pictures of the size that was asked for, and placeholders.

Pillow is imported by what needs it, when it is called: `converted`, `decode_check`, `placeholder`, `scaled`, `upright`,
a `fit` that has to scale.
"""

from mediagen.images.cleaning import cleaned, upright
from mediagen.images.convert import converted
from mediagen.images.fit import fit
from mediagen.images.inspect import MAX_BYTES, MAX_PIXELS, Picture, decode_check, inspect
from mediagen.images.placeholder import placeholder
from mediagen.images.scale import Scaled, scaled


def can_write(format: str) -> bool:
    """Whether the Pillow of this installation has the codec for a format. Imports Pillow."""
    from mediagen.images import codecs

    return codecs.can_read(format)


__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "Picture",
    "Scaled",
    "can_write",
    "cleaned",
    "converted",
    "decode_check",
    "fit",
    "inspect",
    "placeholder",
    "scaled",
    "upright",
]
