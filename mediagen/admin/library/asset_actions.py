"""What an editor does with many assets: the steps of the review, order, another try, delete and undo.

An action that needs an answer first shows a page of its own; its form comes back to the same action with `_go`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mediagen import conf
from mediagen.admin.base import access_of
from mediagen.admin.library.asset_list import AssetList
from mediagen.admin.tag_names import TagNamesField
from mediagen.engine import get_media_engine
from mediagen.engine.library import Right, bulk, review, trash
from mediagen.engine.work import in_server
from mediagen.errors import AssetInUse, InvalidRequest, MediagenError
from mediagen.models import AssetSource, MediaAsset, MediaLibrary, ReviewStatus
from mediagen.models.asset import ON_REQUEST
from mediagen.wording import translated

MAX_AT_ONCE = review.MAX_AT_ONCE
SHOWN_CHOSEN = 12
SHOWN_USED = 50

BUTTONS = {
    "approve": gettext_lazy("Approve"),
    "publish": gettext_lazy("Publish"),
    "archive": gettext_lazy("Archive"),
    "restore": gettext_lazy("Restore as draft"),
    "retry": gettext_lazy("Try again"),
    "move": gettext_lazy("Move to a library"),
    "generate_again": gettext_lazy("Generate a variant"),
    "make_variants": gettext_lazy("Make other sizes"),
    "download": gettext_lazy("Download as a zip"),
    "trash": gettext_lazy("Delete"),
    "undelete": gettext_lazy("Have it back"),
}
DONE = {
    "approve": gettext_lazy("approved"),
    "publish": gettext_lazy("published"),
    "archive": gettext_lazy("archived"),
    "restore": gettext_lazy("restored as drafts"),
}


class MoveForm(forms.Form):
    library = forms.ModelChoiceField(label=gettext_lazy("Library"), queryset=MediaLibrary.objects.none())

    def __init__(self, request: HttpRequest, data: Any = None) -> None:
        super().__init__(data)
        field = self.fields["library"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = access_of(request).libraries(Right.CHANGE).order_by("name")


class TagForm(forms.Form):
    add = TagNamesField(label=gettext_lazy("Add"))
    remove = TagNamesField(label=gettext_lazy("Take off"))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors and not cleaned.get("add") and not cleaned.get("remove"):
            raise forms.ValidationError(_("Write at least one tag to add or to take off."))
        return cleaned


class AssetActions(AssetList):
    # ------------------------------------------------------------------ who may do what

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return access_of(request).has(Right.APPROVE)

    def has_generate_permission(self, request: HttpRequest) -> bool:
        return access_of(request).has(Right.GENERATE)

    def has_trash_permission(self, request: HttpRequest) -> bool:
        return access_of(request).has(Right.DELETE)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        # Django 6.1 says where they are to be shown; an asset's own page has buttons of ours.
        if getattr(action_location, "name", "") == "CHANGE_FORM":
            return {}
        where = {} if action_location is None else {"action_location": action_location}
        found: dict[str, Any] = super().get_actions(request, **where)
        in_trash = request.GET.get("status__exact") == ReviewStatus.DELETED
        # Which of the two is on the page hangs on what it shows; sent from the asset's own page either is known.
        if request.method == "GET":
            return {name: found[name] for name in found if (name == "undelete") == in_trash}
        return found

    # ------------------------------------------------------------------ review

    @admin.action(description=BUTTONS["approve"], permissions=["approve"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._review(request, queryset, "approve")

    @admin.action(description=BUTTONS["publish"], permissions=["approve"])
    def publish(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._review(request, queryset, "publish")

    @admin.action(description=BUTTONS["archive"], permissions=["approve"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._review(request, queryset, "archive")

    @admin.action(description=gettext_lazy("Restore archived ones as drafts"), permissions=["approve"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._review(request, queryset, "restore")

    def _review(self, request: HttpRequest, queryset: QuerySet[Any], step: str) -> HttpResponse | None:
        ids = self._chosen(request, queryset, Right.APPROVE)
        try:
            done = review.review(ids, step, by=request.user)
        except InvalidRequest as exc:
            self.message_user(request, translated(exc), messages.ERROR)
            return None
        number = len(done.changed)
        if number:
            text = ngettext("%(number)d asset %(done)s.", "%(number)d assets %(done)s.", number)
            self.message_user(request, text % {"number": number, "done": DONE[step]}, messages.SUCCESS)
            self._log(request, done.changed, _("Review: %(done)s.") % {"done": DONE[step]})
        drawn, bare, elsewhere = done.placeholders, done.without_picture, done.elsewhere
        for count, text in (
            (drawn, ngettext("%d of them is a placeholder.", "%d of them are placeholders.", drawn)),
            (bare, ngettext("%d was left out: no picture.", "%d were left out: no picture.", bare)),
            (
                done.without_alt_text,
                ngettext(
                    "%d was left out: its library wants an alt text.",
                    "%d were left out: their library wants an alt text.",
                    done.without_alt_text,
                ),
            ),
            (elsewhere, ngettext("%d was left out: wrong status.", "%d were left out: wrong status.", elsewhere)),
        ):
            if count:
                self.message_user(request, text % count, messages.WARNING)
        return self._back(request, ids)

    # ------------------------------------------------------------------ order

    @admin.action(description=gettext_lazy("Move to a library ..."), permissions=["change"])
    def move(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = self._chosen(request, queryset, Right.CHANGE)
        form = MoveForm(request, request.POST if "_go" in request.POST else None)
        if not form.is_valid():
            return self._ask(request, ids, "move", form, gettext_lazy("Move"))
        library = form.cleaned_data["library"]
        try:
            number = bulk.move(ids, library)
        except InvalidRequest as exc:
            return self._refused(request, exc)
        text = ngettext("%(number)d asset moved to %(library)s.", "%(number)d assets moved to %(library)s.", number) % {
            "number": number,
            "library": library,
        }
        self.message_user(request, text, messages.SUCCESS if number else messages.INFO)
        self._log(request, ids if number else [], _("Moved to the library %(library)s.") % {"library": library})
        return self._back(request, ids)

    @admin.action(description=gettext_lazy("Add or take off tags ..."), permissions=["change"])
    def tag(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = self._chosen(request, queryset, Right.CHANGE)
        form = TagForm(request.POST if "_go" in request.POST else None)
        if not form.is_valid():
            return self._ask(request, ids, "tag", form, gettext_lazy("Change tags"))
        add, remove = form.cleaned_data["add"], form.cleaned_data["remove"]
        try:
            number = bulk.tag(ids, add=add, remove=remove)
        except InvalidRequest as exc:
            return self._refused(request, exc)
        text = ngettext("Tags of %(number)d asset changed.", "Tags of %(number)d assets changed.", number)
        self.message_user(request, text % {"number": number}, messages.SUCCESS)
        said = ", ".join([*(f"+{name}" for name in add), *(f"-{name}" for name in remove)])
        self._log(request, ids, _("Tags: %(tags)s.") % {"tags": said})
        return self._back(request, ids)

    # ------------------------------------------------------------------ again

    def _retry_here(self, request: HttpRequest, ids: list[Any]) -> HttpResponse | None:
        """Under their own ids, by whoever works; the page waits for nobody."""
        again: list[Any] = []
        for pk in ids:
            try:
                get_media_engine().enqueue_again_sync(pk)
            except MediagenError as exc:
                self.message_user(request, f"{pk}: {translated(exc)}", messages.ERROR)
            else:
                again.append(pk)
        if again:
            in_server.work_soon(again)
            text = ngettext("%(number)d asset is made again.", "%(number)d assets are made again.", len(again))
            self.message_user(request, text % {"number": len(again)}, messages.SUCCESS)
            self._log(request, again, _("Generated again."))
        return self._back(request, ids)

    # ------------------------------------------------------------------ delete and undo

    @admin.action(description=gettext_lazy("Delete, with files ..."), permissions=["trash"])
    def trash(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """One yes, and a second one for what is in use. What was confirmed is deleted, not what came since."""
        ids = self._chosen(request, queryset, Right.DELETE)
        if len(ids) > MAX_AT_ONCE:
            return self._refused(request, _too_many())
        used = trash.usages_of(ids)
        sure = request.POST.get("expected") == str(len(ids)) and "_go" in request.POST
        if not sure or (used and "even_if_used" not in request.POST):
            number = conf.get("KEEP_DELETED_DAYS")
            named = MediaAsset.objects.in_bulk(list(used)[:SHOWN_USED])
            context = {
                "expected": len(ids),
                "kept_days": number,
                "used": [(asset, used[asset.asset_id]) for asset in named.values()],
                "used_number": len(used),
                "asked_twice": sure,
                "template": "ask_delete",
            }
            return self._ask(request, ids, "trash", None, gettext_lazy("Yes, delete"), context)
        try:
            done = trash.delete(ids, request.user, even_if_used=bool(used))
        except (InvalidRequest, AssetInUse) as exc:
            return self._refused(request, exc)
        count = len(done.deleted)
        text = ngettext(
            "%(number)d asset deleted. It can be had back for %(days)d days: filter by the status Deleted.",
            "%(number)d assets deleted. They can be had back for %(days)d days: filter by the status Deleted.",
            count,
        )
        values = {"number": count, "days": conf.get("KEEP_DELETED_DAYS")}
        self.message_user(request, text % values, messages.SUCCESS)
        self._log(request, done.deleted, _("Deleted; can be had back."), DELETION)
        return None

    @admin.action(description=gettext_lazy("Have deleted ones back"), permissions=["trash"])
    def undelete(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = self._chosen(request, queryset, Right.DELETE, deleted=True)
        try:
            back = trash.undelete(ids, request.user)
        except InvalidRequest as exc:
            return self._refused(request, exc)
        text = ngettext("%(number)d asset is back.", "%(number)d assets are back.", len(back))
        self.message_user(request, text % {"number": len(back)}, messages.SUCCESS if back else messages.INFO)
        self._log(request, back, _("Had back after it was deleted."))
        return self._back(request, ids)

    # ------------------------------------------------------------------ in common

    def _chosen(
        self, request: HttpRequest, queryset: Any, right: Right, limit: int = MAX_AT_ONCE, *, deleted: bool = False
    ) -> list[Any]:
        """Ids of the chosen assets with which the user may do it, one more than `limit` at most; says what it left
        out."""
        chosen = queryset if deleted else queryset.kept()
        able = chosen.filter(pk__in=access_of(request).all_assets(right).order_by().values("pk"))
        ids = list(able.values_list("pk", flat=True)[: limit + 1])
        if len(ids) <= limit and len(ids) < chosen[: limit + 1].count():
            text = _("Assets in libraries that you may only look into were left out.")
            self.message_user(request, text, messages.WARNING)
        return ids

    def _ask(
        self,
        request: HttpRequest,
        ids: list[Any],
        action: str,
        form: forms.Form | None,
        button: Any,
        extra: dict[str, Any] | None = None,
    ) -> HttpResponse | None:
        """The page on which the action asks what it needs; None, with a message, when there is nothing to ask for."""
        if not ids:
            self.message_user(request, _("There is nothing left to do it with."), messages.INFO)
            return None
        if len(ids) > MAX_AT_ONCE:
            return self._refused(request, _too_many())
        shown = MediaAsset.objects.filter(pk__in=ids[:SHOWN_CHOSEN]).select_related("library")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": _description(self.get_actions(request)[action]).rstrip(" ."),
            "action": action,
            "button": button,
            "form": form,
            "number": len(ids),
            "shown": list(shown),
            "more": max(len(ids) - SHOWN_CHOSEN, 0),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
            "own_page": "_own_page" in request.POST,
            "token": uuid.uuid4(),
            "back_url": self._own_address(request, ids) or request.get_full_path(),
            **(extra or {}),
        }
        return TemplateResponse(request, f"mediagen/admin/{context.get('template', 'ask_form')}.html", context)

    def _refused(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        self.message_user(request, translated(exc), messages.ERROR)
        return None

    def _own_address(self, request: HttpRequest, ids: list[Any]) -> str:
        return self._page("change", *ids) if "_own_page" in request.POST and len(ids) == 1 else ""

    def _back(self, request: HttpRequest, ids: list[Any]) -> HttpResponse | None:
        """To the asset's own page, when the button was pressed there."""
        address = self._own_address(request, ids)
        return HttpResponseRedirect(address) if address else None

    def _log(self, request: HttpRequest, ids: Iterable[Any], message: str, kind: int = CHANGE) -> None:
        """A line in the history of each."""
        assets = MediaAsset.objects.filter(pk__in=list(ids)).only("name", "prompt")
        LogEntry.objects.log_actions(request.user.pk, assets, kind, message)  # type: ignore[arg-type]


def _too_many() -> InvalidRequest:
    return InvalidRequest(
        _("More than %(limit)s assets are too many at once. Narrow the list down first.")
        % {"limit": f"{MAX_AT_ONCE:,}"}
    )


def steps_of(asset: MediaAsset, may: Any) -> list[tuple[str, Any]]:
    """(action, what its button says): what this user can do with this asset now; `may(right)` is about its library."""
    if asset.status == ReviewStatus.DELETED:
        return [("undelete", BUTTONS["undelete"])] if may(Right.DELETE) else []
    able: list[tuple[str, Any]] = []
    if may(Right.GENERATE) and (asset.awaits_its_picture or asset.generation_state in ON_REQUEST):
        able.append(("retry", BUTTONS["retry"]))
    if may(Right.GENERATE) and asset.source == AssetSource.GENERATED and asset.is_ready:
        able.append(("generate_again", BUTTONS["generate_again"]))
    if may(Right.GENERATE) and asset.is_ready:
        able.append(("make_variants", BUTTONS["make_variants"]))
    if may(Right.APPROVE):
        able += [
            (name, BUTTONS[name])
            for name, step in review.STEPS.items()
            if asset.status in step.sources and (asset.is_ready or not step.needs_picture)
        ]
    if may(Right.CHANGE):
        able.append(("move", BUTTONS["move"]))
    if may(Right.DELETE):
        able.append(("trash", BUTTONS["trash"]))
    return able


def _description(action: Any) -> str:
    """What an action is called, in the form of Django 6.1 and in the tuple of those before."""
    return str(action.description if hasattr(action, "description") else action[2])
