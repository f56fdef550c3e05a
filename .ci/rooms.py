"""Draws the rooms of the engine and who imports whom, as Mermaid: python3 .ci/rooms.py

tests/docs compares it with the picture in docs/contributing.md.
"""

import ast
from pathlib import Path

ENGINE = Path(__file__).resolve().parent.parent / "mediagen" / "engine"


def main() -> None:
    print(drawn())


def drawn() -> str:
    """The picture: a line for each two rooms of which the first imports the second, and none between them does."""
    below = {room: imported_by(room) for room in rooms()}
    lines = ["flowchart TD"]
    for room in sorted(below, key=lambda name: (-len(reached(name, below)), name)):
        through = set().union(*(reached(other, below) for other in below[room])) if below[room] else set()
        lines += [f"    {room} --> {other}" for other in sorted(below[room] - through)]
    return "\n".join(lines)


def rooms() -> list[str]:
    return sorted(path.parent.name for path in ENGINE.glob("*/__init__.py"))


def imported_by(room: str) -> set[str]:
    """Rooms that the files of this one import, itself left out."""
    found = set()
    for file in (ENGINE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {name.split(".")[2] for name in names if name.startswith("mediagen.engine.")}
    return found & set(rooms()) - {room}


def reached(room: str, below: dict[str, set[str]]) -> set[str]:
    """All rooms under this one."""
    return below[room].union(*(reached(other, below) for other in below[room]))


if __name__ == "__main__":
    main()
