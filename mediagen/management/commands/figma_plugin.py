"""manage.py figma_plugin: writes mediagen's plugin for Figma, made out for this site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen import conf
from mediagen.engine.exports import files_of_plugin
from mediagen.errors import MediagenError
from mediagen.management.base import MediagenCommand


class Command(MediagenCommand):
    help = (
        "Writes manifest.json, code.js and ui.html of the Figma plugin into a folder. In Figma's desktop app: Plugins, "
        "Development, Import plugin from manifest."
    )
    examples = ("manage.py figma_plugin --output figma-plugin --site https://media.example",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", required=True, metavar="DIR", help="The folder; made when it is missing.")
        parser.add_argument(
            "--site", metavar="URL", help='Where people reach this site, "https://media.example". Default: SITE_URL.'
        )
        parser.add_argument("--plugin-id", default="mediagen", metavar="ID", help="Figma's id of a published plugin.")
        parser.add_argument("--name", default="", help="What the plugin is called in Figma.")

    def handle(self, *args: Any, **options: Any) -> None:
        site = options["site"] or conf.get("SITE_URL")
        if not site:
            raise CommandError(
                'Say where people reach this site: --site https://media.example, or MEDIAGEN["SITE_URL"].'
            )
        try:
            found = files_of_plugin(site, plugin_id=options["plugin_id"], name=options["name"])
        except MediagenError as exc:
            raise CommandError(str(exc)) from None
        folder = Path(options["output"])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in found.items():
                (folder / name).write_text(content, encoding="utf-8")
        except OSError as exc:
            raise CommandError(f"{folder} cannot be written: {exc.strerror or exc}") from None
        self.stdout.write(f"{', '.join(found)} are in {folder}.")
        self.stdout.write("In Figma's desktop app: Plugins > Development > Import plugin from manifest.")
