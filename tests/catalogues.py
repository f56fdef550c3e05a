"""Catalogues of translations, read without gettext's tools."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.utils.translation.template import templatize

PACKAGE = Path(__file__).parent.parent / "mediagen"
FOLDER = PACKAGE / "locale"
LANGUAGES = ("ar", "de", "es", "fr")
PLURAL = {"ngettext": 1, "ngettext_lazy": 1}
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", *PLURAL}
LINE = re.compile(r'(?:(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d)\])? )?(".*")')


@dataclass
class Entry:
    msgid: str = ""
    plural: str = ""
    context: str = ""
    forms: dict[int, str] = field(default_factory=dict)
    flags: str = ""
    is_obsolete: bool = False


def entries(language: str) -> list[Entry]:
    """The header first."""
    text = (FOLDER / language / "LC_MESSAGES" / "django.po").read_text(encoding="utf-8")
    return [_entry(block) for block in text.strip().split("\n\n")]


def _entry(block: str) -> Entry:
    entry, place = Entry(), ("", 0)
    names = {"msgid": "msgid", "msgid_plural": "plural", "msgctxt": "context"}
    for line in block.splitlines():
        if line.startswith("#,"):
            entry.flags += line
        entry.is_obsolete |= line.startswith("#~")
        if match := LINE.fullmatch(line):
            place = (match[1], int(match[2] or 0)) if match[1] else place
            words = ast.literal_eval(match[3])
            if place[0] == "msgstr":
                entry.forms[place[1]] = entry.forms.get(place[1], "") + words
            else:
                setattr(entry, names[place[0]], getattr(entry, names[place[0]]) + words)
    return entry


def marked() -> Iterator[tuple[str, str, str]]:
    """(file, text, its plural or "") for each text that is marked in the source."""
    for file in sorted(PACKAGE.rglob("*.py")):
        yield from ((str(file), *texts) for texts in _marked_in(file.read_text(encoding="utf-8")))
    pages = {page.resolve() for folder in (PACKAGE.parent / "templates", PACKAGE) for page in folder.rglob("*.html")}
    for page in sorted(pages):
        for call in re.findall(r"\b(?:gettext|ngettext|_)\(.*?\) ", templatize(page.read_text(encoding="utf-8"))):
            yield from ((str(page), *texts) for texts in _marked_in(call.strip()))


def _marked_in(source: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        texts = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if name in MARKS and texts:
            yield texts[0], texts[1] if name in PLURAL and len(texts) > 1 else ""
