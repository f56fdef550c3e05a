"""The page of the HTTP API's addresses and shapes, from the schema that the API itself hands out."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from docs.site.declarations import table
from docs.site.settings_reference import escaped
from mediagen import __version__
from mediagen.api import schema

HEAD = """# HTTP API, address by address

Made from the OpenAPI schema of mediagen {version}, which a site answers at `schema/` below the API's own address, and
which lies [beside this page](openapi.json). How to begin, how to sign in, lists and errors: [The API](../api.md).

Every failure is a [`Problem`](#shape-problem).
"""


@cache
def document() -> dict[str, Any]:
    return dict(schema.document())


def as_json() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def page() -> str:
    found = document()
    by_tag: dict[str, list[str]] = {}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    tags = sorted(by_tag, key=str.lower)
    text = HEAD.format(version=__version__)
    text += "".join(f"\n## {tag}\n\n" + "\n".join(by_tag[tag]) for tag in tags)
    text += "\n## Webhooks\n\nWhat a site sends to your endpoints; see [Webhooks](../webhooks.md).\n\n"
    text += table(("event", "body"), [(f"`{name}`", _body(of["post"])) for name, of in found["webhooks"].items()])
    shapes = found["components"]["schemas"]
    return text + "\n## Shapes\n\n" + "\n".join(_shape(name, shapes[name]) for name in sorted(shapes))


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    text = f"### `{method.upper()} {path}`\n\n"
    for words in (operation.get("summary"), operation.get("description")):
        text += f"{escaped(words)}\n\n" if words else ""
    if parameters := operation.get("parameters"):
        rows = [
            (
                f"`{one['name']}`",
                one["in"],
                _type(one.get("schema", {})) + (", required" if one.get("required") else ""),
                escaped(one.get("description", "")),
            )
            for one in parameters
        ]
        text += table(("parameter", "in", "takes", "meaning"), rows) + "\n"
    if "requestBody" in operation:
        text += f"Body: {_body(operation)}\n\n"
    answers = [(code, answer) for code, answer in operation["responses"].items()]
    good = [f"{code} {_content(answer)}".strip() for code, answer in answers if code < "400"]
    failures = ", ".join(code for code, _ in answers if code >= "400")
    return text + f"Answers: {'; '.join(good)}" + (f". Failures: {failures}" if failures else "") + ".\n"


def _body(operation: dict[str, Any]) -> str:
    return _content(operation["requestBody"])


def _content(of: dict[str, Any]) -> str:
    kinds = []
    for kind, what in of.get("content", {}).items():
        shown = _type(what.get("schema", {}))
        kinds.append(shown if kind == "application/json" else f"{shown} as `{kind}`")
    return " or ".join(kinds)


def _shape(name: str, shape: dict[str, Any]) -> str:
    text = f"(shape-{name.lower()})=\n\n### `{name}`\n\n"
    if shape.get("description"):
        text += f"{escaped(shape['description'])}\n\n"
    fields = shape.get("properties")
    if not fields:
        return text + f"{_type(shape)}\n"
    required = set(shape.get("required", ()))
    rows = [
        (
            f"`{field}`" + (" (required)" if field in required else ""),
            _type(of),
            escaped(of.get("description", "")) + (" Read only." if of.get("readOnly") else ""),
        )
        for field, of in fields.items()
    ]
    return text + table(("field", "is", "meaning"), rows)


def _type(of: dict[str, Any]) -> str:
    """One line of Markdown for a schema; other shapes are linked."""
    if "$ref" in of:
        name = of["$ref"].rsplit("/", 1)[-1]
        return f"[`{name}`](#shape-{name.lower()})"
    for word in ("oneOf", "anyOf", "allOf"):
        if word in of:
            return " or ".join(dict.fromkeys(_type(one) for one in of[word]))
    if "enum" in of:
        return ", ".join(f"`{json.dumps(value)}`" for value in of["enum"])
    if "const" in of:
        return f"`{json.dumps(of['const'])}`"
    kind = of.get("type", "anything")
    kinds = [kind] if isinstance(kind, str) else list(kind)
    shown = ["list of " + _type(of.get("items", {})) if one == "array" else str(one) for one in kinds]
    text = " or ".join(shown)
    return f"{text} ({of['format']})" if "format" in of else text
