"""The widget for the crop of a use: a text for browsers without scripts, a frame over the picture for the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms


class CropChooser(forms.TextInput):
    """Looks for the chooser of the field `of` in the same form, by the name of its input."""

    template_name = "mediagen/fields/crop.html"

    class Media:
        css = {"all": ("mediagen/chooser/chooser.css", "mediagen/chooser/crop.css")}
        js = (forms.Script("mediagen/chooser/crop.js", type="module"),)

    def __init__(self, attrs: dict[str, Any] | None = None, *, of: str, field: str, ratios: Sequence[str]) -> None:
        super().__init__(attrs)
        self.of, self.field, self.ratios = of, field, tuple(ratios)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        before = name.removesuffix(self.field) if name.endswith(self.field) else ""
        context["widget"] |= {"of": f"{before}{self.of}", "ratios": " ".join(self.ratios)}
        return context
