"""Tags: small words on assets, the same whatever their case."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.db import models

from mediagen.errors import InvalidRequest
from mediagen.models.writer import WriterQuerySet
from mediagen.types import checked_text
from mediagen.wording import say as _

MAX_LENGTH = 100


class MediaTagQuerySet(WriterQuerySet["MediaTag"]):
    def clean_names(self, names: Iterable[str]) -> list[str]:
        """The names with single spaces, each once. `InvalidRequest` for one that is empty or too long. No query."""
        return list(dict.fromkeys(clean_tag(name) for name in names))

    def ensure(self, names: Iterable[str]) -> list[MediaTag]:
        """The tags of these names, made where they are missing; safe against others doing the same. Two queries,
        four when some are new. Case does not matter; the first spelling stays."""
        wanted = self.clean_names(names)
        if not wanted:
            return []
        found = {tag.key: tag for tag in self.filter(key__in=[name.casefold() for name in wanted])}
        missing = {name.casefold(): name for name in wanted if name.casefold() not in found}
        if missing:
            new = [MediaTag(name=name, key=key) for key, name in missing.items()]
            self.bulk_create(new, ignore_conflicts=True)
            found |= {tag.key: tag for tag in self.filter(key__in=list(missing))}
        return list(found.values())


def clean_tag(name: str) -> str:
    """The name with single spaces, or `InvalidRequest`."""
    text = re.sub(r"\s+", " ", checked_text(name, "tags")).strip()
    if not text or len(text.casefold()) > MAX_LENGTH:
        raise InvalidRequest(
            _("A tag needs 1 to %(most)s characters, not %(number)s.", most=MAX_LENGTH, number=len(text)), field="tags"
        )
    return text


class MediaTag(models.Model):
    """One word; `key` is its case-folded form and unique."""

    name = models.CharField(max_length=MAX_LENGTH)
    key = models.CharField(max_length=MAX_LENGTH, unique=True, editable=False)

    objects = MediaTagQuerySet.as_manager()

    class Meta:
        ordering = ("key",)

    def __str__(self) -> str:
        return self.name

    def save(self, *args: object, **kwargs: object) -> None:
        self.name = clean_tag(self.name)
        self.key = self.name.casefold()
        super().save(*args, **kwargs)  # type: ignore[arg-type]
