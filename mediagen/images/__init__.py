"""What picture bytes really are, pictures of the size that was asked for, and placeholders.

Pillow is imported by what needs it, when it is called: `decode_check`, `placeholder`, a `fit` that has to scale.
"""

from mediagen.images.fit import fit
from mediagen.images.inspect import MAX_BYTES, MAX_PIXELS, Picture, decode_check, inspect
from mediagen.images.placeholder import placeholder

__all__ = ["MAX_BYTES", "MAX_PIXELS", "Picture", "decode_check", "fit", "inspect", "placeholder"]
