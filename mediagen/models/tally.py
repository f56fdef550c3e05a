"""How much is in each library, kept by the transaction that changes it."""

from __future__ import annotations

from django.db import models

from mediagen.models.writer import WriterQuerySet


class LibraryTally(models.Model):
    """A part of what a library holds that is ready and not deleted: triggers on the assets' table add to it and take
    from it (`kept_by_database`), so that nobody has to count a million rows, or to remember to.

    Of each library there are a few, one for each `slot`, because those who write at once would wait for each other's
    row; their sum counts, and one alone may be less than nothing.
    """

    library = models.ForeignKey(
        "mediagen.MediaLibrary", on_delete=models.CASCADE, db_constraint=False, related_name="tallies", editable=False
    )
    slot = models.PositiveSmallIntegerField(editable=False)
    assets = models.BigIntegerField(editable=False)
    bytes = models.BigIntegerField(editable=False)

    objects = WriterQuerySet["LibraryTally"].as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("library", "slot"), name="mediagen_tally_slot"),)

    def __str__(self) -> str:
        return f"{self.library_id}: {self.assets}"
