"""The model of a provider: a list with the vendor's names, and another name beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from mediagen.engine.providers import ModelEnd, model_end
from mediagen.errors import ConfigurationError
from mediagen.providers.registry import adapter_class

OTHER = "__other__"
"""what the list says when the name stands beside it; a model's name that is sent instead counts as it is"""


class ModelInput(forms.MultiWidget):
    """`NAME` is the list, `NAME_other` the line beside it. Styles hide the line until "other" is chosen."""

    use_fieldset = False  # the list has the field's label, the line one of its own

    def __init__(self, choices: list[tuple[str, str]], attrs: Any = None) -> None:
        self.names = {name for name, _label in choices}
        other = AdminTextInputWidget(attrs={"aria-label": _("Another model, by its name"), "maxlength": 200})
        super().__init__(
            {"": forms.Select(choices=choices), "other": other}, {"class": "mediagen-model", **(attrs or {})}
        )

    def decompress(self, value: Any) -> list[Any]:
        return [value or "", ""] if not value or value in self.names else [OTHER, value]

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        chosen, other = super().value_from_datadict(data, files, name)
        return other if chosen == OTHER else chosen

    def id_for_label(self, id_: str) -> str:
        return f"{id_}_0" if id_ else id_


def model_input(adapter: str, now: str) -> ModelInput | None:
    """The widget for this adapter, whose entry has the model `now`; None when its vendor's models are not listed."""
    try:
        cls = adapter_class(adapter)
    except ConfigurationError:
        return None
    names = [str(name) for name in getattr(cls, "models", ())]
    if not names:
        return None
    default = str(getattr(cls, "default_model", ""))
    choices = [("", _("the default: %(model)s") % {"model": default} if default else "---------")]
    choices += [(name, _label(name, model_end(adapter, name))) for name in names]
    if not getattr(cls, "models_are_closed", False):
        choices.append((OTHER, _("other ...")))
    elif now and now not in names:
        choices.append((now, _("%(model)s: not a model of this vendor") % {"model": now}))
    return ModelInput(choices)


def _label(name: str, end: ModelEnd | None) -> str:
    if end is None:
        return name
    about: Mapping[str, Any] = {"model": name, "day": date_format(end.day) if end.day else ""}
    if end.is_over:
        return _("%(model)s (ended on %(day)s)") % about
    return (_("%(model)s (ends on %(day)s)") if end.day else _("%(model)s (the vendor calls it deprecated)")) % about
