"""Reads the documentation: code blocks, tables, headings, links and commands of a Markdown page."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md")))
}

_FENCE = re.compile(r"^```(.*)$")
_EXIT_CODE = re.compile(r"#\s*exit code (\d+)\s*$")
_TAKEN = re.compile(r"([A-Z_]+)=\$\((.*)\)$")
_OUTPUT = re.compile(r"# -> (.*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block. `words` are the words after the language; `line` is the number of its first line of code."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file_name(self) -> str:
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), "")

    @property
    def engine(self) -> str:
        """The task engine that the block is for: its processes stay, and tests/brokers runs it."""
        return next((word.removeprefix("engine=") for word in self.words if word.startswith("engine=")), "")

    @property
    def output(self) -> list[str]:
        """What the block says that it prints, line by line."""
        return [found[1] for line in self.text.splitlines() if (found := _OUTPUT.search(line))]

    @property
    def source(self) -> str:
        """The code, with as many empty lines in front that a traceback names the page's line."""
        return "\n" * (self.line - 1) + self.text


@dataclass(frozen=True)
class Command:
    """One line of a shell block that calls manage.py, or an export."""

    where: str
    environment: dict[str, str]
    arguments: tuple[str, ...]
    """after manage.py; empty for an export"""
    exit_code: int
    variable: str = ""
    """that takes the output: NAME=$(...)"""

    def __str__(self) -> str:
        return f"{self.where}: {shlex.join(self.arguments)}"


@cache
def text_of(page: str) -> str:
    return PAGES[page].read_text()


@cache
def blocks(page: str) -> tuple[Block, ...]:
    found: list[Block] = []
    info, first, lines = "", 0, None
    for number, line in enumerate(text_of(page).splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and lines is None:
            info, first, lines = fence[1].strip(), number + 1, []
        elif fence:
            language, *words = info.split() or [""]
            found.append(Block(page, first, language, tuple(words), "\n".join(lines or []) + "\n"))
            lines = None
        elif lines is not None:
            lines.append(line)
    assert lines is None, f"{page}: the block that begins at line {first} is not closed"
    return tuple(found)


def marked(page: str, *words: str) -> list[Block]:
    """Python blocks of a page that carry all these words."""
    return [block for block in blocks(page) if block.language == "python" and set(words) <= set(block.words)]


def prose(page: str) -> str:
    """The page without its code blocks and inline code."""
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "``", text)


def links(page: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


@cache
def anchors(page: str) -> frozenset[str]:
    """Anchors of a page's headings, as the hosting sites make them."""
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        number = next(n for n in range(99) if (f"{slug}-{n}" if n else slug) not in found)
        found.add(f"{slug}-{number}" if number else slug)
    return frozenset(found)


def tables(page: str) -> list[list[list[str]]]:
    """Every table as rows of cells, the heading first and without the line of dashes."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text_of(page).splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        if not inside:
            found.append([])
            inside = True
        if not re.fullmatch(r"[|\-: ]+", line) or not found[-1]:
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def table(page: str, *heading: str) -> list[list[str]]:
    """The rows below all tables whose heading begins with these cells."""
    rows = [row for found in tables(page) if tuple(found[0][: len(heading)]) == heading for row in found[1:]]
    assert rows, f"{page} has no table with the heading {' | '.join(heading)}"
    return rows


def names_in(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def commands(page: str) -> list[Command]:
    """Every line in a `sh` block that calls manage.py or exports a variable, in order.

    Blocks that name an engine are for processes that stay; tests/brokers runs those.
    """
    return [command for block in blocks(page) if block.language == "sh" for command in commands_of(block)]


def commands_of(block: Block) -> list[Command]:
    if block.engine:
        return []
    lines = enumerate(block.text.replace("\\\n", "  ").splitlines(), block.line)
    found = [_command(f"{block.page}:{number}", line) for number, line in lines]
    return [command for command in found if command is not None]


def _command(where: str, line: str) -> Command | None:
    status = _EXIT_CODE.search(line)
    taken = _TAKEN.match(line.strip())
    words = shlex.split(taken[2] if taken else line, comments=True)
    if words and words[0] == "export":
        return Command(where, dict(word.split("=", 1) for word in words[1:]), (), 0)
    environment: dict[str, str] = {}
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    if "manage.py" not in words or words[-1] == "&":  # a server that stays; see test_processes.py
        return None
    arguments = words[words.index("manage.py") + 1 :]
    assert words[0].endswith("python"), f"{where}: begins with {words[0]}"
    return Command(where, environment, tuple(arguments), int(status[1]) if status else 0, taken[1] if taken else "")
