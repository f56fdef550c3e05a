"""Alt texts that a model suggests, in the admin: asked for one or many, accepted and rejected at the asset itself."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from mediagen.admin.base import access_of
from mediagen.admin.work.asset_jobs import AssetJobs
from mediagen.descriptions import checked_wish
from mediagen.engine.database import run_sync
from mediagen.engine.generation import descriptions, failures
from mediagen.engine.library import Right, alt_texts
from mediagen.engine.work import describing, jobs
from mediagen.errors import Conflict, InvalidRequest, MediagenError
from mediagen.models import MediaAsset
from mediagen.studio.generation.prompt import Price
from mediagen.studio.library.alt_texts import PATIENCE_S
from mediagen.studio.pages import once_of
from mediagen.wording import translated

ONLY_AT_HOME = ("accept_alt_text", "reject_alt_text")
"""for a text that somebody has read: no actions of the list"""


class SuggestForm(forms.Form):
    language = forms.CharField(
        label=gettext_lazy("Language"),
        max_length=40,
        help_text=gettext_lazy("As in HTML: en, de, pt-br. Alt texts that are there stay as they are."),
    )
    max_cost = forms.DecimalField(
        label=gettext_lazy("At most, USD"),
        required=False,
        min_value=0,
        max_digits=9,
        decimal_places=4,
        help_text=gettext_lazy("When the next one might cost more in all, the rest is left."),
    )

    def clean_language(self) -> str:
        try:
            return checked_wish(self.cleaned_data["language"], 160)[0]
        except InvalidRequest as exc:
            raise forms.ValidationError(translated(exc)) from exc


class AssetAltTexts(AssetJobs):
    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        found = super().get_actions(request, action_location)
        if request.method == "GET":
            return {name: found[name] for name in found if name not in ONLY_AT_HOME}
        return found

    @admin.action(description=gettext_lazy("Suggest alt texts ..."), permissions=["generate"])
    def suggest_alt_text(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        if "_own_page" in request.POST:
            return self._suggest_here(request, queryset)
        ids = self._chosen(request, alt_texts.lacking(queryset), Right.GENERATE, jobs.MAX_ASSETS)  # type: ignore[arg-type]
        form = SuggestForm(request.POST if "_go" in request.POST else None, initial={"language": get_language()})
        if not form.is_valid():
            extra = {"estimate": self._price_of_words(request, ids), "template": "ask_alt_texts"}
            return self._ask(request, ids, "suggest_alt_text", form, _("Suggest"), extra)
        arguments = describing.as_arguments(descriptions.Wish.of(form.cleaned_data["language"]))
        if (most := form.cleaned_data["max_cost"]) is not None:
            arguments["max_cost"] = str(most)
        return self._begin(request, "describe", ids, arguments, _("Alt text asked for."))

    def _price_of_words(self, request: HttpRequest, ids: list[Any]) -> str:
        try:
            found = describing.plan_many(access_of(request), ids, descriptions.Wish.of())
        except MediagenError as exc:
            return translated(exc)
        return Price(found, None).text

    def _suggest_here(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = self._chosen(request, queryset, Right.GENERATE)
        for asset in MediaAsset.objects.filter(pk__in=ids[:1]).select_related("library"):
            try:
                wish = describing.for_access(access_of(request), descriptions.Wish.of())
                descriptions.plan(asset.library, wish)
                row = descriptions.begin(asset, wish, by=request.user, pk=once_of(request, asset.pk))
                row = run_sync(descriptions.run, row, deadline_s=PATIENCE_S).description
                if row.failure_code:
                    told = failures.told(row.failure_code)
                    raise Conflict(" ".join(filter(None, (told["message"], told["hint"]))))
            except MediagenError as exc:
                self.message_user(request, translated(exc), messages.ERROR)
            else:
                self.message_user(request, _("A suggestion is there. Accept it, change it or reject it."))
        return self._back(request, ids)

    @admin.action(description=gettext_lazy("Accept the suggested alt text"), permissions=["change"])
    def accept_alt_text(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """What is there is replaced on the second yes."""
        ids = self._chosen(request, queryset, Right.CHANGE)
        asset = MediaAsset.objects.filter(pk__in=ids[:1]).first()
        if asset is not None and asset.alt_text and "_go" not in request.POST:
            return self._ask(request, ids, "accept_alt_text", None, _("Replace the alt text that is there"))
        return self._answered(request, ids, asset, accepted=True)

    @admin.action(description=gettext_lazy("Reject the suggested alt text"), permissions=["change"])
    def reject_alt_text(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = self._chosen(request, queryset, Right.CHANGE)
        return self._answered(request, ids, MediaAsset.objects.filter(pk__in=ids[:1]).first(), accepted=False)

    def _answered(
        self, request: HttpRequest, ids: list[Any], asset: MediaAsset | None, *, accepted: bool
    ) -> HttpResponse | None:
        if asset is None or len(ids) > 1:
            self.message_user(request, _("A suggestion is answered on the asset's own page."), messages.WARNING)
            return None
        try:
            if accepted:
                alt_texts.accept(asset, request.user, replace="_go" in request.POST)
            else:
                alt_texts.reject(asset, request.user)
        except MediagenError as exc:
            self.message_user(request, translated(exc), messages.ERROR)
        else:
            said = _("It is the alt text now.") if accepted else _("The suggestion is gone.")
            self.message_user(request, said, messages.SUCCESS)
            self._log(
                request, ids, _("Suggested alt text accepted.") if accepted else _("Suggested alt text rejected.")
            )
        return self._back(request, ids)
