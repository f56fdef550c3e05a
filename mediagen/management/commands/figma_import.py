"""manage.py figma_import: nodes of a Figma file become assets."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine import get_media_engine
from mediagen.engine.library import library_called
from mediagen.errors import ConfigurationError, GenerationFailed, InvalidRequest
from mediagen.management.base import MediagenCommand
from mediagen.models import MediaAsset


class Command(MediagenCommand):
    help = (
        "Has Figma render nodes of a file and keeps each as an asset, the child of the asset that was placed there. "
        "Exit codes: 0 all of them, 1 not all, 2 bad usage."
    )
    examples = ("manage.py figma_import abcDEF123456789012345 1:23 --library Press",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="Key or address of the file.")
        parser.add_argument("nodes", nargs="+", metavar="node", help='Ids such as "1:23", or addresses of nodes.')
        parser.add_argument("--format", default="png", choices=("png", "jpg"), help="png, or jpg.")
        parser.add_argument("--scale", type=float, default=1.0, help="0.01 to 4.")
        parser.add_argument("--library", metavar="NAME", help="Name, slug or id. Default: the placed asset's.")
        parser.add_argument("--dry-run", action="store_true", help="Placeholders; Figma is not asked.")
        parser.add_argument("--live", action="store_true", help="Ask Figma, whatever the settings say.")
        parser.add_argument("--json", action="store_true", help="One JSON object per node.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"] and options["live"]:
            raise CommandError("--dry-run and --live contradict each other.", returncode=2)
        try:
            library = library_called(options["library"]) if options["library"] else None
            found = get_media_engine().import_from_figma_sync(
                options["file"],
                options["nodes"],
                options["format"],
                options["scale"],
                library_id=library,
                dry_run=True if options["dry_run"] else False if options["live"] else None,
            )
        except (InvalidRequest, ConfigurationError) as exc:
            raise CommandError(str(exc), returncode=2) from None
        except GenerationFailed as exc:
            raise CommandError(str(exc)) from None
        for asset in found.assets:
            self._tell(asset, options["json"])
        for failure in found.failures:
            if options["json"]:
                self.stdout.write(json.dumps({"node": failure.node_id, "asset_id": None, "error": failure.message}))
            else:
                self.stderr.write(f"{failure.node_id}: {failure.message}")
        if found.failures:
            raise CommandError(f"{len(found.failures)} of {len(found.failures) + len(found.assets)} nodes failed.")

    def _tell(self, asset: MediaAsset, as_json: bool) -> None:
        node = asset.parameters["figma"]["node_id"]
        parent = str(asset.parent_id) if asset.parent_id else None
        if as_json:
            told = {"node": node, "asset_id": asset.asset_id, "parent": parent, "placeholder": asset.is_placeholder}
            self.stdout.write(json.dumps({**told, "error": ""}))
            return
        origin = f", a new version of {parent}" if parent else ""
        kind = " (placeholder, dry run)" if asset.is_placeholder else ""
        self.stdout.write(f"{node}: {asset.asset_id}, {asset.width} x {asset.height}{origin}{kind}")
