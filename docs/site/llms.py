"""What language models read: a list of the pages, and all of them in one file. https://llmstxt.org"""

from __future__ import annotations

import re
from pathlib import Path

from docs.site.staging import INDEX, Part

HEAD = """# mediagen

> A Django app that turns prompts into pictures, through an ordered chain of image providers with failover, and keeps
> each one as an asset in a media library. Nothing costs money until the site says so; nothing is bought twice blindly.

Names that are not on these pages do not exist. All pages in one file: [llms-full.txt](llms-full.txt).
"""


def files(sources: Path, parts: list[Part]) -> dict[str, str]:
    """name of the file to its text. Links are relative to the site's first folder."""
    texts = {page: (sources / page).read_text() for part in parts for page in part.pages}
    listed = HEAD
    for part in parts:
        lines = [f"- [{_title(texts[page])}](_sources/{page}): {_first_words(texts[page])}" for page in part.pages]
        listed += f"\n## {part.heading}\n\n" + "\n".join(lines) + "\n"
    index = (sources / INDEX).read_text().split("\n```{toctree}")[0]
    whole = "\n".join(f"<!-- {page} -->\n\n{text.strip()}\n" for page, text in {INDEX: index, **texts}.items())
    return {"llms.txt": listed, "llms-full.txt": whole}


def _title(text: str) -> str:
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    assert found is not None, f"a page without a title: {text[:80]!r}"
    return found[1].replace("`", "")


def _first_words(text: str) -> str:
    """The first sentence that is prose, without links."""
    prose = [block for block in text.split("\n\n")[1:] if re.match(r"[\w\[]|`[^`]", block)]
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(prose[0].split())) if prose else ""
    return re.split(r"(?<=\.) ", plain, maxsplit=1)[0].rstrip(":")
