"""manage.py mediagen_rebuild_references: which assets stand in texts of the site."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from mediagen.engine.library import references
from mediagen.errors import ConfigurationError
from mediagen.management.base import MediagenCommand


class Command(MediagenCommand):
    help = (
        "Looks through the fields in MEDIAGEN['RICH_TEXT_FIELDS'] for assets. Run it once when a field is added there, "
        "and after rows were written past Django's signals (bulk_create, update, SQL)."
    )
    examples = ("manage.py mediagen_rebuild_references",)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = references.rebuild()
        except ConfigurationError as exc:
            raise CommandError(str(exc), returncode=2) from exc
        self.stdout.write(f"{count:,} references")
