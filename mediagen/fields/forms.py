"""Form fields and the chooser for them, in the admin and in any form of a site.

What is sent is a signed pick (see `mediagen.engine.library.choosing`). Where a form knows who looks, by
`for_user(form, request.user)` or `MediaAssetAdminMixin`, it takes plain ids of what they may read too, and lists these
for browsers without scripts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from mediagen.engine.files import thumbnail_url
from mediagen.engine.library import Access, Limits, pick, read_pick
from mediagen.models import MediaAsset

__all__ = ["MediaAssetAdminMixin", "MediaAssetChoiceField", "MediaAssetChooser", "MediaAssetsChoiceField", "for_user"]

NOBODY = uuid.UUID(int=0)
"""stands in an address for any asset; the script puts the one in that is chosen"""
LISTED = 200
"""assets in the list that browsers without scripts show"""


class MediaAssetChooser(forms.Widget):
    """A list, which a script turns into a picture with a dialog behind it."""

    template_name = "mediagen/fields/chooser.html"
    # Not for a list of several: so the admin puts no links to change "the" object beside it.
    allow_multiple_selected = True

    limits: Limits = Limits()
    user: Any = None
    many = False
    choices: Any = ()

    class Media:
        css = {"all": ("mediagen/chooser/chooser.css",)}
        js = (forms.Script("mediagen/chooser/chooser.js", type="module"),)

    def id_for_label(self, id_: str) -> str:
        return id_

    def use_required_attribute(self, initial: Any) -> bool:
        return False  # the list that would have it is hidden by the script: a browser could not say what is missing

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        sent = data.getlist(name) if hasattr(data, "getlist") else data.get(name)
        given = list(sent) if isinstance(sent, list | tuple) else [sent]
        # Typed or pasted where there is no script.
        typed = str(data.get(f"{name}-pick") or "").split()
        values = [value for value in [*given, *typed] if value not in (None, "")]
        return values if self.many else (typed or values or [None])[0]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data and f"{name}-pick" not in data and not self.many

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        given = value if isinstance(value, list | tuple) else [value]
        chosen = self._chosen(given)
        taken = {asset.pk for asset, _ in chosen}
        query = urlencode({**self.limits.query, **({"many": "1"} if self.many else {})})
        try:
            url = reverse("mediagen:chooser")
            alt_url = reverse("mediagen:alt-text", args=[NOBODY])
        except NoReverseMatch:
            url = alt_url = ""
        context["widget"] |= {
            "many": self.many,
            "chosen": [self._shown(asset, token) for asset, token in chosen],
            "others": [(pick(asset.pk), str(asset)) for asset in self._listed() if asset.pk not in taken],
            "url": url and f"{url}?{query}",
            "alt_url": alt_url,
            "is_listed": self.user is not None,
        }
        return context

    def _chosen(self, given: Iterable[Any]) -> list[tuple[MediaAsset, str]]:
        """The assets that are chosen now, with what stands for each in the form. A pick stays the pick that it was: a
        plain id that somebody has sent is made into none."""
        found = [(read_pick(value), value) for value in given if value not in (None, "")]
        known = {read.pk: value for read, value in found if read is not None and (read.is_signed or self.user)}
        readable = {read.pk for read, _ in found if read is not None and read.is_signed}
        if plain := known.keys() - readable:
            readable |= set(Access(self.user).assets().filter(pk__in=plain).values_list("pk", flat=True))
        assets = MediaAsset.objects.select_related("library").in_bulk([pk for pk in known if pk in readable])
        return [(assets[pk], known[pk]) for pk in known if pk in assets]

    def _listed(self) -> list[MediaAsset]:
        if self.user is None:
            return []
        return list(self.limits.narrow(Access(self.user).assets()).order_by("-pk")[:LISTED])

    @staticmethod
    def _shown(asset: MediaAsset, token: Any) -> dict[str, Any]:
        return {
            "value": str(token),
            "asset": str(asset.pk),
            "name": str(asset),
            "alt": asset.alt_text,
            "suggestion": asset.alt_text_suggestion if asset.has_suggestion else "",
            "src": thumbnail_url(asset, 320),
            "large": thumbnail_url(asset, 1280),
            "focus": (asset.focal_x, asset.focal_y),
            "width": asset.width,
            "height": asset.height,
            "is_placeholder": asset.is_placeholder,
        }


class _Choice:
    """What the fields for one and for several have in common."""

    limits: Limits
    _user: Any = None
    widget: Any

    @property
    def user(self) -> Any:
        """Who looks, or None."""
        return self._user

    @user.setter
    def user(self, user: Any) -> None:
        self._user = user
        # The admin wraps a widget.
        getattr(self.widget, "widget", self.widget).user = user

    def _asset(self, value: Any) -> MediaAsset:
        """The asset that was chosen, or `ValidationError`."""
        read = read_pick(value)
        if read is None:
            raise ValidationError(
                _("Choose the picture again: what was sent stands for none, or is too old."), "invalid"
            )
        if not read.is_signed and self._user is None:
            raise ValidationError(
                _("Choose the picture in the dialog: an identifier alone is not taken here."), "invalid"
            )
        assets = MediaAsset.objects.kept() if read.is_signed else Access(self._user).assets()
        if read.was_there:
            assets = MediaAsset.objects.all()
        asset: MediaAsset | None = assets.select_related("library").filter(pk=read.pk).first()
        if asset is None:
            raise ValidationError(_("This picture is not there any more, or not for you."), "invalid_choice")
        if not read.was_there and (why := self.limits.why_not(asset)):
            raise ValidationError(f"{asset}: {why}", "invalid_choice")
        return asset


def _limits(given: Any) -> Limits:
    return given if isinstance(given, Limits) else Limits.checked(**(given or {}))


def _as_pick(value: Any) -> Any:
    """What stands in the form for a value that it begins with."""
    if isinstance(value, MediaAsset):
        value = value.pk
    return value if value in (None, "") or isinstance(value, str) else pick(value, was_there=True)


class MediaAssetChoiceField(_Choice, forms.ModelChoiceField):  # type: ignore[type-arg]
    """One asset. `limits`: a `Limits`, or its arguments as a dict."""

    widget = MediaAssetChooser

    def __init__(self, *, limits: Limits | Mapping[str, Any] | None = None, user: Any = None, **kwargs: Any) -> None:
        self.limits = _limits(limits)
        kwargs.pop("queryset", None)
        super().__init__(queryset=MediaAsset.objects.all(), **kwargs)
        self.widget.limits = self.limits
        self.user = user

    def __deepcopy__(self, memo: Any) -> Any:
        copied = super().__deepcopy__(memo)
        copied.user = self._user
        return copied

    def prepare_value(self, value: Any) -> Any:
        return _as_pick(value)

    def to_python(self, value: Any) -> MediaAsset | None:
        return None if value in self.empty_values else self._asset(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _pks([initial]) != _pks([data])


class MediaAssetsChoiceField(_Choice, forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Several assets, as a list in the order in which they were sent."""

    widget = MediaAssetChooser

    def __init__(self, *, limits: Limits | Mapping[str, Any] | None = None, user: Any = None, **kwargs: Any) -> None:
        self.limits = _limits(limits)
        kwargs.pop("queryset", None)
        super().__init__(queryset=MediaAsset.objects.all(), **kwargs)
        self.widget.limits = self.limits
        self.widget.many = True
        self.user = user

    def __deepcopy__(self, memo: Any) -> Any:
        copied = super().__deepcopy__(memo)
        copied.user = self._user
        return copied

    def prepare_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        return [_as_pick(each) for each in value] if isinstance(value, Iterable) else [_as_pick(value)]

    def clean(self, value: Any) -> Any:
        given = [each for each in (value or []) if each not in self.empty_values]
        if self.required and not given:
            raise ValidationError(self.error_messages["required"], code="required")
        chosen = list(dict.fromkeys(self._asset(each) for each in given))
        self.run_validators(chosen)
        return chosen

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _pks(initial or []) != _pks(data or [])


def _pks(values: Iterable[Any]) -> list[Any]:
    found = []
    for value in values:
        if isinstance(value, MediaAsset):
            found.append(value.pk)
        elif value not in (None, ""):
            read = read_pick(value)
            found.append(read.pk if read is not None else value)
    return found


def for_user(form: Any, user: Any) -> Any:
    """The form, whose fields of ours know who looks: what they may read can be chosen from a list, and by plain ids."""
    for field in form.fields.values():
        if isinstance(field, _Choice):
            field.user = user
    return form


class MediaAssetAdminMixin:
    """For a `ModelAdmin` or an inline: its fields of ours know who looks, so that they work without scripts as well."""

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]
        if isinstance(field, _Choice):
            field.user = request.user
        return field
