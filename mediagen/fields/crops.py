"""The crop of one use: a column beside a `MediaAssetField`, and what the field's object is then.

The asset that `product.photo` gives is the product's own copy of the row, with `crop_of_use`; `{% picture %}` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor

from mediagen.wording import translated

MAX_LENGTH = 40


class AssetDescriptor(ForwardManyToOneDescriptor):  # type: ignore[type-arg]
    """`product.photo`: the asset, with the crop of this use where the model has a field for it."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        asset: Any = super().__get__(instance, cls)
        name = getattr(instance, _remembered(self.field.name), "") if instance is not None else ""
        if asset is None or not name:
            return asset
        text = getattr(instance, name) or ""
        if getattr(asset, "crop_text", "") == text:
            return asset
        # Other rows may have the same object, with a crop of their own, when it was prefetched.
        asset = copy(asset)
        asset.crop_text, asset.crop_of_use = text, _read(text)
        self.field.set_cached_value(instance, asset)
        return asset


def _remembered(of: str) -> str:
    return f"_mediagen_crop_of_{of}"


def _read(text: str) -> Any:
    from mediagen.engine.files import Crop
    from mediagen.errors import InvalidRequest

    try:
        return Crop.read(text)
    except InvalidRequest:  # what code or SQL wrote past the checks must not take a page down
        return None


class MediaCropField(models.CharField):  # type: ignore[type-arg]
    """How the picture of the field `of` is cut in this row: a shape out of `ratios` ("16:9"), and its middle.

        photo = MediaAssetField(null=True, blank=True)
        photo_crop = MediaCropField("photo", ratios=["16:9", "1:1"])

    A text, such as "16:9@0.3,0.45"; "" for none. Neither `of` nor `ratios` are part of a migration.
    """

    def __init__(self, of: str = "", ratios: Sequence[str] = (), **kwargs: Any) -> None:
        self.of, self.ratios = of, tuple(ratios)
        kwargs.setdefault("max_length", MAX_LENGTH)
        kwargs.setdefault("blank", True)
        kwargs.setdefault("default", "")
        super().__init__(**kwargs)

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        if self.of:
            setattr(cls, _remembered(self.of), name)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        return [*super().check(**kwargs), *self._check_of(), *self._check_ratios()]

    def _check_of(self) -> list[checks.CheckMessage]:
        from mediagen.fields import MediaAssetField

        try:
            named: Any = self.model._meta.get_field(self.of)
        except FieldDoesNotExist:
            named = None
        if isinstance(named, MediaAssetField):
            return []
        text = f"The crop is of {self.of!r}, which is no MediaAssetField of this model."
        return [checks.Error(text, obj=self, id="mediagen.E032")]

    def _check_ratios(self) -> list[checks.CheckMessage]:
        from mediagen.engine.files import responsive
        from mediagen.errors import InvalidRequest

        try:
            for ratio in self.ratios:
                responsive.Plan.checked(ratio=ratio)
        except InvalidRequest as exc:
            return [checks.Error(str(exc), obj=self, id="mediagen.E032")]
        return []

    def validate(self, value: Any, model_instance: Any) -> None:
        from mediagen.engine.files import Crop
        from mediagen.errors import InvalidRequest

        super().validate(value, model_instance)
        try:
            Crop.read(value or "", self.ratios)
        except InvalidRequest as exc:
            raise ValidationError(translated(exc), "invalid") from None

    def formfield(self, **kwargs: Any) -> Any:
        """A text, which a script makes into a dialog with the picture and a frame over it."""
        from mediagen.fields.cropping import CropChooser

        kwargs["widget"] = CropChooser(of=self.of, field=self.name, ratios=self.ratios)
        return super().formfield(**kwargs)
