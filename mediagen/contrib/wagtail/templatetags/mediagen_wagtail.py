"""{% load mediagen_wagtail %}: the asset of an image of Wagtail's."""

from __future__ import annotations

from typing import Any

from django import template

from mediagen.contrib.wagtail.images import links_of
from mediagen.models import MediaAsset

register = template.Library()


@register.filter
def asset(image: Any) -> MediaAsset | None:
    """The image's asset; None for an image that has none, and for no image. A query."""
    if image is None or image.pk is None:
        return None
    link = links_of(image).select_related("asset__library").first()
    return link.asset if link is not None else None
