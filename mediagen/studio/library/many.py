"""Many pictures at once: those that are ticked, or all that a search finds. More than a thousand are a job."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.generic import View

from mediagen.engine.files import links
from mediagen.engine.library import Access, Right, bulk, review, trash
from mediagen.engine.work import jobs
from mediagen.errors import AssetInUse, InvalidRequest, MediagenError
from mediagen.models import BackgroundJob, JobState, MediaLibrary
from mediagen.studio.library import boards
from mediagen.studio.library.narrowing import GalleryForm
from mediagen.studio.pages import StudioPage, admin_link, problem, wants_json
from mediagen.wording import translated

Said = QueryDict


@dataclass(frozen=True, slots=True)
class Doing:
    """What is done to many. `now(ids, user, what the form said)` gives a word about those that were left out."""

    name: str
    label: Any
    right: Right
    kind: str
    """of the job that does the same to more; "": there is none"""
    now: Callable[[list[Any], Any, Said], str] | None = None
    """None: only ever as a job"""
    arguments: Callable[[Said], dict[str, Any]] = lambda said: {}
    is_grave: bool = False

    @property
    def icon(self) -> str:
        return f"mediagen/studio/icons/{self.name}.svg"


def _step(step: str) -> Callable[[list[Any], Any, Said], str]:
    def take(ids: list[Any], by: Any, said: Said) -> str:
        done = review.review(ids, step, by=by)
        left = [
            (done.without_picture, _("%d without a picture")),
            (done.without_alt_text, _("%d without the alt text that their library wants")),
            (done.elsewhere, _("%d in another state of review")),
        ]
        return ", ".join(text % number for number, text in left if number)

    return take


def _tags(said: Said) -> dict[str, Any]:
    return {
        name: [tag for part in said.get(name, "").split(",") if (tag := part.strip())] for name in ("add", "remove")
    }


def _tag(ids: list[Any], by: Any, said: Said) -> str:
    wanted = _tags(said)
    if not any(wanted.values()):
        raise InvalidRequest(_("Say which tags."))
    bulk.tag(ids, **wanted)
    return ""


def _move(ids: list[Any], by: Any, said: Said) -> str:
    bulk.move(ids, MediaLibrary.objects.get(pk=said.get("library", "")))
    return ""


def _on_board(ids: list[Any], by: Any, said: Said) -> str:
    boards.put(Access(by), ids, said)
    return ""


def _off_board(ids: list[Any], by: Any, said: Said) -> str:
    boards.take_off(Access(by), ids, said)
    return ""


def _first(ids: list[Any], by: Any, said: Said) -> str:
    boards.put_first(Access(by), ids, said)
    return ""


def _delete(ids: list[Any], by: Any, said: Said) -> str:
    try:
        trash.delete(ids, by)
    except AssetInUse as exc:
        unused = [pk for pk in ids if str(pk) not in exc.used]
        trash.delete(unused, by)
        return _("%d that are in use") % len(exc.used)
    return ""


def _undelete(ids: list[Any], by: Any, said: Said) -> str:
    trash.undelete(ids, by)
    return ""


def _review(step: str, label: Any) -> Doing:
    return Doing(step, label, Right.APPROVE, "review", _step(step), lambda said: {"step": step})


DOINGS: Mapping[str, Doing] = {
    doing.name: doing
    for doing in (
        _review("approve", gettext_lazy("Approve")),
        _review("publish", gettext_lazy("Publish")),
        _review("archive", gettext_lazy("Archive")),
        _review("restore", gettext_lazy("Restore as drafts")),
        Doing("download", gettext_lazy("Download"), Right.READ, "zip"),
        Doing("tag", gettext_lazy("Tags"), Right.CHANGE, "tag", _tag, _tags),
        Doing("move", gettext_lazy("Move"), Right.CHANGE, "move", _move, lambda said: {"library": said["library"]}),
        Doing("board", gettext_lazy("Put on a board"), Right.READ, "", _on_board),
        Doing("unboard", gettext_lazy("Take off the board"), Right.READ, "", _off_board),
        Doing("first", gettext_lazy("To the front"), Right.READ, "", _first),
        Doing("delete", gettext_lazy("Delete"), Right.DELETE, "delete", _delete, is_grave=True),
        Doing("undelete", gettext_lazy("Undo"), Right.DELETE, "undelete", _undelete),
    )
}
ASKING = ("tag", "move", "undelete", "board", "unboard", "first")
"""those with fields of their own, and the one that only takes back: no plain buttons"""


class ManyView(StudioPage, View):
    """POST `do`, and `id`s or `all` with the `query` of the gallery: {"message", "changed": [ids], "gone", "undo"}, or
    {"job": address}. GET: how many the gallery of this address shows, {"count"}."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        found = self._found(request.GET)
        return JsonResponse({"count": found[: jobs.MAX_ASSETS + 1].count(), "most": jobs.MAX_ASSETS})

    def post(self, request: HttpRequest) -> HttpResponseBase:
        said = request.POST
        if said.get("do") == "compare":
            address = f"{reverse('mediagen:studio-compare')}?{urlencode([('id', each) for each in said.getlist('id')])}"
            return JsonResponse({"next": address}) if wants_json(request) else HttpResponseRedirect(address)
        doing = DOINGS.get(said.get("do", ""))
        if doing is None:
            return self._refused(_("Say what is to be done."))
        if not self.access.has(doing.right):
            return self.handle_no_permission()
        try:
            ids, asked = self._chosen(doing, said)
            if doing.name == "move":
                self._check_library(said)
            if "all" in said and "count" not in said and not wants_json(request):
                return self._sure(doing, asked)
            if doing.now is None or (doing.kind and len(ids) > review.MAX_AT_ONCE):
                return self._begun(jobs.start(doing.kind, {**doing.arguments(said), "asset_ids": ids}, by=request.user))
            left = doing.now(ids, request.user, said)
        except MediagenError as exc:
            return self._refused(translated(exc))
        if missing := asked - len(ids):
            left = ", ".join(filter(None, (left, _("%d that are not yours to change") % missing)))
        return self._done(doing, ids, left)

    def _found(self, query: QueryDict) -> Any:
        """What the gallery finds, without order and pages."""
        form = GalleryForm(self.access, query)
        if not form.is_valid():
            raise Http404("There is no such page of the gallery.")
        return form.found()

    def _chosen(self, doing: Doing, said: Said) -> tuple[list[Any], int]:
        """(the ids of those that this person may do it to, how many were asked for)"""
        if "all" in said:
            found = self._found(QueryDict(said.get("query", "")))
            wanted = list(found.values_list("pk", flat=True)[: jobs.MAX_ASSETS + 1])
        else:
            try:
                wanted = list(dict.fromkeys(uuid.UUID(each) for each in said.getlist("id")))
            except ValueError:
                raise InvalidRequest(_("These are no assets.")) from None
        if not wanted:
            raise InvalidRequest(_("Choose pictures first."))
        if len(wanted) > jobs.MAX_ASSETS:
            most = {"most": f"{jobs.MAX_ASSETS:,}"}
            raise InvalidRequest(_("These are more than %(most)s. Narrow the search down first.") % most)
        mine = self.access.all_assets(doing.right) if doing.name == "undelete" else self.access.assets(doing.right)
        may: set[uuid.UUID] = set()
        for start in range(0, len(wanted), review.MAX_AT_ONCE):  # a database takes only so many parameters
            may.update(mine.filter(pk__in=wanted[start : start + review.MAX_AT_ONCE]).values_list("pk", flat=True))
        ids = [pk for pk in wanted if pk in may]
        if not ids:
            raise InvalidRequest(_("None of them is yours to change."))
        return ids, len(wanted)

    def _check_library(self, said: Said) -> None:
        try:
            library = MediaLibrary.objects.filter(pk=uuid.UUID(said.get("library", ""))).first()
        except ValueError:
            library = None
        if library is None or not self.access.may(Right.CHANGE, library):
            raise InvalidRequest(_("Choose a library that you may change."))

    # ------------------------------------------------------------------ answers

    @property
    def _back(self) -> str:
        """The gallery that the form stood on."""
        to = self.request.POST.get("next", "")
        safe = url_has_allowed_host_and_scheme(to, {self.request.get_host()}, require_https=self.request.is_secure())
        return to if safe and to.startswith("/") else reverse("mediagen:studio")

    @property
    def _next(self) -> str:
        return f"{self._back}{'&' if '?' in self._back else '?'}said=many"

    def _done(self, doing: Doing, ids: list[Any], left: str) -> HttpResponseBase:
        if not wants_json(self.request):
            return HttpResponseRedirect(self._next)
        text = ngettext("Done with %(number)d picture.", "Done with %(number)d pictures.", len(ids))
        message = text % {"number": len(ids)}
        changed = [str(pk) for pk in ids]
        left_out = _("Left out: %(which)s.") % {"which": left}
        answer: dict[str, Any] = {
            "message": f"{message} {left_out}" if left else message,
            "changed": changed,
            "gone": doing.name in ("delete", "unboard"),
        }
        if doing.name == "board":
            board = boards.board_of(self.access, self.request.POST)
            answer["open"] = {"id": str(board.pk), "name": board.name, "address": boards.address(board)}
        elif doing.name == "first":  # more changes its place than a script knows of
            answer["next"] = self._next
        if doing.name == "delete":
            fields = {"do": "undelete", "id": changed}
            answer["undo"] = {"address": reverse("mediagen:studio-many"), "fields": fields}
        return JsonResponse(answer)

    def _begun(self, job: BackgroundJob) -> HttpResponseBase:
        address = reverse("mediagen:studio-job", args=[job.pk])
        return JsonResponse({"job": address}, status=202) if wants_json(self.request) else HttpResponseRedirect(address)

    def _sure(self, doing: Doing, number: int) -> HttpResponseBase:
        kept = [(name, value) for name, values in self.request.POST.lists() for value in values]
        context = {
            "doing": doing,
            "number": number,
            "kept": [pair for pair in kept if pair[0] not in ("csrfmiddlewaretoken", "id")],
            "back": self._back,
            "admin_url": admin_link(),
        }
        return render(self.request, "mediagen/studio/many_sure.html", context)

    def _refused(self, why: str) -> HttpResponseBase:
        if wants_json(self.request):
            return problem(why, status=400)
        context = {"problem": why, "back": self._back, "admin_url": admin_link()}
        return render(self.request, "mediagen/studio/many_sure.html", context, status=400)


class JobView(StudioPage, View):
    """How far a job is, that this person has begun: a page, and for a script {"text", "is_over", "file", "failed"}."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        job = get_object_or_404(BackgroundJob.objects.visible_to(request.user), pk=pk)
        is_over = job.state not in (JobState.PENDING, JobState.RUNNING)
        told = {
            "text": job_text(job),
            "is_over": is_over,
            "failed": job.state == JobState.FAILED,
            "file": links.signed_job_url(job) if jobs.has_file(job) else "",
        }
        if wants_json(request):
            return JsonResponse(told)
        return render(request, "mediagen/studio/job.html", {**told, "job": job, "admin_url": admin_link()})


def job_text(job: BackgroundJob) -> str:
    """How far it is, in a line."""
    numbers = {"done": job.done, "total": job.total, "failed": job.failed}
    if job.state == JobState.FAILED:
        return _("It failed: %(why)s") % {"why": job.message}
    if job.state == JobState.PENDING:
        return _("%(total)d pictures; it waits for a worker") % numbers
    if job.failed:
        return _("%(done)d of %(total)d done, %(failed)d could not be") % numbers
    return _("%(done)d of %(total)d done") % numbers
