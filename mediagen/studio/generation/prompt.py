"""The prompt box: what somebody asks for, checked, priced, and handed to the engine."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mediagen import conf
from mediagen.engine.generation import AssetOrder, Estimate, estimate, library_budgets, queue
from mediagen.engine.library import Access, Right, presets
from mediagen.engine.money import left_of
from mediagen.engine.work import work_soon
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset, MediaLibrary, PresetKind, PromptPreset
from mediagen.studio.generation.choices import MAX_COUNT, SIZES, Providers
from mediagen.templatetags.mediagen import usd
from mediagen.types import MAX_SEED, MAX_SIDE_PX
from mediagen.wording import translated

CUSTOM = "custom"
MAX_PROMPT = 32_000
"""characters; no provider takes more"""
MOST_OBLONG = 4
"""no shape that many providers make is longer: one side by the other"""
SMALLEST_SIDE_PX = 64
MAX_VALUE = 500
"""characters that a variable of the prompt is replaced by"""
MOST_STYLES = 24
MORE = ("negative_prompt", "seed", "name", "tags", "alt_text")
"""fields that are folded away"""


class TagNames(forms.CharField):
    """Names between commas, as a list."""

    def clean(self, value: Any) -> Any:
        return [name.strip() for name in super().clean(value).split(",") if name.strip()]


class LibraryForm(forms.Form):
    """Into which library: one of those in which this person may make pictures. Nothing: the default one, which is made
    with its first picture."""

    library = forms.ModelChoiceField(
        label=gettext_lazy("Library"), queryset=MediaLibrary.objects.none(), required=False, empty_label=None
    )

    def __init__(self, access: Access, data: Any = None, *, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        self.access = access
        self._sent = self.data
        library = self.fields["library"]
        if not isinstance(library, forms.ModelChoiceField):
            return
        library.queryset = writable = libraries(access)
        default = conf.get("DEFAULT_LIBRARY")
        if not MediaLibrary.objects.filter(name=default).exists():
            library.empty_label = default
            return
        library.required = True
        if self.initial.get("library") is None:
            mine = writable.filter(name=default).first() or writable.first()
            self.initial["library"] = mine.pk if mine else None
        if self.is_bound and not self.data.get("library") and self.initial["library"]:
            self.data = self.data.copy()  # type: ignore[attr-defined]
            self.data["library"] = str(self.initial["library"])  # type: ignore[index]

    @property
    def library_choices(self) -> list[dict[str, Any]]:
        chosen = str(self["library"].value() or "")
        return [
            {"value": str(value), "label": label, "selected": str(value) == chosen}
            for value, label in self["library"].field.widget.choices
        ]


class PromptForm(LibraryForm):
    """What the prompt box asks. `orders()` is what the engine gets; the engine's own checks are errors of the form."""

    token = forms.UUIDField(widget=forms.HiddenInput, required=False)
    prompt = forms.CharField(
        label=gettext_lazy("Prompt"),
        max_length=MAX_PROMPT,
        error_messages={"required": gettext_lazy("Say what the picture should show.")},
    )
    size = forms.ChoiceField(label=gettext_lazy("Size"), required=False)
    width = forms.IntegerField(label=gettext_lazy("Width"), min_value=1, max_value=MAX_SIDE_PX, required=False)
    height = forms.IntegerField(label=gettext_lazy("Height"), min_value=1, max_value=MAX_SIDE_PX, required=False)
    count = forms.IntegerField(label=gettext_lazy("Pictures"), min_value=1, max_value=MAX_COUNT, required=False)
    provider = forms.ChoiceField(label=gettext_lazy("Provider"), required=False)
    negative_prompt = forms.CharField(label=gettext_lazy("Not in the picture"), max_length=MAX_PROMPT, required=False)
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        min_value=0,
        max_value=MAX_SEED,
        required=False,
        help_text=gettext_lazy("The same number makes the same picture, where a provider can. Counts up for several."),
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=255, required=False)
    tags = TagNames(
        label=gettext_lazy("Tags"), max_length=500, required=False, help_text=gettext_lazy("With commas between them.")
    )
    alt_text = forms.CharField(label=gettext_lazy("What it shows (alt text)"), max_length=2000, required=False)
    placeholder_only = forms.BooleanField(label=gettext_lazy("Placeholders only"), required=False)
    keep_seed = forms.IntegerField(min_value=0, max_value=MAX_SEED, required=False)
    """that of the picture whose prompt is edited; taken only when somebody asks for it"""
    sure = forms.BooleanField(label=gettext_lazy("Make it all the same"), required=False)
    style = forms.ModelChoiceField(
        label=gettext_lazy("Style"), queryset=PromptPreset.objects.none(), required=False, empty_label=None
    )

    def __init__(self, access: Access, data: Any = None, *, initial: dict[str, Any] | None = None) -> None:
        super().__init__(access, data, initial={**self.defaults(), **(initial or {})})
        self.providers = Providers.now()
        if isinstance(style := self.fields["style"], forms.ModelChoiceField):
            style.queryset = presets.visible(access).filter(kind=PresetKind.STYLE)
        self.option_problems: dict[str, str] = {}
        self.warning = ""
        self._orders: list[AssetOrder] | None = None
        if isinstance(size := self.fields["size"], forms.ChoiceField):
            size.choices = [*((preset.value, preset.label) for preset in SIZES), (CUSTOM, _("Own size"))]
        if isinstance(provider := self.fields["provider"], forms.ChoiceField):
            provider.choices = [("", _("The whole chain")), *((name, name) for name in self.providers.names)]

    @staticmethod
    def defaults() -> dict[str, Any]:
        return {"token": uuid.uuid4(), "size": SIZES[0].value, "count": 1}

    @property
    def sizes(self) -> list[dict[str, Any]]:
        """The presets for the page, with the chosen one marked."""
        chosen = self["size"].value() or SIZES[0].value
        return [{"preset": preset, "checked": preset.value == chosen} for preset in SIZES]

    @property
    def is_custom(self) -> bool:
        return bool(self["size"].value() == CUSTOM)

    @property
    def sides(self) -> list[forms.BoundField]:
        return [self["width"], self["height"]]

    @property
    def variables(self) -> list[dict[str, str]]:
        """The small fields for what stands in braces in the prompt."""
        names = presets.variables(str(self["prompt"].value() or ""))
        return [{"name": name, "value": self.data.get(f"var-{name}", "")} for name in names]

    @property
    def styles(self) -> list[StyleChoice]:
        return style_choices(self.access, str(self["style"].value() or ""))

    @property
    def more(self) -> list[forms.BoundField]:
        return [self[name] for name in MORE]

    @property
    def options(self) -> list[dict[str, Any]]:
        """The fields of the providers' options, with what was put in."""
        asked = self.initial.get("options", {})
        return [
            {
                "choice": choice,
                "text": str(self.data.get(name, "") if self.is_bound else _as_text(asked.get(choice.name))),
                "problem": self.option_problems.get(name, ""),
            }
            for choice in self.providers.options.values()
            for name in [choice.field_name]
        ]

    @property
    def has_more(self) -> bool:
        """Whether something stands in the part that is folded away: it is open then."""
        put_in = any(self[name].value() or name in self.errors for name in (*MORE, "placeholder_only"))
        return put_in or self.has_options

    @property
    def has_options(self) -> bool:
        return any(option["text"] or option["problem"] for option in self.options)

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        options = self._clean_options(str(values.get("provider") or ""))
        self._compose(values, options)
        width, height = self._clean_size(values)
        if values.get("seed") is None and values.get("keep_seed") is not None:
            values["seed"] = values["keep_seed"]
        self.warning = "" if self.errors else odd_size(width, height)
        if self.warning and not values.get("sure") and "estimate" not in self.data:
            self.add_error("sure", self.warning)
        if not self.errors:
            try:
                together = self._generation_id()
                self._orders = [
                    self._order(values, width, height, options, together, n) for n in range(values["count"] or 1)
                ]
            except InvalidRequest as exc:
                self.add_error(exc.field if exc.field in self.fields else None, translated(exc))
        return values

    def _compose(self, values: dict[str, Any], options: dict[str, Any]) -> None:
        """The prompt that is sent: its variables filled in, in the words of the style."""
        prompt, style = values.get("prompt", ""), values.get("style")
        # Only a page that has fields for them asks; elsewhere braces are braces.
        names = presets.variables(prompt) if "variables" in self.data else []
        said = {name: self.data.get(f"var-{name}", "").strip()[:MAX_VALUE] for name in names}
        missing = [name for name, value in said.items() if not value]
        if missing and "estimate" not in self.data:
            text = _("Say what is to stand for %(names)s, in the fields below.")
            self.add_error("prompt", text % {"names": ", ".join(missing)})
        prompt = presets.filled(prompt, said)
        if style is not None:
            prompt = presets.styled(prompt, style)
            both = (values.get("negative_prompt", "").rstrip(" ,"), style.negative_prompt)
            values["negative_prompt"] = ", ".join(filter(None, both))
            self._style_options(style, str(values.get("provider") or ""), options)
        values["prompt"] = prompt

    def _style_options(self, style: PromptPreset, provider: str, options: dict[str, Any]) -> None:
        """What the style asks for besides, where nothing else was put in and a provider still knows it."""
        for name, value in style.options.items() if isinstance(style.options, dict) else ():
            choice = self.providers.options.get(name)
            if choice is None or name in options or (provider and provider not in choice.providers):
                continue
            with suppress(InvalidRequest):
                options[name] = choice.clean(_as_text(value), provider)

    def _clean_options(self, provider: str) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for choice in self.providers.options.values():
            text = str(self.data.get(choice.field_name, "")).strip()
            if not text or (provider and provider not in choice.providers):
                continue  # of a provider that is not asked
            try:
                options[choice.name] = choice.clean(text, provider)
            except InvalidRequest as exc:
                self.option_problems[choice.field_name] = translated(exc)
                self.add_error(None, translated(exc))
        return options

    def _clean_size(self, values: dict[str, Any]) -> tuple[int, int]:
        size = values.get("size") or ""
        if size and size != CUSTOM:
            width, _x, height = size.partition("x")
            return int(width), int(height)
        for side in ("width", "height"):
            if size == CUSTOM and values.get(side) is None and side not in self.errors:
                self.add_error(side, _("Say how many pixels."))
        return values.get("width") or SIZES[0].width, values.get("height") or SIZES[0].height

    def _order(
        self,
        values: dict[str, Any],
        width: int,
        height: int,
        options: dict[str, Any],
        generation_id: uuid.UUID,
        n: int,
    ) -> AssetOrder:
        seed, style = values["seed"], values.get("style")
        order = AssetOrder.of(
            values["prompt"],
            width,
            height,
            values["library"],
            negative_prompt=values["negative_prompt"],
            # The same seed would make the same picture.
            seed=None if seed is None else (seed + n) % (MAX_SEED + 1),
            name=values["name"],
            alt_text=values["alt_text"],
            tags=values["tags"],
            provider=values["provider"] or None,
            dry_run=True if values["placeholder_only"] else None,
            created_by=self.access.user,
            generation_id=generation_id,
            idempotency_key=f"studio-{generation_id}-{n}",
            **options,
        )
        return replace(order, style=style.name) if style is not None else order

    def _generation_id(self) -> uuid.UUID:
        """Of this page and these answers: whoever sends the same form twice gets the same pictures, paid for once."""
        said = {
            name: self._sent.get(name) for name in sorted(self._sent) if name not in ("csrfmiddlewaretoken", "sure")
        }
        token = self.cleaned_data.get("token") or uuid.uuid4()
        return uuid.uuid5(token, f"{self.access.user.pk} {json.dumps(said)}")

    def orders(self) -> list[AssetOrder]:
        """One for each picture. Only of a valid form."""
        assert self._orders is not None, "ask is_valid() first"  # noqa: S101
        return self._orders

    def generate(self) -> list[MediaAsset]:
        """The assets, pending, and whoever works told of them. `InvalidRequest` for what the engine does not take, and
        for what the library's budget does not leave."""
        if (price := self.priced()).is_too_much:
            raise InvalidRequest(price.text)
        assets = queue.enqueue_together(self.orders())
        work_soon(asset.pk for asset in assets)
        return assets

    def priced(self) -> Price:
        """What the pictures may cost."""
        found = estimate(self.orders())
        library = self.cleaned_data["library"]
        budgets = library_budgets(library) if library and not found.is_free else []
        return Price(found, min((left_of(budget) for budget in budgets), default=None), self.warning)


@dataclass(frozen=True, slots=True)
class StyleChoice:
    style: PromptPreset
    is_chosen: bool
    picture: MediaAsset | None
    """its sample, for those who may see it"""


def style_choices(access: Access, chosen: str = "", kind: str = PresetKind.STYLE) -> list[StyleChoice]:
    """What a library's people have kept, with the samples. Two queries."""
    found = list(presets.visible(access).filter(kind=kind).select_related("library")[:MOST_STYLES])
    wanted = [preset.sample_id for preset in found if preset.sample_id]
    samples = access.assets(Right.READ).in_bulk(wanted) if wanted else {}
    return [StyleChoice(one, str(one.pk) == chosen, samples.get(one.sample_id)) for one in found]


@dataclass(frozen=True, slots=True)
class Price:
    """What pictures may cost, and what their library may still spend; USD."""

    estimate: Estimate
    left: Decimal | None
    """None: without a limit"""
    warning: str = ""

    @property
    def is_too_much(self) -> bool:
        """Whether not even the least is left. A price that is not known is never bought within a limit."""
        if self.left is None or self.estimate.is_free:
            return False
        return self.estimate.cheapest > self.left or self.estimate.without_price > 0

    @property
    def is_free(self) -> bool:
        return self.estimate.is_free

    @property
    def text(self) -> str:
        """In one line."""
        parts = [f"{self._pictures}, {self._price}", *self._without, *self._left]
        return " · ".join([*parts, self.warning] if self.warning else parts)

    @property
    def _pictures(self) -> str:
        number = self.estimate.pictures
        return ngettext("%(number)d picture", "%(number)d pictures", number) % {"number": number}

    @property
    def _price(self) -> str:
        found = self.estimate
        if found.is_free:
            return _("at no cost: placeholders")
        if found.without_price == found.pictures:
            return _("at a price that is not known")
        low, high = usd(found.cheapest), usd(found.dearest)
        if found.unknown and self.left is None:  # within a limit these are passed over
            return _("from %(low)s") % {"low": low}
        return low if low == high else _("%(low)s to %(high)s") % {"low": low, "high": high}

    @property
    def _without(self) -> list[str]:
        if not self.estimate.unknown or self.estimate.is_free:
            return []
        names = {"names": ", ".join(sorted(self.estimate.unknown))}
        if self.left is None:
            return [_("price of %(names)s not known") % names]
        return [_("not asked, because the library has a budget and their price is not known: %(names)s") % names]

    @property
    def _left(self) -> list[str]:
        if self.left is None:
            return []
        left = _("%(left)s left in this library") % {"left": usd(self.left)}
        return [left, _("ask for fewer pictures, or for a higher budget")] if self.is_too_much else [left]


def odd_size(width: int, height: int) -> str:
    """Why somebody should think again before such a picture is bought; "" for a usual size."""
    if max(width, height) <= MOST_OBLONG * min(width, height) and min(width, height) >= SMALLEST_SIDE_PX:
        return ""
    return _(
        "Hardly any provider makes %(width)d × %(height)d: it will make a picture of another shape, which is then "
        "enlarged or cut, and costs the same."
    ) % {"width": width, "height": height}


def libraries(access: Access) -> QuerySet[MediaLibrary]:
    """Those in which this person may make pictures."""
    return access.libraries(Right.GENERATE).only("name", "budget_limit", "budget_period").order_by("name")


def may_generate(access: Access) -> bool:
    """Whether there is anywhere to put a picture; somebody who may not gets no prompt box."""
    if not access.has(Right.GENERATE):
        return False
    is_new = not MediaLibrary.objects.filter(name=conf.get("DEFAULT_LIBRARY")).exists()
    return is_new or access.libraries(Right.GENERATE).exists()


def as_asked(asset: MediaAsset, access: Access) -> dict[str, Any]:
    """What the prompt box begins with when somebody wants to change what an asset was asked with."""
    asked = asset.parameters or {}
    size = f"{asked.get('width')}x{asked.get('height')}"
    is_preset = size in {preset.value for preset in SIZES}
    providers = asked.get("providers") or [""]
    writable = access.may(Right.GENERATE, asset.library_id)
    return {
        "prompt": asset.prompt,
        "negative_prompt": asset.negative_prompt,
        "keep_seed": asset.seed,
        "size": size if is_preset else CUSTOM,
        "width": None if is_preset else asked.get("width"),
        "height": None if is_preset else asked.get("height"),
        "provider": providers[0] if len(providers) == 1 else "",
        "options": asked.get("options", {}),
        "library": asset.library_id if writable else None,
        "tags": "",
    }


def _as_text(value: Any) -> str:
    """An option's value as its field shows it."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
