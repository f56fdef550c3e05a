"""The sources of the site: the repository's pages as they lie there, so that no link is rewritten, and generated ones.

The navigation is what docs/index.md says: a heading for each kind of reader, and the pages below it in their order.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, join, normpath

from docs.site import api_reference, declarations, settings_reference

ROOT = Path(__file__).resolve().parent.parent.parent
OF_THE_ROOT = ("README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "Dockerfile", "compose.yaml")
INDEX = "docs/index.md"
API, SETTINGS = "docs/reference/api.md", "docs/reference/settings.md"
_PART = re.compile(r"^## (For .+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_PAGE = re.compile(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)")
_LISTED = "```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


@dataclass(frozen=True)
class Part:
    """A part of the navigation: pages by their path in the repository."""

    heading: str
    pages: tuple[str, ...]


def parts() -> list[Part]:
    """What docs/index.md lists, each page where it comes first; then what is made at build time."""
    listed: set[str] = {INDEX}
    found = []
    for heading, text in _PART.findall((ROOT / INDEX).read_text()):
        named = [normpath(join(dirname(INDEX), link)) for link in _PAGE.findall(text)]
        found.append(Part(heading, tuple(dict.fromkeys(page for page in named if page not in listed))))
        listed |= set(named)
    return [*found, Part("Reference, made from the code", (SETTINGS, API))]


def stage(folder: Path) -> list[Part]:
    """Writes all sources below `folder`, which is emptied. The parts of the navigation."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("site", "__pycache__"))
    for name in OF_THE_ROOT:
        shutil.copy(ROOT / name, folder / name)
    # Files that pages link to, handed out as they are.
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("*.md", "node_modules"))
    (folder / "docs/reference").mkdir()
    (folder / API).write_text(api_reference.page())
    (folder / "docs/reference/openapi.json").write_text(api_reference.as_json())
    (folder / SETTINGS).write_text(settings_reference.page())
    for name, text in declarations.sections():
        page = folder / f"docs/providers/{name}.md"
        page.write_text(f"{page.read_text()}\n{text}")
    found = parts()
    with (folder / INDEX).open("a") as index:
        for part in found:
            inside = "\n".join(f"/{page.removesuffix('.md')}" for page in part.pages)
            index.write("\n" + _LISTED.format(caption=part.heading, pages=inside))
    return found
