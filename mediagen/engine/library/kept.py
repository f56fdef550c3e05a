"""Libraries as they stand in the tables now, without making the same objects for each picture anew."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models.base import ModelState

from mediagen import conf
from mediagen.engine.library.libraries import get_library
from mediagen.models import MediaLibrary, MediaTag
from mediagen.models.routing import connection
from mediagen.models.statements import rows_where

MOST = 100


class LibrariesNow:
    """Libraries with their default tags; the rows are read, and the objects kept for as long as those stay the same.

    Two statements for each library that is asked for. Inside a transaction nothing is kept: what is read there may
    never be committed.
    """

    _kept: dict[Any, tuple[Any, MediaLibrary, list[MediaTag]]] = {}

    def __init__(self) -> None:
        self._in_transaction = connection.in_atomic_block
        self._read: dict[uuid.UUID | None, tuple[MediaLibrary, list[MediaTag]]] = {}

    def of(self, library_id: uuid.UUID | None) -> tuple[MediaLibrary, list[MediaTag]]:
        """(the library, its default tags), as `get_library`. The library is the caller's own object."""
        if library_id not in self._read:
            self._read[library_id] = self._look(library_id)
        library, tags = self._read[library_id]
        return _own(library), tags

    def _look(self, library_id: uuid.UUID | None) -> tuple[MediaLibrary, list[MediaTag]]:
        if self._in_transaction:
            return _from_table(library_id)
        name = conf.get("DEFAULT_LIBRARY")
        where = {"name": name} if library_id is None else {"id": library_id}
        seen = _rows(where)
        key = name if library_id is None else library_id
        found = self._kept.get(key)
        if found is not None and found[0] == seen:
            return found[1], found[2]
        read = _from_table(library_id)
        # One that was made only now, or changed between the two, is looked at again the next time.
        if seen and seen == _rows(where):
            if len(self._kept) > MOST:
                self._kept.clear()
            self._kept[key] = (seen, *read)
        return read

    @classmethod
    def forget(cls) -> None:
        """Whatever is kept, in this process."""
        cls._kept.clear()


def _own(library: MediaLibrary) -> MediaLibrary:
    """As `copy`, which pickles it."""
    own = MediaLibrary.__new__(MediaLibrary)
    vars(own).update(vars(library))
    own._state = ModelState()
    own._state.adding, own._state.db = False, library._state.db
    return own


def default_tags_of(library: MediaLibrary) -> list[MediaTag]:
    """Most libraries have none, which costs one short statement."""
    if not rows_where(MediaLibrary.default_tags.through, ["mediatag"], {"medialibrary": library.pk}):
        return []
    return list(library.default_tags.order_by())


def _from_table(library_id: uuid.UUID | None) -> tuple[MediaLibrary, list[MediaTag]]:
    library = get_library(library_id)
    return library, default_tags_of(library)


def _rows(where: dict[str, Any]) -> list[Any]:
    """The library's row and those that name its default tags."""
    names = [field.name for field in MediaLibrary._meta.concrete_fields]
    found: list[Any] = rows_where(MediaLibrary, names, where)
    if found:
        pk = MediaLibrary._meta.pk.to_python(found[0][names.index("id")])
        found += sorted(rows_where(MediaLibrary.default_tags.through, ["mediatag"], {"medialibrary": pk}))
    return found
