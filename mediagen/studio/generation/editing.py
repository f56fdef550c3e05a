"""Working on a picture: changed by words, varied, enlarged, cut out, extended by the chain; cropped and turned here.

Each makes a new picture, the child of the one it was made of; what is there is never overwritten.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http.request import QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mediagen.engine.files import make_crop, upload
from mediagen.engine.generation import AssetOrder, estimate, library_budgets, order_of, queue
from mediagen.engine.library import review, trash
from mediagen.engine.money import left_of
from mediagen.engine.work import work_soon
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.factory import get_media_generator_chain
from mediagen.foreign import lacks
from mediagen.models import MediaAsset
from mediagen.operations import EDIT, LARGEST_MARGIN_PX, OUTPAINT, REMOVE_BACKGROUND, UPSCALE, VARY
from mediagen.studio.generation.prompt import MAX_PROMPT, Price
from mediagen.types import uuid7
from mediagen.wording import translated

FACTORS = (2, 4)
SIDES = ("left", "right", "up", "down")
SHAPES = {"1:1": 1.0, "3:2": 1.5, "2:3": 2 / 3, "16:9": 16 / 9, "9:16": 9 / 16}


class WorkForm(forms.Form):
    """What somebody wants made of a picture. `order()` is what the engine gets."""

    operation = forms.ChoiceField(choices=[(name, name) for name in (EDIT, VARY, UPSCALE, REMOVE_BACKGROUND, OUTPAINT)])
    token = forms.UUIDField(required=False)
    prompt = forms.CharField(label=gettext_lazy("What is to be changed"), max_length=MAX_PROMPT, required=False)
    mask = forms.FileField(required=False)
    factor = forms.IntegerField(required=False, min_value=2, max_value=16)
    left = right = up = down = forms.IntegerField(required=False, min_value=0, max_value=LARGEST_MARGIN_PX)

    def __init__(self, asset: MediaAsset, user: Any, data: Any = None, files: Any = None) -> None:
        super().__init__(data, files)
        self.asset, self.user = asset, user

    def order(self, mask: MediaAsset | None = None) -> AssetOrder:
        """Of a valid form. `InvalidRequest` for what cannot be."""
        said = self.cleaned_data
        operation = said["operation"]
        arguments: dict[str, Any] = {}
        if operation == UPSCALE:
            arguments["factor"] = said["factor"] or FACTORS[0]
        if operation == OUTPAINT:
            arguments["margins"] = {side: said[side] or 0 for side in SIDES}
        token = said["token"] or uuid7()
        generation = uuid.uuid5(token, f"{self.user.pk} {self.asset.pk} {operation}")
        return order_of(
            operation,
            [self.asset],
            prompt=said["prompt"] if operation != REMOVE_BACKGROUND else "",
            mask=mask,
            created_by=self.user,
            generation_id=generation,
            # Sent twice by a double click or a reload, it is made once.
            idempotency_key=f"work-{generation}",
            **arguments,
        )

    def price(self) -> Price:
        return price_of(self.order(), self.asset)

    def start(self) -> MediaAsset:
        """The new asset, pending, and whoever works told of it."""
        if (price := self.price()).is_too_much:
            raise InvalidRequest(price.text)
        mask = None
        if self.cleaned_data["mask"] and self.cleaned_data["operation"] == EDIT:
            name = _("Mask of %(name)s") % {"name": self.asset}
            mask = upload(self.cleaned_data["mask"], library=self.asset.library, by=self.user, name=name[:200])
        asset = queue.enqueue(self.order(mask))
        if mask is not None:
            # It is read when the picture is made, and nobody looks for it in the gallery: the trash empties itself.
            trash.delete([mask.pk], self.user)
        work_soon([asset.pk])
        return asset


def price_of(order: AssetOrder, asset: MediaAsset) -> Price:
    found = estimate([order])
    budgets = [] if found.is_free else library_budgets(asset.library)
    return Price(found, min((left_of(budget) for budget in budgets), default=None))


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that can be had of the picture, with its price said before."""

    operation: str
    label: Any
    price: str = ""
    why_not: str = ""
    """"" when it can be had"""
    fields: Mapping[str, Any] | None = None


def offers(asset: MediaAsset) -> dict[str, list[Offer]]:
    """By operation: each with its size and price, or why nobody can make it. No query for each provider."""
    chain = get_media_generator_chain()
    real = [provider for provider in chain.providers if not getattr(provider, "is_placeholder", False)]
    wanted: list[tuple[str, Any, dict[str, Any]]] = [
        (EDIT, _("Change it"), {"prompt": "x"}),
        (VARY, _("Another like it"), {"prompt": asset.prompt or "x"}),
        (REMOVE_BACKGROUND, _("Remove the background"), {}),
    ]
    for factor in FACTORS:
        size = f"{asset.width * factor} × {asset.height * factor}"
        wanted.append((UPSCALE, f"{factor}× ({size})", {"factor": factor}))
    for name, margins in shapes(asset).items():
        size = f"{asset.width + margins['left'] + margins['right']} × {asset.height + margins['up'] + margins['down']}"
        wanted.append((OUTPAINT, f"{name} ({size})", {"margins": margins}))
    found: dict[str, list[Offer]] = {}
    for operation, label, arguments in wanted:
        fields = arguments.get("margins", {name: value for name, value in arguments.items() if name == "factor"})
        offer = Offer(operation, label, fields=fields)
        if not any(not lacks(provider, operation) for provider in real):
            offer = Offer(operation, label, why_not=_("No provider of this site can do it."), fields=fields)
        else:
            try:
                price = price_of(order_of(operation, [asset], **arguments), asset)
                offer = Offer(operation, label, price.text, price.text if price.is_too_much else "", fields)
            except MediagenError as exc:
                offer = Offer(operation, label, why_not=translated(exc), fields=fields)
        found.setdefault(operation, []).append(offer)
    return found


def shapes(asset: MediaAsset) -> dict[str, dict[str, int]]:
    """The margins that bring the picture to usual shapes: {"16:9": {"left": 100, ...}}. Not those that it has, and
    none that needs more than what every provider adds."""
    found = {}
    for name, shape in SHAPES.items():
        across = max(asset.width, round(asset.height * shape)) - asset.width
        down = max(asset.height, round(asset.width / shape)) - asset.height
        margins = {"left": across // 2, "right": across - across // 2, "up": down // 2, "down": down - down // 2}
        if across + down >= 8 and max(margins.values()) <= LARGEST_MARGIN_PX:
            found[name] = margins
    return found


class CropForm(forms.Form):
    """A part of the picture, pixels, and quarters of a turn to the right."""

    x = forms.IntegerField(label=gettext_lazy("From the left"), min_value=0, initial=0)
    y = forms.IntegerField(label=gettext_lazy("From the top"), min_value=0, initial=0)
    width = forms.IntegerField(label=gettext_lazy("Width"), min_value=1)
    height = forms.IntegerField(label=gettext_lazy("Height"), min_value=1)
    quarters = forms.ChoiceField(
        label=gettext_lazy("Turn"),
        choices=[
            (0, gettext_lazy("not at all")),
            (1, gettext_lazy("to the right")),
            (2, gettext_lazy("upside down")),
            (3, gettext_lazy("to the left")),
        ],
        required=False,
    )

    def __init__(self, asset: MediaAsset, data: QueryDict | MultiValueDict[str, str] | None = None) -> None:
        super().__init__(data, initial={"width": asset.width, "height": asset.height}, auto_id="crop-%s")
        self.asset = asset

    def cut(self, by: Any) -> MediaAsset:
        """The new asset, of a valid form."""
        said = self.cleaned_data
        x, y = said["x"], said["y"]
        turn = 90 * (int(said["quarters"] or 0) % 4)
        return make_crop(self.asset, by, left=x, top=y, width=said["width"], height=said["height"], rotate=turn)


def set_focus(asset: MediaAsset, said: Any) -> None:
    """What must stay in sight when the picture is cut to another shape: two percentages."""
    try:
        across, down = (float(said.get(name, "")) / 100 for name in ("focal_x", "focal_y"))
    except ValueError:
        raise InvalidRequest(_("Say where: two numbers from 0 to 100.")) from None
    if not (0 <= across <= 1 and 0 <= down <= 1):
        raise InvalidRequest(_("Say where: two numbers from 0 to 100."))
    asset.focal_x, asset.focal_y = across, down
    review.describe(asset, {"focal_x", "focal_y"})
