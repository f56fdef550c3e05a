"""Rows for a site's own tests, without a library for it: what is not named is made up."""

from __future__ import annotations

import itertools
from typing import Any

from django.core.files.base import ContentFile

from mediagen import images
from mediagen.models import GenerationState, MediaAsset, MediaLibrary, ProviderConfig
from mediagen.testing.pictures import png

_numbers = itertools.count(1)


def make_library(**values: Any) -> MediaLibrary:
    """A saved library."""
    number = next(_numbers)
    return MediaLibrary.objects.create(**{"name": f"Library {number}", "slug": f"library-{number}", **values})


def make_asset(*, size: tuple[int, int] = (64, 48), ready: bool = True, **values: Any) -> MediaAsset:
    """A saved asset; with `ready` it has a picture of `size` pixels in the site's storage."""
    number = next(_numbers)
    if "library" not in values:
        values["library"] = make_library()
    asset = MediaAsset(**{"name": f"Asset {number}", "prompt": f"A lighthouse, number {number}", **values})
    if not ready:
        asset.save()
        return asset
    content = png(*size, mark=str(number))
    picture = images.inspect(content, max_pixels=size[0] * size[1])
    asset.generation_state = GenerationState.READY
    asset.format, asset.width, asset.height = picture.format, picture.width, picture.height
    asset.file_size, asset.content_hash = len(content), picture.sha256
    asset.file.save(f"{asset.pk}.png", ContentFile(content), save=False)
    asset.save()
    return asset


def make_provider(adapter: str = "noop_media", **values: Any) -> ProviderConfig:
    """A saved entry of the chain."""
    number = next(_numbers)
    return ProviderConfig.objects.create(
        **{"name": f"{adapter}_{number}", "adapter": adapter, "position": number, **values}
    )
