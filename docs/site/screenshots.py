"""Takes the screenshots of README and studio page from the demo, light and dark: python -m docs.site.screenshots

A site of its own in a temporary folder, the pictures of `make demo` and some more in dry run, a real Chromium
(playwright, requirements/outside.txt; MEDIAGEN_CI_CHROMIUM names the program). Run by hand when the pages have changed;
the files in docs/pictures are kept in the repository, all of them together below 150 KB, as a test says.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURES = ROOT / "docs/pictures"
SIZE = {"width": 1200, "height": 660}
QUALITY = 40
MORE = (
    [
        "A tram at dusk, rain on the rails",
        "A heron in the reeds, woodcut",
        "A desk lamp on white",
        "Harbour, early morning",
    ],
    ["An enamel mug, product photograph", "A hut in the mountains, snow", "Glass greenhouse at night"],
)
LOGIN = """
from django.contrib.auth import get_user_model
get_user_model().objects.create_superuser("demo", "demo@site.example", "demo-of-the-screenshots")
"""
SHOTS = {"studio": "/studio/", "admin": "/admin/mediagen/providerconfig/"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        environment = {
            **os.environ,
            "MEDIAGEN_DATA_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "config.settings.dev",
        }
        for arguments in prepared():
            subprocess.run(
                [sys.executable, *arguments], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
            )
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "config.asgi:application", "--port", str(port), "--log-level", "warning"],
            cwd=ROOT,
            env=environment,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz")
            shoot(f"http://127.0.0.1:{port}")
        finally:
            server.terminate()
            server.wait()


def prepared() -> list[list[str]]:
    made = [
        ["manage.py", "generate_assets", *prompts, "--size", size, "--library", "Demo", "--dry-run"]
        for prompts, size in zip(MORE, ("1200x800", "900x900"), strict=True)
    ]
    return [
        ["manage.py", "migrate", "--verbosity", "0"],
        ["-m", "config.demo", "pictures"],
        *made,
        ["manage.py", "shell", "-v", "0", "-c", LOGIN],
    ]


def wait_for(address: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address).close()  # noqa: S310 (an address of our own)
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{address} does not answer.")


def shoot(site: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    program = os.environ.get("MEDIAGEN_CI_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--hide-scrollbars"])
        for scheme in ("light", "dark"):
            page = chromium.new_page(viewport=SIZE, color_scheme=scheme)
            page.goto(f"{site}/admin/login/?next=/studio/")
            page.fill("[name=username]", "demo")
            page.fill("[name=password]", "demo-of-the-screenshots")
            page.click("[type=submit]")
            for name, path in SHOTS.items():
                page.goto(site + path)
                keep(page, f"{name}-{scheme}")
            page.close()
        chromium.close()
    print(f"{sum(file.stat().st_size for file in PICTURES.iterdir()):,} bytes in {PICTURES}")


def keep(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(PICTURES / f"{name}.webp", "WEBP", quality=QUALITY, method=6)


if __name__ == "__main__":
    main()
