"""Libraries, as the engine needs them."""

from __future__ import annotations

import uuid

from django.db import IntegrityError
from django.db.models import Q

from mediagen import conf
from mediagen.errors import InvalidRequest
from mediagen.models import MediaLibrary
from mediagen.models.routing import atomic


def get_library(library_id: uuid.UUID | None) -> MediaLibrary:
    """The library of this id; without one the library "Default", made when it is missing. `InvalidRequest` if none."""
    if library_id is None:
        return get_or_create_library(conf.get("DEFAULT_LIBRARY"))
    library = MediaLibrary.objects.filter(pk=library_id).first()
    if library is None:
        raise InvalidRequest(f"There is no media library {library_id}.", field="library_id")
    return library


def find_library(word: str) -> MediaLibrary | None:
    """The library with this id, slug or name; None when there is none."""
    try:
        return MediaLibrary.objects.filter(pk=uuid.UUID(word)).first()
    except ValueError:
        found = MediaLibrary.objects.filter(Q(name=word) | Q(slug=word)).order_by("pk")
        return next((library for library in found if library.name == word), found.first())


def get_or_create_library(name: str) -> MediaLibrary:
    """The library of this name, also when two ask for it at once."""
    library = MediaLibrary.objects.filter(name=name).first()
    while library is None:
        try:
            with atomic():
                library = MediaLibrary.objects.create(name=name)
        except IntegrityError:
            library = MediaLibrary.objects.filter(name=name).first()
    return library
