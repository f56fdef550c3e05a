"""A form field for each option that an adapter declares: its type, its limits, its help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from mediagen.errors import ConfigurationError
from mediagen.providers.options import Option
from mediagen.providers.registry import adapter_class
from mediagen.wording import translated

PREFIX = "option_"
YES_OR_NO = [("", _("not set")), ("true", _("yes")), ("false", _("no"))]


def option_fields(adapter: str) -> dict[str, forms.Field]:
    """{"option_steps": field, ...} in the order of their declaration; {} for an adapter that declares none."""
    try:
        declared = getattr(adapter_class(adapter), "options", None) if adapter else None
    except ConfigurationError:
        return {}
    if not isinstance(declared, Mapping):
        return {}
    return {f"{PREFIX}{name}": _field(name, option) for name, option in declared.items()}


def written(value: Any) -> Any:
    """A stored value as the field shows it."""
    return str(value).lower() if isinstance(value, bool) else value


def _field(name: str, option: Option) -> forms.Field:
    common: dict[str, Any] = {
        "label": name,
        "required": False,
        "help_text": " ".join(part for part in (translated(option.help), _only_for(option)) if part),
    }
    if option.kind == "choice":
        return forms.ChoiceField(choices=[("", _("not set")), *((word, word) for word in option.choices)], **common)
    if option.kind == "bool":
        return forms.TypedChoiceField(choices=YES_OR_NO, coerce=lambda word: word == "true", empty_value=None, **common)
    if option.kind == "object":
        return forms.JSONField(
            widget=forms.Textarea(attrs={"rows": 10, "cols": 60, "class": "mediagen-code"}), **common
        )
    if option.kind in ("int", "float"):
        kind = forms.IntegerField if option.kind == "int" else forms.FloatField
        return kind(min_value=option.minimum, max_value=option.maximum, **common)  # type: ignore[arg-type]
    return forms.CharField(max_length=option.max_length, **common)


def _only_for(option: Option) -> str:
    return str(_("Only %(models)s.") % {"models": ", ".join(option.only_models)}) if option.only_models else ""
