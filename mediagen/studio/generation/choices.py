"""What there is to choose from in the prompt box: sizes, providers, and the options that these know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.factory import chain_configs
from mediagen.providers.options import Option
from mediagen.providers.registry import adapter_class
from mediagen.templatetags.mediagen import in_words
from mediagen.wording import translated


@dataclass(frozen=True, slots=True)
class Size:
    """A preset: pixels, and what people call it."""

    name: str
    label: str | Promise
    ratio: str
    width: int
    height: int

    @property
    def value(self) -> str:
        return f"{self.width}x{self.height}"


# Sizes that most models make as they are, so that nothing is cropped.
SIZES = (
    Size("square", _("Square"), "1:1", 1024, 1024),
    Size("landscape", _("Landscape"), "3:2", 1216, 832),
    Size("portrait", _("Portrait"), "2:3", 832, 1216),
    Size("wide", _("Wide"), "16:9", 1344, 768),
    Size("tall", _("Tall"), "9:16", 768, 1344),
)
MAX_COUNT = 10


@dataclass(slots=True)
class OptionChoice:
    """An option of one provider or of several, as one field of the form."""

    name: str
    kind: str
    help: str
    providers: list[str] = field(default_factory=list)
    declared: list[Option] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    minimum: float | None = None
    maximum: float | None = None

    @property
    def field_name(self) -> str:
        return f"option-{self.name}"

    @property
    def label(self) -> str:
        return in_words(self.name)

    @property
    def is_number(self) -> bool:
        return self.kind in ("int", "float")

    @property
    def step(self) -> str:
        return "1" if self.kind == "int" else "any"

    def clean(self, text: str, provider: str = "") -> Any:
        """The value that `text` says; `InvalidRequest` when `provider`, or without one every provider, refuses it."""
        problem = ""
        for name, declared in zip(self.providers, self.declared, strict=True):
            if provider in ("", name):
                try:
                    return declared.clean(text)
                except ValueError as exc:
                    problem = problem or translated(exc)
        raise InvalidRequest(f"{self.label} {problem}.", field=self.field_name)


@dataclass(slots=True)
class Providers:
    """Those of the chain that make pictures, in order, and their options by name."""

    names: list[str] = field(default_factory=list)
    options: dict[str, OptionChoice] = field(default_factory=dict)

    @classmethod
    def now(cls) -> Providers:
        """As the admin has them now. One query."""
        found = cls()
        for config in chain_configs():
            try:
                adapter = adapter_class(config.adapter)
            except ConfigurationError:
                continue  # the check says it to those who can mend it
            if not hasattr(adapter, "generate_image"):
                continue
            found.names.append(config.name)
            declared = getattr(adapter, "options", None)
            for name, option in declared.items() if isinstance(declared, Mapping) else ():
                if isinstance(option, Option) and not option.config_only:
                    found._add(config.name, name, option)
        return found

    def _add(self, provider: str, name: str, option: Option) -> None:
        choice = self.options.setdefault(name, OptionChoice(name, option.kind, translated(option.help)))
        if choice.kind != option.kind:
            # Two providers mean different things by it; each checks its own.
            choice.kind = "float" if {choice.kind, option.kind} == {"int", "float"} else "text"
        choice.providers.append(provider)
        choice.declared.append(option)
        choice.help = choice.help or translated(option.help)
        choice.choices += [value for value in option.choices if value not in choice.choices]
        choice.minimum = _widest([each.minimum for each in choice.declared], min)
        choice.maximum = _widest([each.maximum for each in choice.declared], max)


def _widest(bounds: list[float | None], choose: Callable[[list[float]], float]) -> float | None:
    """The bound that lets through what any of them lets through."""
    known = [bound for bound in bounds if bound is not None]
    return choose(known) if len(known) == len(bounds) else None
