"""A record of a manifest becomes what the engine is asked for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mediagen.engine.batches.manifests.cells import unprotect
from mediagen.engine.batches.manifests.columns import (
    KEYS,
    OPTION_PREFIX,
    RESULT_PREFIX,
    canonical,
    is_from_results,
    option_name,
)
from mediagen.engine.batches.manifests.problems import Problem, shown
from mediagen.engine.batches.manifests.template import Template
from mediagen.engine.generation import AssetOrder, sources
from mediagen.operations import EDIT, OPERATIONS, Margins


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """One picture to be made."""

    line: int
    """physical, 1-based, the first one of the row"""
    row_key: str
    """unique in the manifest and the same whenever it is read"""
    arguments: dict[str, Any]
    """of `AssetOrder.of`, and `library`, the word by which the row names one"""
    values: Mapping[str, Any]
    """the row's cells as they stand in the manifest, by column; empty ones are left out"""
    copy: int = 1
    """1 to `copies`: which of the pictures that the row asks for"""
    copies: int = 1

    @property
    def library(self) -> str:
        """Name, slug or id; empty: none is named."""
        word: str = self.arguments.get("library") or ""
        return word

    def order(self, library_id: uuid.UUID | None = None, **more: Any) -> AssetOrder:
        """The order, with the library that `library` was found to be. `InvalidRequest` if it cannot be made."""
        return order_from(self.arguments, library_id=library_id, **more)


@dataclass(slots=True, kw_only=True)
class Entry:
    """One record of a manifest as it was read: right, or with its problems."""

    line: int
    values: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    count: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def base_key(self) -> str:
        """The key that it was given, or else its line number."""
        return self.key if self.key is not None else str(self.line)

    def copies(self, defaults: Mapping[str, Any]) -> int:
        """How many pictures it asks for."""
        return self.count if self.count is not None else int(defaults.get("count") or 1)

    def rows(self, defaults: Mapping[str, Any] | None = None) -> Iterator[ManifestRow]:
        """One per picture, with `defaults` for what the entry does not say. Each has a dict of its own."""
        arguments = with_defaults(self.arguments, defaults or {})
        copies = self.copies(defaults or {})
        if copies == 1:
            yield ManifestRow(line=self.line, row_key=self.base_key, arguments=arguments, values=self.values)
            return
        seed = arguments.get("seed")
        for number in range(copies):
            yield ManifestRow(
                line=self.line,
                row_key=f"{self.base_key}#{number + 1}",
                arguments=arguments | ({} if seed is None else {"seed": seed + number}),
                values=self.values,
                copy=number + 1,
                copies=copies,
            )


def with_defaults(arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The row's own words before the defaults; tags of both. A default of None is none."""
    # A size for all is that of what is made out of words.
    ignored = ("count", "width", "height") if "operation" in arguments else ("count",)
    merged = {name: value for name, value in defaults.items() if value is not None and name not in ignored}
    if "providers" in arguments:
        merged.pop("provider", None)
    tags = merged.get("tags", ())
    merged.update(arguments)
    if tags and "tags" in arguments:
        merged["tags"] = [*([tags] if isinstance(tags, str) else tags), *arguments["tags"]]
    return merged


def order_from(arguments: Mapping[str, Any], **more: Any) -> AssetOrder:
    """The order of `ManifestRow.arguments`, whose `library` is only a word; `source` and `mask` are assets, which a
    checker has found."""
    given = {**{name: value for name, value in arguments.items() if name != "library"}, **more}
    if "operation" not in given:
        return AssetOrder.of(**given)
    margins = {side: given.pop(side) for side in Margins._fields if side in given}
    return sources.order_of(given.pop("operation"), given.pop("source", ()), margins=margins, **given)


class EntryReader:
    """Records of one manifest to entries. Keeps nothing of what it has read."""

    def __init__(self, template: Template | None, columns: Sequence[str] = ()) -> None:
        """`columns` are the header of a CSV manifest, with names as `canonical` has them."""
        self.template = template
        self._used = frozenset(template.fields) if template else frozenset()
        self.is_result = any(_marks(name) and name not in self._used for name in columns)
        names = [canonical(unprotect(name)) for name in columns] if self.is_result else list(columns)
        self._cells = [(at, name) for at, name in enumerate(names) if self._is_read(name)]
        self._width = len(names)
        self.columns = tuple(name for _, name in self._cells if name)

    def _is_read(self, name: str) -> bool:
        return name in self._used or not is_from_results(name)

    def from_cells(self, line: int, cells: Sequence[str]) -> Entry | None:
        """None when all cells are empty, which is how spreadsheets end a file."""
        if len(cells) > self._width:
            if not any(cell and not cell.isspace() for cell in cells):
                return None
            message = (
                f"has {len(cells)} cells, the header has {self._width} columns. Put a cell that holds a comma in "
                "quotation marks, with no space before the first."
            )
            return Entry(line=line, problems=[Problem(line, "", message)])
        values: dict[str, Any] = {}
        last = len(cells)
        for at, name in self._cells:
            if at < last and (cell := cells[at]) and not cell.isspace():
                values[name] = unprotect(cell) if self.is_result else cell
        if not values and not any(cell and not cell.isspace() for cell in cells):
            return None
        if "" in values:
            message = f"{shown(values[''])} stands in a column without a name. Name the column in the header."
            return Entry(line=line, problems=[Problem(line, "", message)])
        return self._entry(line, values)

    def from_object(self, line: int, record: Mapping[str, Any]) -> Entry:
        values: dict[str, Any] = {}
        for key, value in record.items():
            name = canonical(key)
            if not self._is_read(name):
                continue
            if name in values:
                message = "stands there twice, in two spellings. Keep one."
                return Entry(line=line, values=values, problems=[Problem(line, name, message)])
            if value is not None and (value != "" or name not in KEYS):
                values[name] = value
        return self._entry(line, values)

    def from_text(self, line: int, prompt: str) -> Entry:
        return self._entry(line, {"prompt": prompt})

    def _entry(self, line: int, values: dict[str, Any]) -> Entry:
        entry = Entry(line=line, values=values)
        arguments, problems = entry.arguments, entry.problems
        for column, value in values.items():
            convert = KEYS.get(column)
            try:
                if convert is not None:
                    arguments[column] = convert(value)
                elif column not in self._used:
                    name = option_name(column)
                    if name in arguments:
                        raise ValueError(
                            f"the option is given twice, as {name} and as {OPTION_PREFIX}{name}. Keep one."
                        )
                    arguments[name] = value
            except ValueError as exc:
                problems.append(Problem(line, shown_name(column), str(exc)))
        entry.key = arguments.pop("key", None)
        entry.count = arguments.pop("count", None)
        self._settle_alternatives(entry)
        self._settle_prompt(entry)
        return entry

    def _settle_alternatives(self, entry: Entry) -> None:
        arguments = entry.arguments
        if "size" in entry.values:
            size = arguments.pop("size", None)
            if "width" in entry.values or "height" in entry.values:
                message = "stands beside width or height. Give either the size or these."
                entry.problems.append(Problem(entry.line, "size", message))
            elif size is not None:
                arguments["width"], arguments["height"] = size
        if "source" in arguments:
            arguments.setdefault("operation", EDIT)
        elif alone := [name for name in OF_WORK if name in arguments]:
            message = "needs a source: the id of the asset that it is about."
            entry.problems.append(Problem(entry.line, alone[0], message))
        if "provider" in arguments:
            providers = arguments.pop("provider")
            if "providers" in entry.values:
                message = "stands beside providers. Give one of the two."
                entry.problems.append(Problem(entry.line, "provider", message))
            arguments["providers"] = providers

    def _settle_prompt(self, entry: Entry) -> None:
        problems, values = entry.problems, entry.values
        if self.template is None:
            operation = OPERATIONS.get(entry.arguments.get("operation", ""))
            if operation is not None and not operation.needs_prompt:
                return
            if "prompt" not in values or (isinstance(values["prompt"], str) and not values["prompt"].strip()):
                message = "is empty. Say what the picture should show."
                problems.append(Problem(entry.line, "prompt", message))
            return
        if "prompt" in values and "prompt" not in self._used:
            problems.append(Problem(entry.line, "prompt", PROMPT_AND_TEMPLATE))
            return
        filled: dict[str, str] = {}
        for name in self.template.fields:
            text = _template_text(values.get(name))
            if text is None:
                message = f"must be text or a number for the template, not {shown(values[name])}."
                problems.append(Problem(entry.line, shown_name(name), message))
            elif not text.strip():
                problems.append(
                    Problem(entry.line, shown_name(name), "is empty, but the template uses it. Fill it in.")
                )
            filled[name] = text or ""
        if not problems:
            entry.arguments["prompt"] = self.template.fill(filled)


OF_WORK = ("operation", "mask", "factor", *Margins._fields)
"""columns that say what is done with a source"""
PROMPT_AND_TEMPLATE = (
    "stands beside a template that does not use it, so one of the two would be ignored. Write {prompt} into the "
    "template, or leave one of them out."
)


def shown_name(name: str) -> str:
    """A column's name as a problem may give it."""
    return name if name and len(name) <= 60 and name.isprintable() else shown(name)


def _marks(name: str) -> bool:
    """Whether the column says that a `ResultWriter` wrote the file."""
    return name in ("row_key", f"{RESULT_PREFIX}row_key")


def _template_text(value: Any) -> str | None:
    """None when it is neither text nor a number."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return None if isinstance(value, bool) or not isinstance(value, int | float) else str(value)
