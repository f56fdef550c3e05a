"""Tags in a form: words with commas between them. No script is needed, and a new word is a new tag."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.utils.translation import gettext_lazy as _

from mediagen.engine.library import review
from mediagen.errors import InvalidRequest
from mediagen.models import MediaTag
from mediagen.wording import translated


class TagNamesField(forms.CharField):
    """Cleans to a list of names. Case makes no difference."""

    widget = AdminTextInputWidget

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        kwargs.setdefault("help_text", _("With commas between them."))
        # What the page showed comes back with it: a tag that a worker adds meanwhile is not taken for a removed one.
        super().__init__(show_hidden_initial=True, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list):
            return value
        names = [name for name in (super().to_python(value) or "").split(",") if name.strip()]
        try:
            return MediaTag.objects.clean_names(names)
        except InvalidRequest as exc:
            raise forms.ValidationError(translated(exc)) from None

    def validate(self, value: Any) -> None:
        """Everything was checked when it was split."""

    def run_validators(self, value: Any) -> None:
        for name in value:
            super().run_validators(name)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return _keys(self.to_python(initial)) != _keys(self.to_python(data))
        except forms.ValidationError:
            return True


class TaggedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form with the tags of its row. `tags` names the relation."""

    tags = "tags"

    tag_names = TagNamesField(label=_("Tags"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and not self.instance._state.adding and "tag_names" in self.fields:
            self.initial["tag_names"] = [tag.name for tag in getattr(self.instance, self.tags).all()]

    def save_tags(self) -> None:
        """Add and remove what differs from what the page showed."""
        if "tag_names" not in self.changed_data:
            return
        shown = self.fields["tag_names"].to_python(
            self.data.get(self.add_initial_prefix("tag_names"), self.initial.get("tag_names", []))
        )
        before, after = _keys(shown or []), _keys(self.cleaned_data["tag_names"])
        review.change_tags(
            getattr(self.instance, self.tags),
            add=[name for key, name in after.items() if key not in before],
            remove=[name for key, name in before.items() if key not in after],
        )


def _keys(names: list[str]) -> dict[str, str]:
    return {name.casefold(): name for name in names}
