"""Fields of a request body as data, and what is wrong with a body, in no vendor's words yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.servers.web import MalformedBody, Part

Kind = Literal["text", "int", "number", "bool", "object", "list", "file", "any"]
Trouble = Literal["missing", "unknown", "type", "choice", "minimum", "maximum", "multiple", "other"]


def words(text: str) -> tuple[str, ...]:
    """The words of a text, for long lists of choices."""
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `minimum` and `maximum` bound a number, or the length of a text or list, both inclusive."""

    kind: Kind = "text"
    required: bool = False
    nullable: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field; `says` reads on after the field's name."""

    field: str
    trouble: Trouble
    says: str
    limit: Any = None


def problems(data: Mapping[str, Any], fields: Mapping[str, Field], *, strict: bool = True) -> list[Problem]:
    """Everything wrong with a body. Values that are `Part`s are read as text, as multipart has nothing else."""
    found = [
        Problem(name, "missing", "is required") for name, spec in fields.items() if spec.required and name not in data
    ]
    for name, value in data.items():
        if name in fields:
            problem = check(name, value, fields[name])
            found += [problem] if problem else []
        elif strict:
            found.append(Problem(name, "unknown", "is not a known field"))
    return found


def check(name: str, value: Any, spec: Field) -> Problem | None:
    """What is wrong with one value, if anything."""
    if value is None:
        return None if spec.nullable else Problem(name, "type", f"must be {_kind_in_words(spec.kind)}, not null")
    if isinstance(value, Part):
        return _check_part(name, value, spec)
    if not _is_kind(value, spec.kind):
        return Problem(name, "type", f"must be {_kind_in_words(spec.kind)}")
    if spec.choices and value not in spec.choices:
        return Problem(name, "choice", f"must be one of {', '.join(spec.choices)}", spec.choices)
    size = value if spec.kind in ("int", "number") else len(value) if spec.kind in ("text", "list") else None
    if size is None:
        return None
    unit = {"text": " characters", "list": " items"}.get(spec.kind, "")
    if spec.minimum is not None and size < spec.minimum:
        return Problem(name, "minimum", f"must be at least {spec.minimum:g}{unit}", spec.minimum)
    if spec.maximum is not None and size > spec.maximum:
        return Problem(name, "maximum", f"must be at most {spec.maximum:.12g}{unit}", spec.maximum)
    if spec.multiple_of is not None and size % spec.multiple_of:
        return Problem(name, "multiple", f"must be a multiple of {spec.multiple_of}", spec.multiple_of)
    return None


def _check_part(name: str, part: Part, spec: Field) -> Problem | None:
    if spec.kind == "file":
        return Problem(name, "type", "must be a file, with a file name") if part.filename is None else None
    if part.filename is not None:
        return Problem(name, "type", "must be a text field, not a file")
    try:
        value = from_text(part.text, spec.kind)
    except (ValueError, MalformedBody):
        return Problem(name, "type", f"must be {_kind_in_words(spec.kind)}")
    return check(name, value, spec)


def from_text(text: str, kind: Kind) -> Any:
    """A multipart text as a value of `kind`, or ValueError."""
    if kind == "int":
        return int(text)
    if kind == "number":
        return float(text)
    if kind == "bool":
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    return text


def values(data: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """A checked body as plain values: multipart texts converted, files left as their `Part`."""
    return {
        name: from_text(value.text, fields[name].kind)
        if isinstance(value, Part) and name in fields and fields[name].kind != "file"
        else value
        for name, value in data.items()
    }


def _is_kind(value: Any, kind: Kind) -> bool:
    if kind == "any":
        return True
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    wanted = {"text": str, "bool": bool, "object": dict, "list": list}.get(kind)
    return wanted is not None and isinstance(value, wanted)


def _kind_in_words(kind: Kind) -> str:
    return {
        "text": "a string",
        "int": "an integer",
        "number": "a number",
        "bool": "true or false",
        "object": "an object",
        "list": "an array",
        "file": "a file",
        "any": "a value",
    }[kind]
