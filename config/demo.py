"""What `make demo` and `make serve` do in the database: example pictures, and a login for the admin."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.management import execute_from_command_line

if TYPE_CHECKING:
    from mediagen.models import MediaAsset

LIBRARY = "Demo"
LOGIN = "demo"
PROMPTS = (
    "A lighthouse in the fog, oil on canvas",
    "A bicycle made of glass on a white table",
    "Ein Café im Regen, Neonlicht, 東京",
)


def pictures() -> None:
    """Generate the example pictures in dry run, once; then say where they are."""
    if not ready_pictures():
        arguments = ["generate_assets", *PROMPTS, "--library", LIBRARY, "--create-library", "--dry-run"]
        print(f"{here(Path(sys.executable))} manage.py {shlex.join(arguments)}\n", flush=True)
        # As from the command line: it ends the process itself, with a message and not a traceback, when it fails.
        execute_from_command_line(["manage.py", *arguments])
    assets = ready_pictures()
    print(f'\nThe media library "{LIBRARY}" has {len(assets)} pictures:')
    for asset in assets:
        print(f"  {where(asset)}  {asset.width}x{asset.height}  {asset.prompt}")
    command = f"{here(Path(sys.executable))} manage.py generate_assets 'your prompt'"
    print(f"\nMore:           {command} --size 1024x768")
    print("In the browser: make serve, then the studio at http://127.0.0.1:8000/studio/")
    print(f"For real:       OPENAI_API_KEY=... {command} --live")


def ready_pictures() -> list[MediaAsset]:
    from mediagen.models import MediaAsset

    ready = MediaAsset.objects.filter(library__name=LIBRARY, generation_state="ready")
    return list(ready.order_by("created_at", "pk")[: len(PROMPTS)])


def where(asset: MediaAsset) -> str:
    """The file's path; its name where the storage has no paths."""
    try:
        return here(Path(asset.file.path))
    except NotImplementedError:
        return str(asset.file.name)


def here(path: Path) -> str:
    """The path as one would type it in this folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def login() -> None:
    """An admin login with a random password, printed once and kept nowhere."""
    from django.contrib.auth import get_user_model

    users = get_user_model()._default_manager
    if users.filter(username=LOGIN).exists():
        python = here(Path(sys.executable))
        print(f"The login '{LOGIN}' exists. A new password for it: {python} manage.py changepassword {LOGIN}")
        return
    password = secrets.token_urlsafe(12)
    users.create_superuser(username=LOGIN, email="", password=password)
    print(f"Made a login for the studio and the admin: {LOGIN}   password: {password}   (shown this once)")


def main(arguments: list[str]) -> None:
    steps = {"pictures": pictures, "login": login}
    if len(arguments) != 1 or arguments[0] not in steps:
        sys.exit(f"usage: python -m config.demo {'|'.join(steps)}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    django.setup()
    if not settings.DEBUG:
        sys.exit("This is for development: a known login has no place on a public site (DEBUG is off).")
    steps[arguments[0]]()


if __name__ == "__main__":
    main(sys.argv[1:])
