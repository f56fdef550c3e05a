"""Templates and styles of a library, and how they become the prompt that is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from mediagen.engine.library.access import Access, Right
from mediagen.errors import InvalidRequest, NotAllowed
from mediagen.models import MediaAsset, MediaLibrary, PresetKind, PromptPreset
from mediagen.models.writer import WriterQuerySet
from mediagen.types import checked_text

MAX_TEXT = 32_000
"""characters, as of a prompt"""
MOST_VARIABLES = 10
_VARIABLE = re.compile(r"\{([^\W\d]\w{0,39})\}")
"""{colour}"""
PROMPT = "{prompt}"


def visible(access: Access) -> WriterQuerySet[PromptPreset]:
    """Those of the libraries that somebody may look into."""
    return PromptPreset.objects.filter(library__in=access.libraries(Right.READ))


def changeable(access: Access) -> WriterQuerySet[PromptPreset]:
    return PromptPreset.objects.filter(library__in=access.libraries(Right.CHANGE))


def keep(
    access: Access,
    library: MediaLibrary,
    kind: str,
    name: str,
    text: str,
    *,
    negative_prompt: str = "",
    options: Mapping[str, Any] | None = None,
    sample: MediaAsset | None = None,
) -> PromptPreset:
    """The library's style or template of this name, made or written anew. `NotAllowed` in a library that they may not
    change, `InvalidRequest` that names the field."""
    if not access.may(Right.CHANGE, library):
        raise NotAllowed(_("You may not change this library."))
    if kind not in PresetKind.values:
        raise InvalidRequest(_("Say whether it is a style or a template."), field="kind")
    name = checked_text(name, "name").strip()
    if not 0 < len(name) <= 100:
        raise InvalidRequest(_("Give it a name of at most 100 characters."), field="name")
    text = checked_text(text, "text").strip()
    if not 0 < len(text) <= MAX_TEXT:
        raise InvalidRequest(_("Write which words are to be kept."), field="text")
    values = {
        "text": text,
        "negative_prompt": checked_text(negative_prompt, "negative_prompt").strip()[:MAX_TEXT],
        "options": dict(options or {}),
        "created_by": access.user,
        **({"sample": sample} if sample is not None else {}),
    }
    return PromptPreset.objects.update_or_create(library=library, kind=kind, name=name, defaults=values)[0]


def variables(text: str) -> list[str]:
    """The words in braces, each once: ["colour", "product"]. Ten at most; what follows is text."""
    return list(dict.fromkeys(_VARIABLE.findall(text)))[:MOST_VARIABLES]


def filled(text: str, values: Mapping[str, str]) -> str:
    """With the variables that have a value replaced, once."""
    return _VARIABLE.sub(lambda found: values.get(found[1]) or found[0], text)


def styled(prompt: str, style: PromptPreset) -> str:
    """The prompt in the style's words."""
    if PROMPT in style.text:
        return style.text.replace(PROMPT, prompt)
    return f"{prompt.rstrip(' ,.')}, {style.text}"
