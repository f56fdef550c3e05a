"""The block for a StreamField.

body = StreamField([("picture", MediaAssetChooserBlock(orientation="landscape")), ...])
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

from django import forms
from django.utils.functional import cached_property
from wagtail.admin.telepath import register
from wagtail.admin.telepath.widgets import WidgetAdapter
from wagtail.blocks import FieldBlock

from mediagen.engine.database import as_uuid
from mediagen.errors import InvalidRequest
from mediagen.fields.forms import MediaAssetChoiceField, MediaAssetChooser
from mediagen.models import MediaAsset
from mediagen.pictures import picture

LIMITS = ("library", "orientation", "min_width", "min_height", "statuses")


class MediaAssetChooserBlock(FieldBlock):  # type: ignore[misc]
    """One asset: the value is the `MediaAsset`, or None. Limits as of `mediagen.fields.MediaAssetField`.

    Without a template of its own it renders as `{% picture %}`, with the options in `picture`: a dict, or the name of a
    set in MEDIAGEN["PICTURES"].
    """

    def __init__(
        self,
        required: bool = True,
        help_text: Any = None,
        validators: Any = (),
        picture: dict[str, Any] | str | None = None,
        **kwargs: Any,
    ) -> None:
        self._limits = {name: kwargs.pop(name) for name in LIMITS if name in kwargs}
        self._field = {"required": required, "help_text": help_text or "", "validators": validators}
        self._picture = {"set": picture} if isinstance(picture, str) else dict(picture or {})
        super().__init__(**kwargs)

    @cached_property
    def field(self) -> MediaAssetChoiceField:
        return MediaAssetChoiceField(limits=self._limits, **self._field)

    # ------------------------------------------------ kept

    def get_prep_value(self, value: Any) -> str | None:
        return str(value.pk) if isinstance(value, MediaAsset) else None

    def to_python(self, value: Any) -> MediaAsset | None:
        return self.bulk_to_python([value])[0]

    def bulk_to_python(self, values: Any) -> list[MediaAsset | None]:
        """One query for all of a page; an object of its own for each place."""
        keys = [_key(value) for value in values]
        known = MediaAsset.objects.select_related("library").in_bulk({key for key in keys if key is not None})
        return [copy(known[key]) if key in known else None for key in keys]

    def extract_references(self, value: Any) -> Iterator[tuple[Any, str, str, str]]:
        if isinstance(value, MediaAsset):
            yield MediaAsset, str(value.pk), "", ""

    # ------------------------------------------------ in the admin

    def value_for_form(self, value: Any) -> Any:
        """An asset that was there before, as a pick; what a form has sent stays what it is until it is cleaned."""
        return self.field.prepare_value(value)

    def get_form_state(self, value: Any) -> dict[str, Any] | None:
        """What the chooser shows: a picture with its pick. Of a pick that was sent and not taken, the same again."""
        widget: Any = self.field.widget
        chosen = widget._chosen([self.value_for_form(value)])
        return widget._shown(*chosen[0]) if chosen else None

    # ------------------------------------------------ on a page

    def render_basic(self, value: Any, context: Any = None) -> Any:
        return picture(value, **self._picture) if isinstance(value, MediaAsset) else ""

    def get_searchable_content(self, value: Any) -> list[str]:
        return [value.alt_text] if isinstance(value, MediaAsset) and value.alt_text else []

    class Meta:
        icon = "image"


def _key(value: Any) -> Any:
    try:
        return as_uuid(value, "asset_id") if value else None
    except InvalidRequest:
        return None


class ChooserAdapter(WidgetAdapter):  # type: ignore[misc]
    """How Wagtail's forms make our chooser again and again."""

    js_constructor = "mediagen.wagtail.AssetChooser"

    def js_args(self, widget: Any) -> list[Any]:
        return [widget.render("__NAME__", None, attrs={"id": "__ID__"})]

    @cached_property
    def media(self) -> forms.Media:
        return forms.Media(js=["mediagen_wagtail/chooser-telepath.js"])

    def get_media(self, widget: Any) -> Any:
        return self.media + widget.media


register(ChooserAdapter(), MediaAssetChooser)
