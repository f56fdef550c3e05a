"""What a request asks for: OpenAI's parameters, and a few of ours."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mediagen.api.openai.errors import invalid
from mediagen.errors import InvalidRequest
from mediagen.types import MAX_PROMPT_CHARS, MAX_SEED, checked_text
from mediagen.wording import translated

MOST = 10
SQUARE = (1024, 1024)
FORMATS = ("png", "jpeg", "webp")
LONGEST_IDENTIFIER = 64
MOST_TAGS, LONGEST_TAG = 100, 100
_SIZE = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})")

OF_PROVIDERS = ("background", "moderation", "output_format", "output_compression", "quality", "style")
OURS = ("library", "negative_prompt", "seed", "tags")
KNOWN = frozenset(
    {"prompt", "model", "n", "size", "response_format", "stream", "partial_images", "user", "safety_identifier"}
    | set(OF_PROVIDERS)
    | set(OURS)
)


OF_EDITS = {"edit_image": {"input_fidelity"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One request, checked."""

    prompt: str
    model: str = "auto"
    count: int = 1
    width: int = SQUARE[0]
    height: int = SQUARE[1]
    as_url: bool = False
    stream: bool = False
    output_format: str = ""
    library: str = ""
    tags: tuple[str, ...] = ()
    operation: str = "generate_image"
    options: dict[str, Any] = field(default_factory=dict)
    """for the providers; one that does not know an option says so in the asset's fit report"""


def read(data: Any, operation: str = "generate_image") -> Wanted:
    """The request, or a refusal that names the parameter. A parameter that is null is as good as not there."""
    if not isinstance(data, Mapping):
        raise invalid("The body must be a JSON object.", None)
    given = {name: value for name, value in data.items() if value is not None}
    if unknown := sorted(str(name) for name in given if name not in KNOWN | OF_EDITS.get(operation, set())):
        raise invalid(f"Unknown parameter: '{unknown[0]:.80}'.", unknown[0][:80], "unknown_parameter")
    if "prompt" not in given:
        raise invalid("Missing required parameter: 'prompt'.", "prompt", "missing_required_parameter")
    width, height = _read(given, "size", _size, SQUARE)
    _read(given, "partial_images", _whole(0, 3), 0)
    model = _read(given, "model", _text, "").strip() or "auto"
    stream = _read(given, "stream", _flag, False)
    # As OpenAI does it: those of its models that give addresses do so unless they are told otherwise.
    usual = "url" if model.startswith("dall-e-") and not stream else "b64_json"
    as_url = _read(given, "response_format", _one_of("url", "b64_json"), usual) == "url"
    if as_url and stream:
        raise invalid("A stream holds pictures as base64. Leave out response_format, or stream.", "response_format")
    return Wanted(
        prompt=_read(given, "prompt", _prompt, ""),
        model=model,
        count=_read(given, "n", _whole(1, MOST), 1),
        width=width,
        height=height,
        as_url=as_url,
        stream=stream,
        output_format=_read(given, "output_format", _one_of(*FORMATS), ""),
        library=_read(given, "library", _text, ""),
        tags=_read(given, "tags", _texts, ()),
        operation=operation,
        options=_options(given),
    )


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, reader in OPTIONS.items():
        value = _read(given, name, reader, None)
        if value not in (None, "auto", "standard"):  # what a provider does by itself
            found[name] = value
    if found.get("quality") == "hd":
        found["quality"] = "high"
    if user := _read(given, "user", _text, ""):
        # Who that is, is the caller's business: services are given what stands for him.
        found.setdefault("safety_identifier", hashlib.sha256(user.encode()).hexdigest())
    return found


def _read(given: Mapping[str, Any], name: str, reader: Callable[[Any], Any], default: Any) -> Any:
    if name not in given:
        return default
    try:
        if isinstance(given[name], str):
            checked_text(given[name], name)
        return reader(given[name])
    except InvalidRequest as exc:
        raise invalid(translated(exc), name) from None
    except ValueError as exc:
        raise invalid(f"Invalid value for '{name}': {exc}", name) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text.")
    return value


def _prompt(value: Any) -> str:
    if len(_text(value)) > MAX_PROMPT_CHARS:
        raise ValueError(f"at most {MAX_PROMPT_CHARS:,} characters, not {len(value):,}.")
    return str(value)


def _identifier(value: Any) -> str:
    if len(_text(value)) > LONGEST_IDENTIFIER:
        raise ValueError(f"at most {LONGEST_IDENTIFIER} characters.")
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("expected a list of texts.")
    if len(value) > MOST_TAGS or any(len(item) > LONGEST_TAG for item in value):
        raise ValueError(f"at most {MOST_TAGS} of at most {LONGEST_TAG} characters.")
    return tuple(checked_text(item, "tags") for item in value)


def _flag(value: Any) -> bool:
    # A form has no booleans.
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise ValueError("expected true or false.")
    return value


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"expected a whole number from {least} to {most}.")
        return value

    return read


def _one_of(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"supported values are: {', '.join(choices)}.")
        return str(value)

    return read


def _size(value: Any) -> tuple[int, int]:
    if value == "auto":
        return SQUARE
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("expected 'auto' or pixels as 'WIDTHxHEIGHT', such as '1536x1024'.")
    return int(found[1]), int(found[2])


OPTIONS: dict[str, Callable[[Any], Any]] = {
    "background": _one_of("auto", "transparent", "opaque"),
    "moderation": _one_of("auto", "low"),
    "output_format": _one_of(*FORMATS),
    "output_compression": _whole(0, 100),
    "input_fidelity": _one_of("low", "high"),
    "quality": _one_of("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"),
    "style": _one_of("vivid", "natural"),
    "safety_identifier": _identifier,
    "negative_prompt": _prompt,
    "seed": _whole(0, MAX_SEED),
}
