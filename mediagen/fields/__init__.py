"""Pictures of the library in a site's own models.

    class Page(models.Model):
        cover = MediaAssetField(null=True, blank=True, orientation="landscape", statuses=["approved", "published"])
        gallery = MediaAssetsField(blank=True)

Both are relations: an asset that a row points at is not removed, and deleting it asks first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core import checks
from django.db import models

from mediagen.fields.crops import AssetDescriptor, MediaCropField
from mediagen.fields.ordered import OrderedDescriptor, through_model

__all__ = ["MediaAssetField", "MediaAssetsField", "MediaCropField"]

ASSET = "mediagen.MediaAsset"
LIMITS = ("library", "orientation", "min_width", "min_height", "statuses")


class _Limited:
    """What both fields know of the assets that fit; no part of the database, and of no migration."""

    limits: dict[str, Any]

    def _take_limits(self, kwargs: dict[str, Any]) -> None:
        self.limits = {name: kwargs.pop(name) for name in LIMITS if name in kwargs}

    def _check_limits(self) -> list[checks.CheckMessage]:
        from mediagen.engine.library import Limits
        from mediagen.errors import InvalidRequest

        try:
            Limits.checked(**self.limits)
        except InvalidRequest as exc:
            return [checks.Error(str(exc), obj=self, id="mediagen.E032")]
        return []

    def _form_arguments(self, kwargs: dict[str, Any], form_class: str) -> dict[str, Any]:
        """Arguments for `formfield`: our chooser, unless somebody wants a widget of another kind than a plain list."""
        # Here and not at the top: a site's models are loaded before the app is ready, forms when they are used.
        from django import forms

        from mediagen.fields import forms as ours

        widget = kwargs.get("widget")
        kind = widget if isinstance(widget, type) else type(widget)
        is_list = issubclass(kind, forms.Select) and not hasattr(kind, "get_url")
        if widget is not None and not is_list and not issubclass(kind, ours.MediaAssetChooser):
            return kwargs
        if is_list:  # an admin theme's own list of everything
            kwargs.pop("widget")
        kwargs.pop("queryset", None)
        kwargs.pop("using", None)
        return {"form_class": getattr(ours, form_class), "limits": self.limits, **kwargs}


class MediaAssetField(_Limited, models.ForeignKey):  # type: ignore[type-arg]
    """One asset. A foreign key with `on_delete=PROTECT` and no name at the asset's end, unless you say otherwise.

    `library` (id, slug or name), `orientation` ("landscape", "portrait", "square"), `min_width` and `min_height`
    (pixels) and `statuses` (of the review) limit what can be chosen in forms; code may assign what it wants.
    """

    forward_related_accessor_class = AssetDescriptor

    def __init__(self, to: Any = ASSET, on_delete: Any = models.PROTECT, **kwargs: Any) -> None:
        self._take_limits(kwargs)
        kwargs.setdefault("related_name", "+")
        super().__init__(to, on_delete, **kwargs)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        return [*super().check(**kwargs), *self._check_limits()]

    def formfield(self, **kwargs: Any) -> Any:
        """The chooser; an admin's raw id and autocomplete stay what they are."""
        return super().formfield(**self._form_arguments(kwargs, "MediaAssetChoiceField"))


class MediaAssetsField(_Limited, models.ManyToManyField):  # type: ignore[type-arg]
    """Several assets in the order that somebody gave them. Limits as of `MediaAssetField`.

    `page.gallery.all()` is in that order, `page.gallery.set([...])` keeps it, `add` puts to the end.
    """

    def __init__(self, to: Any = ASSET, **kwargs: Any) -> None:
        self._take_limits(kwargs)
        kwargs.setdefault("related_name", "+")
        super().__init__(to, **kwargs)

    def contribute_to_class(self, cls: type[models.Model], name: str, **kwargs: Any) -> None:  # type: ignore[override]
        is_ours = self.remote_field.through is None and not cls._meta.abstract and not cls._meta.swapped
        if is_ours:
            self.remote_field.through = through_model(self, cls, name)
        super().contribute_to_class(cls, name, **kwargs)
        if is_ours:
            setattr(cls, self.name, OrderedDescriptor(self.remote_field, reverse=False))

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        return [*super().check(**kwargs), *self._check_limits()]

    def formfield(self, **kwargs: Any) -> Any:
        """The chooser for several."""
        return super().formfield(**self._form_arguments(kwargs, "MediaAssetsChoiceField"))

    def save_form_data(self, instance: models.Model, data: Iterable[Any]) -> None:
        getattr(instance, self.attname).set(data)
