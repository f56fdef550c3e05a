"""manage.py mediagen_rotate_credentials: everything that is stored encrypted, encrypted with the first key."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.providers import credentials
from mediagen.management.base import MediagenCommand


class Command(MediagenCommand):
    help = (
        "Encrypts every stored credential (keys of providers, tokens of connections, secrets of webhooks) with the "
        "first of MEDIAGEN['ENCRYPTION_KEYS']. Exit code 0: all of them can be read with it now; 1: no key fits some, "
        "which are named and left as they are."
    )
    examples = ("manage.py mediagen_rotate_credentials --dry-run",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and do nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        counted: Counter[str] = Counter()
        for secret in credentials.rotate(dry_run=options["dry_run"]):
            counted[secret.result] += 1
            if secret.result == "unreadable":
                self.stderr.write(f"{secret.what}: cannot be decrypted with any configured key")
            elif secret.result == "rotated":
                verb = "would be encrypted anew" if options["dry_run"] else "encrypted anew"
                self.stdout.write(f"{secret.what}: {verb}")
        self.stdout.write(
            f"{counted['rotated']} {'to rotate' if options['dry_run'] else 'rotated'}, "
            f"{counted['current']} current, {counted['unreadable']} unreadable"
        )
        if counted["unreadable"]:
            raise CommandError(
                "Enter the unreadable ones again, or add the key they were encrypted with to "
                "MEDIAGEN['ENCRYPTION_KEYS'] (or SECRET_KEY_FALLBACKS), and run this again.",
                returncode=1,
            )
