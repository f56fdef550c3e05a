"""manage.py mediagen_export_assets: assets into a Figma file or a Canva account."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.exports import canva, requests, sending
from mediagen.engine.library import AssetFilters, library_called, narrowed
from mediagen.errors import ConfigurationError, InvalidRequest, MediagenError
from mediagen.management.base import MediagenCommand
from mediagen.management.output import one_line
from mediagen.models import AssetExport, ExportState, ExportTarget, MediaAsset

GOOD = (ExportState.PLACED, ExportState.WAITING, ExportState.PENDING)


class Command(MediagenCommand):
    help = (
        "Exports ready assets, named by id or found by library and tag, one after the other, and waits for Canva's "
        "limits. Exit code 0: all are placed (Canva) or wait for the plugin (Figma); 1: one is not; 2: bad usage."
    )
    examples = ("manage.py mediagen_export_assets --library Press --to canva --limit 10",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("assets", nargs="*", metavar="ID", help="Ids of assets.")
        parser.add_argument("--to", choices=ExportTarget.values, help="Where to. Needed, but for --waiting.")
        parser.add_argument("--library", metavar="NAME", help="All ready assets of this library (id, slug or name).")
        parser.add_argument("--tag", metavar="NAME", help="All ready assets with this tag.")
        parser.add_argument("--limit", type=int, metavar="N", help="At most so many, the newest first.")
        parser.add_argument("--title", metavar="TEXT", help="Of the design, or name of the frame. The asset's name.")
        parser.add_argument("--file-key", metavar="KEY", help="Figma: key or address of the file.")
        parser.add_argument("--page-id", metavar="ID", help='Figma: the page, such as "0:1".')
        parser.add_argument("--folder", metavar="ID", help="Canva: id or address of a folder.")
        parser.add_argument("--no-design", action="store_true", help="Canva: only upload, make no design.")
        parser.add_argument("--dry-run", action="store_true", help="Send nothing; predictable results.")
        parser.add_argument("--waiting", action="store_true", help="Send the exports to Canva that wait, and no other.")
        parser.add_argument("--json", action="store_true", help="One JSON object per export, then a summary.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            exports = self._waiting(options) if options["waiting"] else self._asked(options)
        except (InvalidRequest, ConfigurationError) as exc:
            raise CommandError(str(exc), returncode=2) from None
        states = Counter(export.state for export in exports)
        if options["json"]:
            self.stdout.write(json.dumps({"event": "summary", "exports": len(exports), "states": dict(states)}))
        else:
            text = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "nothing to export"
            self.stdout.write(f"{len(exports)} exports: {text}.")
        if bad := sum(count for state, count in states.items() if state not in GOOD):
            raise CommandError(f"{bad} of {len(exports)} exports were not placed.", returncode=1)

    def _waiting(self, options: dict[str, Any]) -> list[AssetExport]:
        if options["assets"] or options["to"] or options["library"] or options["tag"]:
            raise InvalidRequest("--waiting takes no assets: it sends what waits.")
        ids = canva.waiting()
        sending.work_off(ids)
        exports = list(AssetExport.objects.filter(pk__in=ids).select_related("asset"))
        for export in exports:
            self._tell(export, options)
        return exports

    def _asked(self, options: dict[str, Any]) -> list[AssetExport]:
        if not options["to"]:
            raise InvalidRequest("Say where to: --to figma or --to canva.")
        order = requests.ExportOrder(
            target=options["to"],
            title=options["title"],
            file_key=options["file_key"],
            page_id=options["page_id"],
            folder=options["folder"],
            create_design=False if options["no_design"] else None,
            dry_run=True if options["dry_run"] else None,
        )
        order.check()
        exports = []
        for asset in self._assets(options):
            try:
                export = requests.send_now(asset, order)
            except InvalidRequest:
                raise
            except MediagenError as exc:
                raise CommandError(str(exc), returncode=1) from None
            exports.append(export)
            self._tell(export, options)
        return exports

    def _assets(self, options: dict[str, Any]) -> list[MediaAsset]:
        """The assets that were named, in that order, or those that were found."""
        ready = MediaAsset.objects.kept().ready().select_related("library")
        by_search = options["library"] or options["tag"]
        if bool(options["assets"]) == bool(by_search):
            raise InvalidRequest("Name assets by their ids, or give --library or --tag.")
        if options["limit"] is not None and options["limit"] < 1:
            raise InvalidRequest("--limit must be 1 or more.")
        if not by_search:
            found = {asset.pk: asset for asset in ready.filter(pk__in=[_id(text) for text in options["assets"]])}
            missing = [text for text in options["assets"] if _id(text) not in found]
            if missing:
                raise InvalidRequest(f"There is no ready asset {', '.join(missing)}.")
            return [found[_id(text)] for text in dict.fromkeys(options["assets"])][: options["limit"]]
        if options["library"]:
            ready = ready.filter(library=library_called(options["library"]))
        if options["tag"]:
            ready = narrowed(ready, AssetFilters(tag=options["tag"]))
        return list(ready.order_by("-pk")[: options["limit"]])

    def _tell(self, export: AssetExport, options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "event": "export",
                        "export_id": export.export_id,
                        "asset_id": str(export.asset_id),
                        "target": export.target,
                        "state": export.state,
                        "dry_run": export.dry_run,
                        "external_id": export.external_id,
                        "design_id": export.design_id,
                        "url": export.url,
                        "message": export.message,
                    }
                )
            )
            return
        what = "dry run" if export.dry_run else str(export.get_state_display())
        self.stdout.write(f"{export.asset_id}  {what}  {export.url or '-'}")
        if export.message:
            self.stdout.write(f"   {one_line(export.message, 300)}")


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidRequest(f"{text!r:.60} is no id of an asset.") from None
