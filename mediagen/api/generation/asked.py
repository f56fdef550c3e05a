"""Bodies that ask for pictures: out of words, or out of pictures that are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.validators import RegexValidator
from django.utils.translation import gettext
from rest_framework import serializers

from mediagen.api.fields import Choice, Flag, Object, StrictSerializer, Text, Whole
from mediagen.engine.generation import ACCEPT, FAIL, MOST_AT_ONCE, PictureRequest
from mediagen.operations import (
    EDIT,
    GENERATE,
    LARGEST_MARGIN_PX,
    MOST_TIMES,
    OPERATIONS,
    OUTPAINT,
    REMOVE_BACKGROUND,
    UPSCALE,
    VARY,
    Margins,
)
from mediagen.types import MAX_PROMPT_CHARS, MAX_SEED, MAX_SIDE_PX

LONGEST_PROMPT = MAX_PROMPT_CHARS
RATIO = "^[1-9][0-9]{0,4}:[1-9][0-9]{0,4}$"


def _side(what: str) -> Whole:
    return Whole(min_value=1, max_value=MAX_SIDE_PX, required=False, allow_null=True, help_text=f"Pixels. {what}.")


def _ratio(what: str) -> Text:
    return Text(
        required=False,
        max_length=11,
        validators=[RegexValidator(RATIO, 'must be like "16:9".')],
        help_text=f'"16:9", instead of one side or of both: {what} then.',
    )


def _margin() -> Whole:
    return Whole(min_value=0, max_value=LARGEST_MARGIN_PX, required=False, help_text="Pixels to be added there. 0.")


class AskedSerializer(StrictSerializer):
    """What all of them have."""

    operation: ClassVar[str] = GENERATE

    negative_prompt = Text(max_length=LONGEST_PROMPT, required=False, allow_blank=True)
    count = Whole(min_value=1, max_value=MOST_AT_ONCE, required=False, help_text="Pictures. 1.")
    library = Text(
        max_length=200, required=False, allow_null=True, help_text="Id, slug or name. The token's, or the default one."
    )
    provider = Text(max_length=100, required=False, help_text="Asked instead of the chain.")
    providers = serializers.ListField(
        child=Text(max_length=100),
        required=False,
        max_length=20,
        help_text="Asked instead of the chain, in this order.",
    )
    seed = Whole(
        min_value=0,
        max_value=MAX_SEED,
        required=False,
        allow_null=True,
        help_text="Further pictures have the next ones.",
    )
    tags = serializers.ListField(child=Text(max_length=100), required=False, max_length=100)
    name = Text(max_length=255, required=False, allow_blank=True, help_text="The prompt's beginning.")
    description = Text(max_length=LONGEST_PROMPT, required=False, allow_blank=True)
    alt_text = Text(max_length=LONGEST_PROMPT, required=False, allow_blank=True)
    options = Object(required=False, help_text="Of the providers, see providers/.")
    dry_run = Flag(required=False, allow_null=True, help_text="The site decides.")
    on_placeholder = Choice(
        choices=(ACCEPT, FAIL),
        required=False,
        help_text='When no provider delivers: "accept" a placeholder (the default), or "fail".',
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("provider") and attrs.get("providers"):
            raise serializers.ValidationError({"providers": gettext("Say provider or providers, not both.")})
        return attrs

    @classmethod
    def request_of(cls, values: Mapping[str, Any]) -> PictureRequest:
        given = dict(values)
        if provider := given.pop("provider", None):
            given["providers"] = [provider]
        if cls.operation != GENERATE:
            given["operation"] = cls.operation
            given["sources"] = [given.pop("source"), *given.pop("sources", ())]
        if margins := {side: given.pop(side) for side in Margins._fields if side in given}:
            given["margins"] = margins
        return PictureRequest(**given)


class PicturesSerializer(AskedSerializer):
    """What is asked for. Only the prompt is needed."""

    prompt = Text(max_length=LONGEST_PROMPT)
    width = _side("1024")
    height = _side("1024")
    aspect_ratio = _ratio("about a megapixel")


class WorkSerializer(AskedSerializer):
    """What is to be done with a picture that is there. Only `source` is needed, where nothing else is said."""

    source = serializers.UUIDField(  # type: ignore[assignment]
        help_text="The asset to be worked on: one that you may see, with a picture."
    )
    prompt = Text(max_length=LONGEST_PROMPT, required=False, allow_blank=True)


class EditSerializer(WorkSerializer):
    """A picture is changed as the prompt says."""

    operation = EDIT

    prompt = Text(max_length=LONGEST_PROMPT, help_text="What is to be changed.")
    sources = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        max_length=OPERATIONS[EDIT].most_sources - 1,
        help_text="Further assets to be made of.",
    )
    mask = serializers.UUIDField(
        required=False, help_text="An asset: where it is transparent (without transparency, white) may change."
    )
    width = _side("As the picture")
    height = _side("As the picture")
    aspect_ratio = _ratio("as wide as the picture")


class VariationSerializer(WorkSerializer):
    """Another picture like the one."""

    operation = VARY

    width = _side("As the picture")
    height = _side("As the picture")


class UpscaleSerializer(WorkSerializer):
    """The same picture with more pixels."""

    operation = UPSCALE

    factor = serializers.FloatField(
        required=False,
        min_value=1,
        max_value=MOST_TIMES,
        help_text="Times as many pixels a side. 2, unless a size is given.",
    )
    width = _side("By the factor")
    height = _side("By the factor")


class BackgroundRemovalSerializer(WorkSerializer):
    """What is in the foreground, with transparency around."""

    operation = REMOVE_BACKGROUND


class OutpaintSerializer(WorkSerializer):
    """The picture, continued on one side or more."""

    operation = OUTPAINT

    left = _margin()
    right = _margin()
    up = _margin()
    down = _margin()
