"""REST framework: assets in a site's own API, with the addresses of their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from mediagen.engine.files import PagePicture, page_picture
from mediagen.engine.library import Access, Limits, credit_of, label_of, read_pick
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset

__all__ = ["MediaAssetSerializerField", "PictureSerializer"]


class SizeSerializer(serializers.Serializer[Any]):
    """One file."""

    url = serializers.URLField()
    width = serializers.IntegerField(help_text="Pixels.")
    height = serializers.IntegerField()


class SourceSerializer(serializers.Serializer[Any]):
    """The picture in one format."""

    type = serializers.CharField(help_text="image/webp")
    srcset = serializers.CharField()
    sizes = SizeSerializer(many=True)


class PictureSerializer(serializers.Serializer[Any]):
    """An asset as a page shows it: what `{% picture %}` writes."""

    id = serializers.UUIDField()
    src = serializers.URLField(help_text="What every browser shows.")
    width = serializers.IntegerField(help_text="Pixels of the largest size.")
    height = serializers.IntegerField()
    alt = serializers.CharField(help_text="What it shows, for who cannot see it.")
    sources = SourceSerializer(many=True, help_text="The better formats first.")
    color = serializers.CharField(help_text="#rrggbb, its mean; empty until a size of it was made.")
    focus = serializers.ListField(child=serializers.FloatField(), help_text="Two fractions, from the left and the top.")
    credit = serializers.CharField(help_text="Whom to name; may be empty.")
    ai_label = serializers.CharField(allow_null=True, help_text="What to say beside it; null for nothing.")
    digital_source_type = serializers.CharField(help_text="The IPTC's word for where it comes from; may be empty.")


class MediaAssetSerializerField(serializers.RelatedField):  # type: ignore[type-arg]
    """Reads as a `PictureSerializer` object, or null; takes an id, or a pick of the chooser.

    `picture`: options of `{% picture %}` ("set", "ratio", "widths" ...). `limits` as of the model's field; without any,
    those of the field of that name on the serializer's model. Who sends an id must be able to read the asset.
    """

    default_error_messages = {
        "does_not_exist": _("There is no such picture, or not for you."),
        "incorrect_type": _("Send the id of a picture, as text."),
    }

    def __init__(
        self,
        *,
        picture: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | Limits | None = None,
        **kwargs: Any,
    ) -> None:
        self.picture = dict(picture or {})
        self.limits = limits if isinstance(limits, Limits) else Limits.checked(**limits) if limits else None
        if not kwargs.get("read_only"):
            kwargs.setdefault("queryset", MediaAsset.objects.all())
        super().__init__(**kwargs)

    def use_pk_only_optimization(self) -> bool:
        return False

    def get_choices(self, cutoff: int | None = None) -> dict[str, str]:
        return {}  # the browsable API would list everybody's pictures

    def to_internal_value(self, data: Any) -> MediaAsset:
        if not isinstance(data, str):
            self.fail("incorrect_type")
        read = read_pick(data)
        request = self.context.get("request")
        user = getattr(request, "user", None)
        if read is None or not (read.is_signed or user is not None):
            self.fail("does_not_exist")
        assets = MediaAsset.objects.kept() if read.is_signed else Access(user).assets()
        asset: MediaAsset | None = assets.select_related("library").filter(pk=read.pk).first()
        if asset is None:
            self.fail("does_not_exist")
        if why := self._limits().why_not(asset):
            raise serializers.ValidationError(why)
        return asset

    def _limits(self) -> Limits:
        if self.limits is not None:
            return self.limits
        model = getattr(getattr(self.root, "Meta", None), "model", None)
        fields = {field.name: field for field in model._meta.get_fields()} if model is not None else {}
        source = self.parent.source if isinstance(self.parent, serializers.ManyRelatedField) else self.source
        return Limits.checked(**getattr(fields.get(source), "limits", {}))

    def to_representation(self, asset: Any) -> dict[str, Any] | None:
        try:
            shown = page_picture(asset, **self.picture)
        except InvalidRequest as exc:
            raise AssertionError(f"picture= of {self.field_name}: {exc}") from exc
        return None if shown is None else self._shown(shown)

    def _shown(self, shown: PagePicture) -> dict[str, Any]:
        label = label_of(shown.asset)
        return {
            "id": str(shown.asset.pk),
            "src": self._whole(shown.src),
            "width": shown.width,
            "height": shown.height,
            "alt": shown.alt,
            "sources": [
                {
                    "type": source.type,
                    "srcset": ", ".join(f"{self._whole(each.url)} {each.width}w" for each in source.candidates),
                    "sizes": [
                        {"url": self._whole(each.url), "width": each.width, "height": each.height}
                        for each in source.candidates
                    ],
                }
                for source in shown.sources
            ],
            "color": shown.color,
            "focus": list(shown.focus),
            "credit": credit_of(shown.asset),
            "ai_label": label.text if label else None,
            "digital_source_type": shown.asset.digital_source_type,
        }

    def _whole(self, url: str) -> str:
        request = self.context.get("request")
        return request.build_absolute_uri(url) if request is not None else url


def _describe() -> None:
    """For the site's own OpenAPI document, where it makes one with drf-spectacular."""
    try:
        from drf_spectacular.extensions import OpenApiSerializerFieldExtension
    except ImportError:
        return

    class Described(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
        target_class = "mediagen.fields.rest.MediaAssetSerializerField"

        def map_serializer_field(self, auto_schema: Any, direction: str) -> Any:
            if direction == "request":
                return {"type": "string", "description": "The id of a picture, or a pick of the chooser."}
            return auto_schema.resolve_serializer(PictureSerializer, direction).ref


_describe()
