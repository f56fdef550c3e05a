"""The site's theme of the admin: Django's own, or django-unfold, in which a plain field cannot be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.apps import apps
from django.contrib import admin

CLASSES: dict[type[forms.Widget], list[str]] = {}
"""what makes a field look like those of the theme, by the kind of its widget"""

if TYPE_CHECKING:
    SitesModelAdmin: TypeAlias = admin.ModelAdmin[Any]
elif apps.is_installed("unfold"):
    # Its pages need admins of its own class; any other theme styles Django's.
    from unfold import widgets
    from unfold.admin import ModelAdmin as SitesModelAdmin

    CLASSES = {
        forms.Textarea: widgets.TEXTAREA_CLASSES,
        forms.Select: widgets.SELECT_CLASSES,
        **dict.fromkeys(
            (forms.TextInput, forms.NumberInput, forms.URLInput, forms.PasswordInput), widgets.INPUT_CLASSES
        ),
    }
else:
    SitesModelAdmin = admin.ModelAdmin


def themed(form: Any) -> Any:
    """The form class with the theme's look on fields that are not the theme's: those that it declares or makes."""
    if not CLASSES:
        return form

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        form.__init__(self, *args, **kwargs)
        for field in self.fields.values():
            _dress(field.widget)

    return type(form.__name__, (form,), {"__init__": __init__, "__module__": form.__module__})


def _dress(widget: Any) -> None:
    if type(widget).__module__.startswith("unfold"):
        return
    for part in getattr(widget, "widgets", [widget]):
        kind = next((kind for kind in CLASSES if isinstance(part, kind)), None)
        if kind is not None:
            part.attrs["class"] = " ".join([part.attrs.get("class", ""), *CLASSES[kind]]).strip()
