from django.core.files.base import ContentFile
from django.db import models
from wagtail import blocks
from wagtail.fields import RichTextField, StreamField
from wagtail.images import get_image_model_string
from wagtail.images.models import AbstractImage, AbstractRendition, Image
from wagtail.models import Page

from mediagen.contrib.wagtail.blocks import MediaAssetChooserBlock
from mediagen.fields import MediaAssetField


def values_of(asset, user):
    return {"credit": asset.credit or f"asked for by {user}"}


class Photo(AbstractImage):
    credit = models.CharField(max_length=200)

    admin_form_fields = (*Image.admin_form_fields, "credit")


def photo(title, content, extension="png", **values):
    """An image with this file, as somebody uploads one."""
    return Photo.objects.create(title=title, file=ContentFile(content, f"{title}.{extension}"), credit="me", **values)


class PhotoRendition(AbstractRendition):
    image = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="renditions")

    class Meta:
        unique_together = (("image", "filter_spec", "focal_point_key"),)


class HarbourPage(Page):
    cover = MediaAssetField(null=True, blank=True)
    hero = models.ForeignKey(
        get_image_model_string(), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    text = RichTextField(blank=True)
    body = StreamField(
        [
            ("picture", MediaAssetChooserBlock(picture={"ratio": "16:9", "widths": "400,800"}, min_width=100)),
            (
                "pair",
                blocks.StructBlock([("left", MediaAssetChooserBlock(required=False)), ("note", blocks.CharBlock())]),
            ),
        ],
        blank=True,
    )

    content_panels = [*Page.content_panels, "hero", "cover", "text", "body"]
    template = "harbour/page.html"
