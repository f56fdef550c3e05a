"""Alt texts that a model suggests: beside the field, in the dialog that chooses, and all that wait."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.generic import View

from mediagen.engine.database import run_sync
from mediagen.engine.generation import descriptions, failures, library_budgets
from mediagen.engine.library import Access, Right, alt_texts
from mediagen.engine.money import left_of
from mediagen.engine.work import describe_requests, describing, jobs
from mediagen.errors import Conflict, InvalidRequest, MediagenError
from mediagen.models import AssetDescription, MediaAsset, MediaLibrary
from mediagen.studio import notices, tiles
from mediagen.studio.generation.prompt import Price
from mediagen.studio.pages import StudioPage, admin_link, once_of, problem, wants_json
from mediagen.wording import translated

PAGE = 30
PATIENCE_S = 60.0
"""how long somebody waits for one"""
NOTICES = {"suggest": "suggested", "accept": "accepted", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What stands beside an alt text."""

    asset: MediaAsset
    behind: AssetDescription | None = None
    """who said it, in which language"""
    may_answer: bool = False
    may_ask: bool = False
    price: str = ""
    """of asking once more, or why nobody can be asked"""
    token: uuid.UUID | None = None
    """of the form that asks: sent twice, it asks once"""

    @property
    def is_on_pages(self) -> bool:
        """Whether the site's pages show it before anybody has accepted it."""
        return self.asset.has_suggestion and not self.asset.alt_text and bool(self.asset.shown_alt_text)

    @property
    def is_shown(self) -> bool:
        return self.asset.has_suggestion or self.may_ask or bool(self.price)


def suggestion_of(asset: MediaAsset, access: Access, rights: Any = None) -> Suggestion:
    """For a page on which one asset is looked at."""
    rights = tiles.RightsByLibrary(access).of(asset) if rights is None else rights
    may_ask, price = False, ""
    if Right.GENERATE in rights and asset.is_ready and asset.file and not asset.is_placeholder:
        may_ask, price = _price(asset, access)
    behind = alt_texts.latest([asset.pk]).get(asset.pk) if asset.has_suggestion else None
    return Suggestion(asset, behind, Right.CHANGE in rights, may_ask, price, uuid.uuid4())


def _price(asset: MediaAsset, access: Access) -> tuple[bool, str]:
    """(whether one can be asked for, what it costs or why not)."""
    try:
        found = descriptions.plan(asset.library, describing.for_access(access, descriptions.Wish.of()))
    except MediagenError as exc:
        return False, translated(exc)
    budgets = [] if found.is_free else library_budgets(asset.library)
    price = Price(found, min((left_of(budget) for budget in budgets), default=None))
    return not price.is_too_much, price.text


class AltTextView(StudioPage, View):
    """POST `do`: "suggest" (in `language`), "accept" (with `text`, what a person made of it; `replace`: in place of the
    alt text that is there), "reject". Answers a script {"message", "html", "alt_text", "suggestion", "state"}."""

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        asset, do = self.asset(pk), request.POST.get("do", "")
        rights = tiles.RightsByLibrary(self.access).of(asset)
        if (Right.GENERATE if do == "suggest" else Right.CHANGE) not in rights:
            return self.handle_no_permission()
        try:
            self._do(do, asset)
        except MediagenError as exc:
            if wants_json(request):
                return problem(translated(exc), status=409)
            address = self._next(asset)
            context = {"problem": translated(exc), "back": address, "admin_url": admin_link()}
            return render(request, "mediagen/studio/many_sure.html", context, status=409)
        if not wants_json(request):
            address = self._next(asset)
            return HttpResponseRedirect(f"{address}{'&' if '?' in address else '?'}said={NOTICES[do]}")
        asset = self.asset(pk)
        shown = {"suggestion": suggestion_of(asset, self.access, rights), "asset": asset}
        return JsonResponse(
            {
                "message": str(notices.TEXTS[NOTICES[do]]),
                "html": render_to_string("mediagen/studio/suggestion.html", shown, request=request),
                "alt_text": asset.alt_text,
                "suggestion": asset.alt_text_suggestion,
                "state": asset.alt_text_state,
            }
        )

    def _do(self, do: str, asset: MediaAsset) -> None:
        said, user = self.request.POST, self.request.user
        if do == "suggest":
            self._suggest(asset)
        elif do == "accept":
            alt_texts.accept(asset, user, said.get("text") or None, replace="replace" in said)
        elif do == "reject":
            alt_texts.reject(asset, user)
        else:
            raise InvalidRequest(_("Say what is to be done."))

    def _suggest(self, asset: MediaAsset) -> None:
        wish = describing.for_access(self.access, descriptions.Wish.of(self.request.POST.get("language") or None))
        descriptions.plan(asset.library, wish)
        row = descriptions.begin(asset, wish, by=self.request.user, pk=once_of(self.request, asset.pk))
        row = run_sync(descriptions.run, row, deadline_s=PATIENCE_S).description
        if row.failure_code:
            told = failures.told(row.failure_code)
            raise Conflict(" ".join(filter(None, (told["message"], told["hint"]))))

    def _next(self, asset: MediaAsset) -> str:
        to = self.request.POST.get("next", "")
        if to.startswith("/") and url_has_allowed_host_and_scheme(to, {self.request.get_host()}):
            return to
        return reverse("mediagen:asset", args=[asset.pk])


class AltTextsView(StudioPage, View):
    """GET: the suggestions that wait, and what describing the rest would cost. POST: have it described, as a job."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return self._page()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        try:
            if not self.access.has(Right.GENERATE):
                return self.handle_no_permission()
            library = self._library(request.POST.get("library", ""), Right.GENERATE)
            if library is None:
                raise InvalidRequest(_("Choose a library first."))
            ids = self._lacking(library)
            if request.POST.get("count") != str(len(ids)):
                raise Conflict(
                    _("There are %(number)d of them now. Look at the price once more.") % {"number": len(ids)}
                )
            wish = descriptions.Wish.of(request.POST.get("language") or None)
            describing.plan_many(self.access, ids, wish)
            # Those that were asked for by the first of two clicks lack theirs still.
            pk = once_of(request, describing.as_arguments(wish), library.pk)
            job = describe_requests.start(ids, wish, by=request.user, pk=pk)
        except MediagenError as exc:
            return self._page(problem=translated(exc), status=400)
        return HttpResponseRedirect(reverse("mediagen:studio-job", args=[job.pk]))

    def _library(self, word: str, right: Right) -> MediaLibrary | None:
        try:
            return self.access.libraries(right).filter(pk=uuid.UUID(word)).first() if word else None
        except ValueError:
            return None

    def _lacking(self, library: MediaLibrary) -> list[Any]:
        mine = alt_texts.lacking(self.access.assets(Right.GENERATE).filter(library=library))
        return list(mine.order_by("-pk").values_list("pk", flat=True)[: jobs.MAX_ASSETS])

    def _page(self, *, problem: str = "", status: int = 200) -> HttpResponseBase:
        request = self.request
        library = self._library(request.GET.get("library", ""), Right.READ)
        found = alt_texts.waiting(self.access).select_related("library")
        if library is not None:
            found = found.filter(library=library)
        if before := request.GET.get("before"):
            try:
                found = found.filter(pk__lt=uuid.UUID(before))
            except ValueError:
                before = ""
        rows = list(found[: PAGE + 1])
        behind = alt_texts.latest([row.pk for row in rows])
        kept = {"library": str(library.pk)} if library is not None else {}
        context = {
            "waiting": [Suggestion(row, behind.get(row.pk), may_answer=True) for row in rows[:PAGE]],
            "older": f"?{urlencode({**kept, 'before': rows[PAGE - 1].pk})}" if len(rows) > PAGE else "",
            "library": library,
            "libraries": self.access.libraries(Right.READ).order_by("name")[:500],
            "language": request.GET.get("language") or get_language() or "en",
            "here": request.get_full_path(),
            "problem": problem,
            "notice": notices.notice(request.GET, self.access),
            "admin_url": admin_link(),
            "token": uuid.uuid4(),
            **self._bulk(library),
        }
        return render(request, "mediagen/alt_texts.html", context, status=status)

    def _bulk(self, library: MediaLibrary | None) -> dict[str, Any]:
        """How many of the library have no alt text, and what asking for them may cost."""
        if library is None or not self.access.may(Right.GENERATE, library):
            return {}
        ids = self._lacking(library)
        if not ids:
            return {"lacking": 0}
        try:
            wish = descriptions.Wish.of(self.request.GET.get("language") or None)
            found = describing.plan_many(self.access, ids, wish)
        except MediagenError as exc:
            return {"lacking": len(ids), "why_not": translated(exc)}
        budgets = [] if found.is_free else library_budgets(library)
        price = Price(found, min((left_of(budget) for budget in budgets), default=None))
        return {"lacking": len(ids), "price": price.text}
