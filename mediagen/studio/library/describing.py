"""What people write about a picture: in the studio's panel, beside the picture."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from mediagen.engine.library import bulk, review
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset

MAX_TEXT = 5000
"""characters"""


class DescribeForm(forms.Form):
    """Each field brings along what it began with, so that only what this person changed is written, and nothing that a
    colleague wrote meanwhile is undone."""

    name = forms.CharField(label=_("Name"), max_length=255, required=False)
    alt_text = forms.CharField(
        label=_("What it shows (alt text)"),
        max_length=MAX_TEXT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    description = forms.CharField(
        label=_("Description"), max_length=MAX_TEXT, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    tags = forms.CharField(label=_("Tags"), max_length=2000, required=False, help_text=_("With commas between them."))
    credit = forms.CharField(label=_("Credit"), max_length=255, required=False)
    licence = forms.CharField(label=_("Licence"), max_length=255, required=False)
    expires_on = forms.DateField(
        label=_("May be used until"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, asset: MediaAsset, data: Any = None) -> None:
        initial = {name: getattr(asset, name) for name in self.base_fields if name != "tags"}
        super().__init__(data, initial={**initial, "tags": ", ".join(asset.tag_names)}, auto_id=f"%s-{asset.pk}")
        self.asset = asset
        for field in self.fields.values():
            field.show_hidden_initial = True

    def save(self) -> None:
        """`InvalidRequest` for the first thing that is wrong."""
        if not self.is_valid():
            name, errors = next(iter(self.errors.items()))
            raise InvalidRequest(f"{self.fields[name].label}: {errors[0]}", field=name)
        changed = set(self.changed_data)
        for name in changed - {"tags"}:
            setattr(self.asset, name, self.cleaned_data[name])
        review.describe(self.asset, changed - {"tags"})
        if "tags" in changed:
            bulk.set_tags(self.asset, [name for tag in self.cleaned_data["tags"].split(",") if (name := tag.strip())])
