"""Actions that take longer than a request may: each begins a job, whose page says how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mediagen.admin.library.asset_actions import MAX_AT_ONCE, AssetActions
from mediagen.engine.files import MAX_SIDE_PX, variants
from mediagen.engine.generation import AssetOrder, claims, estimate
from mediagen.engine.library import Right
from mediagen.engine.work import jobs
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.images import can_write, scale
from mediagen.models import AssetSource, MediaAsset
from mediagen.studio.generation.choices import Providers
from mediagen.studio.generation.prompt import Price
from mediagen.studio.pages import once_of
from mediagen.wording import translated

AT_ONCE_HERE = 10
"""assets that are tried again in the request itself; more become a job"""


class AgainForm(forms.Form):
    how = forms.ChoiceField(
        label=gettext_lazy("With"),
        choices=[
            ("new_seed", gettext_lazy("the same parameters and a new seed")),
            ("same", gettext_lazy("the same parameters and the same seed")),
            ("provider", gettext_lazy("the same parameters and another provider")),
        ],
        initial="new_seed",
    )
    provider = forms.ChoiceField(label=gettext_lazy("Provider"), required=False)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        if isinstance(provider := self.fields["provider"], forms.ChoiceField):
            provider.choices = [("", "---------"), *((name, name) for name in Providers.now().names)]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("how") == "provider" and not cleaned.get("provider"):
            self.add_error("provider", _("Choose the provider."))
        return cleaned

    @property
    def arguments(self) -> dict[str, Any]:
        """For the job. Of a valid form."""
        how = self.cleaned_data["how"]
        return {"how": how, "provider": self.cleaned_data["provider"]} if how == "provider" else {"how": how}


class VariantsForm(forms.Form):
    sizes = forms.CharField(
        label=gettext_lazy("Sizes"),
        initial="1200x630, 1080x1080, 400x",
        help_text=gettext_lazy(
            "With commas between them: 1200x630 is filled and cut around the focal point; 1200x or x630 keeps the "
            "whole picture. Nothing is enlarged."
        ),
    )
    format = forms.ChoiceField(label=gettext_lazy("Format"), required=False)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        if isinstance(field := self.fields["format"], forms.ChoiceField):
            writable = [(name, name) for name in scale.FORMATS if can_write(name)]
            field.choices = [("", _("that of the picture")), *writable]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                variants.specs_of(self.as_sizes)
            except InvalidRequest as exc:
                self.add_error("sizes", translated(exc))
        return cleaned

    @property
    def as_sizes(self) -> list[Any]:
        """As the engine takes them."""
        texts = [text.strip() for text in self.cleaned_data["sizes"].replace("\n", ",").split(",") if text.strip()]
        wanted = self.cleaned_data.get("format")
        return [_with_format(text, wanted) for text in texts] if wanted else texts


def _with_format(text: str, wanted: str) -> Any:
    width, x, height = text.lower().replace("\u00d7", "x").partition("x")
    if not x:
        return text  # the engine says how it is written
    return {"width": width, "height": height, "fit": "cover" if width and height else "inside", "format": wanted}


class AssetJobs(AssetActions):
    actions: tuple[str, ...] = (
        *("approve", "publish", "archive", "restore", "move", "tag"),
        *("generate_again", "retry", "make_variants", "make_webp", "download", "trash", "undelete"),
    )

    @admin.action(description=gettext_lazy("Generate again, as new assets ..."), permissions=["generate"])
    def generate_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = self._chosen(request, queryset.filter(source=AssetSource.GENERATED), Right.GENERATE)
        asked = "_go" in request.POST or "_estimate" in request.POST
        form = AgainForm(request.POST if asked else None)
        if not form.is_valid() or "_go" not in request.POST:
            price = "" if form.errors else self._price(ids, form.arguments if asked else {"how": "new_seed"})
            extra = {"estimate": price, "template": "ask_again"}
            return self._ask(request, ids, "generate_again", form, _("Generate"), extra)
        return self._begin(request, "generate_again", ids, form.arguments, _("Generated again, as a new asset."))

    @admin.action(description=gettext_lazy("Make variants in several sizes ..."), permissions=["generate"])
    def make_variants(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = self._chosen(request, queryset.ready(), Right.GENERATE)  # type: ignore[attr-defined]
        form = VariantsForm(request.POST if "_go" in request.POST else None)
        if not form.is_valid():
            return self._ask(request, ids, "make_variants", form, _("Make variants"))
        return self._begin(request, "variants", ids, {"sizes": form.as_sizes}, _("Variants asked for."))

    @admin.action(description=gettext_lazy("Make a WebP of the same size"), permissions=["generate"])
    def make_webp(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = self._chosen(request, queryset.ready(), Right.GENERATE)  # type: ignore[attr-defined]
        # Nothing is enlarged, so the largest side there may be is each one's own.
        sizes = [{"width": MAX_SIDE_PX, "format": "webp"}]
        return self._begin(request, "variants", ids, {"sizes": sizes}, _("Variants asked for."))

    @admin.action(description=gettext_lazy("Download as a zip"), permissions=["view"])
    def download(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = self._chosen(request, queryset, Right.READ, jobs.MAX_ASSETS)
        return self._begin(request, "zip", ids, {})

    @admin.action(
        description=gettext_lazy("Retry failed ones, resume interrupted ones, and make placeholders for real"),
        permissions=["generate"],
    )
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Under their own ids, by whoever works; the page waits for nobody."""
        ids = self._chosen(request, queryset, Right.GENERATE)
        if len(ids) > AT_ONCE_HERE:
            return self._begin(request, "retry_failed", ids, {}, _("Generated again."))
        return self._retry_here(request, ids)

    def _begin(
        self, request: HttpRequest, kind: str, ids: list[Any], arguments: dict[str, Any], logged: str = ""
    ) -> HttpResponse | None:
        """A job of this kind, and the way to its page."""
        if not ids:
            self.message_user(request, _("There is nothing left to do it with."), messages.INFO)
            return None
        try:
            # By what was chosen: what the first of two clicks has done by now may fit the action no more.
            pk = once_of(request, kind, arguments, sorted(request.POST.getlist(ACTION_CHECKBOX_NAME)))
            job = jobs.start(kind, {**arguments, "asset_ids": ids}, by=request.user, pk=pk)
        except MediagenError as exc:
            return self._refused(request, exc)
        if logged:
            self._log(request, ids, logged)
        address = reverse("admin:mediagen_backgroundjob_change", args=[job.pk], current_app=self.admin_site.name)
        return HttpResponseRedirect(address)

    def _price(self, ids: list[Any], arguments: dict[str, Any]) -> str:
        """What making them again may cost, in words."""
        assets = MediaAsset.objects.filter(pk__in=ids[:MAX_AT_ONCE])
        try:
            return Price(estimate(_orders(assets, arguments.get("provider"))), None).text
        except MediagenError as exc:
            return translated(exc)


def _orders(assets: Iterable[MediaAsset], provider: str | None) -> Iterable[AssetOrder]:
    for asset in assets:
        order = claims.order_of(asset)
        yield replace(order, providers=(provider,)) if provider else order
