"""Builds the documentation as a site that reads offline: python -m docs.site.build [FOLDER]

Strict: an unknown link or anchor, a page outside the navigation, a file or place that a made page points at and that is
not there, or anything that would be loaded from another host, fails the build. Beside the pages: llms.txt, which lists
them for language models, llms-full.txt with all of their text, and the Markdown below _sources/.

Sphinx with MyST and furo, and not mkdocs-material: Sphinx's search is a script beside the pages and works from a folder
without a server or a plugin, its strict build follows anchors from page to page, and Django's own documentation is made
with it, so that it will be there as long as Django is. The pages stay Markdown that a forge shows as it is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
from sphinx.cmd.build import build_main

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
django.setup()

from docs.site import checking, llms  # noqa: E402 (they need the settings)
from docs.site.staging import ROOT, stage  # noqa: E402

TO_INDEX = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>mediagen</title>
<meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">mediagen: documentation</a></html>
"""


def main(arguments: list[str]) -> int:
    out = Path(arguments[0] if arguments else ROOT / "build/docs").absolute()
    sources = out.parent / f"{out.name}-sources"
    parts = stage(sources)
    words = ["-b", "html", "-W", "--keep-going", "-n", "-q", "-E", "-d", str(sources / ".doctrees")]
    if build_main([*words, "-c", str(ROOT / "docs/site"), str(sources), str(out)]):
        return 1
    checking.copy_named_files(sources, out)
    (out / "index.html").write_text(TO_INDEX)
    for name, text in llms.files(sources, parts).items():
        (out / name).write_text(text)
    wrong = checking.problems(out)
    print("\n".join(wrong) or f"{sum(len(part.pages) for part in parts) + 1} pages: {out / 'index.html'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
