"""Prompts from columns: "A {colour} {animal} on a beach"."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediagen.engine.batches.manifests.columns import canonical
from mediagen.engine.batches.manifests.problems import ManifestError, shown


@dataclass(frozen=True, slots=True)
class Template:
    """Text with `{column}` in it. Build it with `parse()`."""

    parts: tuple[tuple[str, str | None], ...]
    """text, and the column whose value follows it"""
    fields: tuple[str, ...]
    """the columns it uses, each once"""

    @classmethod
    def parse(cls, text: str) -> Template:
        """The template, or `ManifestError`. `{{` and `}}` are braces; nothing but a column's name may stand in braces,
        so that a template can only ever copy text."""
        try:
            pieces = list(string.Formatter().parse(text))
        except ValueError as exc:
            raise _refused(
                f"{str(exc).rstrip('.')}. Write a brace that is meant as such twice: {{{{ or }}}}."
            ) from None
        parts: list[tuple[str, str | None]] = []
        for literal, field, spec, conversion in pieces:
            if field is None:
                parts.append((literal, None))
                continue
            name = field.strip()
            if not name:
                raise _refused("has {} without a name. Write the column's name: {colour}.")
            if spec or conversion or any(character in name for character in ".[]{}"):
                raise _refused(
                    f"may only name columns in braces, without '.', '[', '!' or ':'. Write {{colour}} instead of what "
                    f"stands at {shown(field)}."
                )
            parts.append((literal, canonical(name)))
        if not "".join(literal + (name or "") for literal, name in parts).strip():
            raise _refused("is empty. Say what the pictures should show.")
        return cls(tuple(parts), tuple(dict.fromkeys(name for _, name in parts if name is not None)))

    def fill(self, values: Mapping[str, Any]) -> str:
        """The prompt. KeyError for a column that has no value."""
        return "".join([literal if name is None else f"{literal}{values[name]}" for literal, name in self.parts])


def _refused(message: str) -> ManifestError:
    return ManifestError(f"The template {message}")
