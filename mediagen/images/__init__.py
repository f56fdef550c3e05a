"""What picture bytes really are, pictures of the size that was asked for, and placeholders.

Pillow is imported inside the functions that use it: looking at a picture needs none.
"""

from mediagen.images import codecs, masks
from mediagen.images.cleaning import cleaned, upright
from mediagen.images.convert import converted
from mediagen.images.credentials import credentials_in, lost_by_writing
from mediagen.images.cut import QUARTERS, cut
from mediagen.images.fit import fit
from mediagen.images.glance import for_a_glance
from mediagen.images.inspect import MAX_BYTES, MAX_PIXELS, decode_check, inspect, tidied
from mediagen.images.looks import look_of
from mediagen.images.origin import marked, source_type_in
from mediagen.images.picture import Picture
from mediagen.images.placeholder import placeholder
from mediagen.images.recipes import Recipe, recipe_in
from mediagen.images.rehearsed import stand_in
from mediagen.images.said import exif_in, texts_in
from mediagen.images.scale import Scaled, scaled
from mediagen.images.signing import checked_credentials


def can_write(format: str) -> bool:
    """Whether the Pillow of this installation has the codec for a format. Imports Pillow."""
    return codecs.can_read(format)


__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "QUARTERS",
    "Picture",
    "Recipe",
    "Scaled",
    "can_write",
    "checked_credentials",
    "cleaned",
    "converted",
    "credentials_in",
    "cut",
    "decode_check",
    "exif_in",
    "fit",
    "for_a_glance",
    "inspect",
    "look_of",
    "lost_by_writing",
    "marked",
    "masks",
    "placeholder",
    "recipe_in",
    "scaled",
    "source_type_in",
    "stand_in",
    "texts_in",
    "tidied",
    "upright",
]
