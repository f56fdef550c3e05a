"""What Sphinx does not look at: whether the made pages point at files and places that are there, and load no others."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

LOADS = {"script": "src", "img": "src", "source": "srcset", "iframe": "src"}
STYLE = ("stylesheet", "icon", "preload")


class Page(HTMLParser):
    """Addresses that a page links to and loads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADS and found.get(LOADS[tag]):
            self.loaded.append(found[LOADS[tag]].split()[0])
        if tag == "link" and set(found.get("rel", "").split()) & set(STYLE):
            self.loaded.append(found["href"])


def copy_named_files(sources: Path, out: Path) -> None:
    """Pictures, which pages name in HTML, and the schema, under the addresses that they have in the repository."""
    if (sources / "docs/pictures").is_dir():
        shutil.copytree(sources / "docs/pictures", out / "docs/pictures", dirs_exist_ok=True)
    shutil.copy(sources / "docs/reference/openapi.json", out / "docs/reference/openapi.json")


def problems(out: Path) -> list[str]:
    # Files that are handed out as they are are no pages of ours.
    pages = {path: Page(path) for path in sorted(out.rglob("*.html")) if "_downloads" not in path.parts}
    found = []
    for path, page in pages.items():
        where = path.relative_to(out)
        found += [f"{where} loads {url} from elsewhere" for url in page.loaded if _is_elsewhere(url)]
        for url in dict.fromkeys([*page.links, *page.loaded]):
            if _is_elsewhere(url):
                continue
            address, anchor = urldefrag(url)
            target = (path.parent / unquote(urlsplit(address).path)).resolve() if urlsplit(address).path else path
            if not target.is_file():
                found.append(f"{where} points at {url}, which is not there")
            elif target in pages and unquote(anchor) not in pages[target].anchors:
                found.append(f"{where} points at {url}, and there is no such place on that page")
    return found


def _is_elsewhere(url: str) -> bool:
    return bool(urlsplit(url).scheme or urlsplit(url).netloc) and not url.startswith("data:")
