"""A file that an asset and an image of Wagtail's both have: it goes with the last of the two.

Wagtail deletes an image's file by the storage of its field, when the image goes and when it gets another file. So that
storage refuses for files that assets have. The other way round the engine asks `images.has_file`.
"""

from __future__ import annotations

from typing import Any

from django.core.files.storage import Storage
from django.utils.deconstruct import deconstructible
from wagtail.images import get_image_model

from mediagen.engine.files import storage as files
from mediagen.models import MediaAsset, asset_storage

_found: list[Storage] = []
"""the storage that the site gave its images"""


@deconstructible(path="mediagen.contrib.wagtail.storage.ImageStorage")
class ImageStorage(Storage):
    """The storage of the site's images, whichever it is, which keeps files that assets have."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__") or name in ("deconstruct", "_constructor_args", "delete"):
            return object.__getattribute__(self, name)
        return getattr(_found[0], name)

    def delete(self, name: str) -> None:
        """Unless an asset has the file: then it is the asset's alone from now on."""
        pk = files.asset_of(str(name))
        if pk is None or not MediaAsset.objects.filter(pk=pk, file=name).exists():
            _found[0].delete(name)


def guard() -> None:
    """Have the images' file field delete by `ImageStorage`."""
    field: Any = get_image_model()._meta.get_field("file")
    if isinstance(field.storage, ImageStorage):
        return
    _found[:] = [field.storage]
    # What Django writes into migrations is what the site has said, not us.
    field._storage_callable = getattr(field, "_storage_callable", field.storage)
    field.storage = ImageStorage()


def is_the_assets(storage: Any) -> bool:
    """Whether the images lie in the same storage as the assets, so that one file can serve both."""
    mine, theirs = asset_storage(), _found[0] if isinstance(storage, ImageStorage) else storage
    return mine is theirs or _place(mine) == _place(theirs)


def _place(storage: Any) -> Any:
    """What makes two storages the same place. Lazy ones answer for what they stand for."""
    try:
        path, args, kwargs = storage.deconstruct()
    except (AttributeError, TypeError):
        return id(storage)
    # Without an option both follow the setting; where they lie decides.
    return path, args, kwargs, getattr(storage, "location", None), getattr(storage, "bucket_name", None)
