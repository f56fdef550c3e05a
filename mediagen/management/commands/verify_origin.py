"""manage.py verify_origin: what a file says of its making, and whether it is one of ours."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.files import Verified, uploads, verify, verify_asset
from mediagen.engine.library import get_asset
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.management.base import SOME_FAILED, USAGE, MediagenCommand
from mediagen.models import MediaAsset

SENTENCES = {
    "file": "It is the file of asset {asset}",
    "file as it leaves": "It is the file of asset {asset} as it leaves the site",
    "original": "It is the file that came for asset {asset}",
    "rendition": "It is a rendition of asset {asset}",
    "looks": "It looks like asset {asset} ({bits} of 64 bits differ)",
}


class Command(MediagenCommand):
    help = (
        "Says what a picture's file says of its making (IPTC source type, content credentials, EXIF, texts of a PNG), "
        "and whether it is the file, the original or a rendition of an asset, or looks like one. Of an asset: the "
        "same of its file as it came. Exit code 1: it is none of ours; 2: there is no such file or asset, or no "
        "picture in it."
    )
    examples = (
        "manage.py verify_origin downloaded.jpg",
        "manage.py verify_origin 0197c2d4-0000-7000-8000-000000000000 --json",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", metavar="FILE|ASSET", help="The path of a file, or the id of an asset.")
        parser.add_argument("--json", action="store_true", help="One JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.needs_our_tables()
        try:
            found = self._looked_into(options["what"])
        except (MediagenError, OSError) as exc:
            raise CommandError(str(exc), returncode=USAGE) from exc
        self.stdout.write(json.dumps(found.data) if options["json"] else "\n".join(_lines(found)))
        if not found.is_ours:
            raise CommandError("It is none of our files.", returncode=SOME_FAILED)

    @staticmethod
    def _looked_into(what: str) -> Verified:
        path = Path(what)
        if path.is_file():
            with path.open("rb") as file:
                return verify(uploads.read(file), MediaAsset.objects.all())
        try:
            uuid.UUID(what)
        except ValueError:
            raise InvalidRequest(f"There is no file {what!r:.200}, and it is no id of an asset.") from None
        return verify_asset(get_asset(what), MediaAsset.objects.all())


def _lines(found: Verified) -> list[str]:
    says = found.says
    lines = [
        f"{found.format.upper()}, {found.width}x{found.height}, {found.size_bytes:,} bytes, SHA-256 {found.sha256}",
        f"Source type (IPTC): {says['digital_source_type'] or 'it says none'}",
        f"Content credentials (C2PA): {credentials_in_words(says['content_credentials'])}",
    ]
    for title, pairs in (("EXIF", says["exif"]), ("Text", says["texts"])):
        lines += [f"{title} {name}: {' '.join(value.split())[:200]}" for name, value in pairs.items()]
    lines += [
        f"{SENTENCES[match.how].format(asset=match.asset.pk, bits=match.bits)}: {match.asset}"
        for match in found.matches
    ]
    return lines if found.matches else [*lines, "No asset has this file, or looks like it."]


def credentials_in_words(said: dict[str, Any]) -> str:
    if not said:
        return "none"
    by = f"signed by {said['signer'] or 'somebody'}"
    return f"{by}, {said['validation']}" + (f", made with {said['generator']}" if said["generator"] else "")
