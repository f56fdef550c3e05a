"""Forms that offer what the person who fills them in may see."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest

from mediagen.models import MediaLibrary


class AskedByForm(forms.ModelForm):  # type: ignore[type-arg]
    asker: Any = None
    """who fills in the form; `AskedByAdmin` sets it"""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(library := self.fields.get("library"), forms.ModelChoiceField):
            library.queryset = MediaLibrary.objects.visible_to(self.asker)


class AskedByAdmin:
    """For admins whose form is an `AskedByForm`."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)  # type: ignore[misc]
        form.asker = request.user
        return form
