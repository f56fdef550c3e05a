"""The columns (in JSON: keys) a manifest may have, and how each is read."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection
from typing import Any

from mediagen.engine.batches.manifests.problems import shown
from mediagen.operations import LARGEST_MARGIN_PX, MOST_TIMES, OPERATIONS, Margins
from mediagen.types import MAX_SEED, MAX_SIDE_PX

MAX_COUNT = 1000
MAX_KEY_LENGTH = 190
"""with "#1000" behind it a row key fits the asset's 200 characters"""
OPTION_PREFIX = "option."

# What a `ResultWriter` adds. Read back they mean nothing, so that a result manifest is a manifest.
RESULT_COLUMNS = ("row_key", "asset_id", "state", "file", "provider_name", "model_name", "cost", "error")
RESULT_PREFIX = "result_"
_FROM_RESULTS = frozenset(RESULT_COLUMNS) | {RESULT_PREFIX + name for name in RESULT_COLUMNS}

# Names that mean something to the engine or the chain: as an option they would reach it, or break the call.
_RESERVED = frozenset(
    {"cls", "self", "library_id", "dry_run", "deadline_s", "created_by", "parent", "idempotency_key", "generation_id"}
    | {"recorder", "resume", "image", "images", "sources", "margins"}
)


def canonical(name: str) -> str:
    """The name as this package uses it: our own names whatever their case, all others as they are written."""
    name = name.strip()
    return folded if (folded := name.casefold()) in _OUR_NAMES else name


def is_from_results(name: str) -> bool:
    return name in _FROM_RESULTS


def option_name(column: str) -> str:
    """The provider option that a column stands for; ValueError says why it can be none."""
    name = column.removeprefix(OPTION_PREFIX)
    if name in KEYS:
        raise ValueError(f"{name} is a column of its own and no option. Name the column {name}.")
    if name in _RESERVED:
        raise ValueError(f"a manifest cannot set {name}. Remove the column.")
    if not name.isidentifier() or len(name) > 100:
        raise ValueError(unknown_column(column))
    return name


def unknown_column(name: str, options: Collection[str] = ()) -> str:
    """What to say of a column that nobody knows."""
    known = [*KEYS, *sorted(options)]
    alike = difflib.get_close_matches(name.casefold(), known, n=1)
    hint = f" Did you mean {alike[0]}?" if alike else ""
    return (
        f"no such column, provider option, or {{column}} of the template is known.{hint} Known are: {', '.join(known)}."
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {shown(value)}. Put it in quotation marks.")
    return value


def _word(value: Any) -> str:
    return _text(value).strip()


_WHOLE = re.compile(r"([+-]?[0-9]{1,30})(?:\.0+)?")


def _whole(value: Any, what: str, lowest: int, highest: int) -> int:
    number: int | None = None
    if isinstance(value, str):
        # 512.0 is what some programs make of 512 in a column with empty cells.
        if match := _WHOLE.fullmatch(value.strip()):
            number = int(match[1])
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        number = int(value)
    if number is None or not lowest <= number <= highest:
        raise ValueError(f"must be {what} between {lowest} and {highest}, not {shown(value)}.")
    return number


def _pixels(value: Any) -> int:
    return _whole(value, "a whole number of pixels", 1, MAX_SIDE_PX)


def _seed(value: Any) -> int:
    return _whole(value, "a whole number", 0, MAX_SEED)


def _count(value: Any) -> int:
    return _whole(value, "a whole number of pictures", 1, MAX_COUNT)


_SIZE = re.compile(r"\s*([0-9]{1,10})\s*[xX\u00d7]\s*([0-9]{1,10})\s*")


def _size(value: Any) -> tuple[int, int]:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"must be width and height in pixels, such as 1024x768, not {shown(value)}.")
    return _pixels(match[1]), _pixels(match[2])


def words(value: Any) -> list[str]:
    """A list, or text with commas or semicolons between the words. Text that is a JSON list is read as such, which is
    how a word with a comma stands in a cell."""
    if isinstance(value, str):
        listed = _json_list(value) if value.lstrip().startswith("[") else None
        if listed is None:
            return [word for part in re.split("[,;]", value) if (word := part.strip())]
        value = listed
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError(f"must be a list of texts, or text with commas between the words, not {shown(value)}.")
    return value


def _json_list(text: str) -> list[Any] | None:
    """None when it only begins like one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _operation(value: Any) -> str:
    word = _word(value).lower().replace("-", "_")
    found = [name for name in OPERATIONS if word in (name, name.removesuffix("_image"))]
    if not found:
        short = ", ".join(name.removesuffix("_image") for name in OPERATIONS)
        raise ValueError(f"must be one of {short}, not {shown(value)}.")
    return found[0]


def _factor(value: Any) -> float:
    try:
        number = float(value) if not isinstance(value, bool) else 0.0
    except (TypeError, ValueError):
        number = 0.0
    if not 1 < number <= MOST_TIMES:
        raise ValueError(f"must be a number over 1 and up to {MOST_TIMES}, not {shown(value)}.")
    return number


def _margin(value: Any) -> int:
    return _whole(value, "a whole number of pixels", 0, LARGEST_MARGIN_PX)


def _key(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = _word(value)
    if not text or len(text) > MAX_KEY_LENGTH or not text.isprintable():
        raise ValueError(f"must be 1 to {MAX_KEY_LENGTH} characters on one line, not {shown(value)}.")
    return text


KEYS: dict[str, Callable[[Any], Any]] = {
    "prompt": _text,
    "negative_prompt": _text,
    "width": _pixels,
    "height": _pixels,
    "size": _size,
    "seed": _seed,
    "count": _count,
    "operation": _operation,
    "source": words,
    "mask": _word,
    "factor": _factor,
    **dict.fromkeys(Margins._fields, _margin),
    "library": _word,
    "tags": words,
    "name": _text,
    "alt_text": _text,
    "description": _text,
    "provider": words,
    "providers": words,
    "key": _key,
}
"""Each known column with the function that reads its value; ValueError of that says what is accepted."""

ARGUMENTS = frozenset(KEYS) - {"size", "count", "key", "provider"}
"""The names in `ManifestRow.arguments` that are no provider options."""

_OUR_NAMES = frozenset(KEYS) | _FROM_RESULTS
