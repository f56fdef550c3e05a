"""The page of all settings, from the comments and defaults in mediagen/conf.py."""

from __future__ import annotations

import ast
import inspect

from mediagen import __version__, conf

HEAD = """# Settings, one by one

Names of `MEDIAGEN` in your Django settings, as `mediagen/conf.py` has them in mediagen {version}. By subject, with the
environment variables: [Configuration](../configuration.md).
"""


def page() -> str:
    said = [f"## `{name}`\n\nDefault: `{default}`\n\n{meaning}\n" for name, default, meaning in entries()]
    return HEAD.format(version=__version__) + "\n" + "\n".join(said)


def entries() -> list[tuple[str, str, str]]:
    """(name, its default as it is written, meaning) in the file's order. A comment is for all names that follow it."""
    source = inspect.getsource(conf)
    lines = source.splitlines()
    [table] = [
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.value, ast.Dict)
        and ast.unparse(node.target) == "DEFAULTS"
    ]
    found, meaning = [], ""
    for key, value in zip(table.keys, table.values, strict=True):
        assert isinstance(key, ast.Constant)
        meaning = _comment_above(lines, key.lineno - 1) or meaning
        found.append((str(key.value), ast.unparse(value), meaning))
    assert [name for name, _, _ in found] == list(conf.DEFAULTS)
    return found


def _comment_above(lines: list[str], number: int) -> str:
    words: list[str] = []
    while lines[number - 1].strip().startswith("#"):
        number -= 1
        words.insert(0, lines[number].strip().lstrip("# "))
    return escaped(" ".join(words))


def escaped(text: str) -> str:
    """Text of the code as Markdown that shows it unchanged."""
    for sign in "\\`*_<>[]{}|":
        text = text.replace(sign, f"\\{sign}")
    return text
