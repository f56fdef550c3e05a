"""The list of assets: a gallery of pictures, or rows with more words beside them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy

from mediagen import conf
from mediagen.admin.base import LargeListAdmin, access_of
from mediagen.admin.filters import ProviderNameFilter
from mediagen.admin.library.asset_filters import (
    AltTextFilter,
    CostFilter,
    DateFilter,
    LabelFilter,
    LibraryFilter,
    ModelFilter,
    SizeFilter,
    StatusFilter,
    TagFilter,
)
from mediagen.engine.library import Right, matching
from mediagen.models import MediaAsset
from mediagen.models.clock import from_db
from mediagen.models.routing import outside_transactions
from mediagen.templatetags.mediagen import thumbnail_url

VIEWS = ("grid", "list")
COOKIE = "mediagen_assets"
A_YEAR_S = 365 * 24 * 3600


class AssetChangeList(ChangeList):
    """Finds the ids of a page first, and then its rows: a database that has to sort then sorts ids only, which are in
    its indexes, and not rows with their texts. That counts for people who may look into some libraries of many."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        ids = list(self.result_list.select_related(None).values_list("pk", flat=True))
        rows = {row.pk: row for row in MediaAsset.objects.filter(pk__in=ids).select_related("library").order_by()}
        self.result_list = [rows[pk] for pk in ids if pk in rows]


class AssetList(LargeListAdmin):
    list_display = ("thumbnail", "title", "stage", "made_by", "size", "created")
    list_display_links = ("thumbnail", "title")
    list_select_related = ("library",)
    list_filter = (
        ("library", LibraryFilter),
        StatusFilter,
        "generation_state",
        "source",
        LabelFilter,
        AltTextFilter,
        ProviderNameFilter,
        ModelFilter,
        TagFilter,
        SizeFilter,
        DateFilter,
        CostFilter,
        "is_placeholder",
        "dry_run",
    )
    search_fields = ("prompt", "name", "description", "alt_text", "tags__name")
    search_help_text = gettext_lazy("In prompt, name, description, alt text and tags; words in quotes belong together.")
    sortable_by = ()
    ordering = ("-id",)  # the id is time-ordered: the newest first
    list_per_page = 48  # divides well into rows of two, three, four and six
    change_list_template = "mediagen/admin/asset_list.html"

    # What an action has bought must be kept even when its page fails, so no transaction spans it (ATOMIC_REQUESTS).
    @method_decorator(outside_transactions)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if (wanted := request.GET.get("view")) is not None:
            return self._switched(request, wanted)
        view = request.COOKIES.get(COOKIE)
        context = {
            "view": view if view in VIEWS else VIEWS[0],
            "views": [(name, self._with_view(request, name)) for name in VIEWS],
            "generate_url": self._page("generate") if access_of(request).has(Right.GENERATE) else "",
            "upload_url": self._page("upload") if access_of(request).has(Right.GENERATE) else "",
            "kept_days": self._kept_days(request),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AssetChangeList

    def _switched(self, request: HttpRequest, view: str) -> HttpResponse:
        """Back to the same list, seen in the other way from now on. No script is needed."""
        query = request.GET.copy()
        query.pop("view")
        response = HttpResponseRedirect(f"{request.path}?{query.urlencode()}" if query else request.path)
        if view in VIEWS:
            response.set_cookie(COOKIE, view, max_age=A_YEAR_S, path=request.path, httponly=True, samesite="Lax")
        return response

    def _with_view(self, request: HttpRequest, view: str) -> str:
        query = request.GET.copy()
        query["view"] = view
        return f"?{query.urlencode()}"

    def _page(self, name: str, *args: Any) -> str:
        return reverse(f"admin:mediagen_mediaasset_{name}", args=args, current_app=self.admin_site.name)

    def _kept_days(self, request: HttpRequest) -> int | None:
        """How long deleted assets can be had back, where the list shows them."""
        return conf.get("KEEP_DELETED_DAYS") if request.GET.get("status__exact") == "deleted" else None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return matching(queryset, search_term), False

    # ------------------------------------------------------------------ columns

    @admin.display(description=gettext_lazy("picture"))
    def thumbnail(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/admin/_thumbnail.html", {"asset": asset, "url": thumbnail_url(asset)})

    @admin.display(description=gettext_lazy("prompt"))
    def title(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/admin/_title.html", {"asset": asset})

    @admin.display(description=gettext_lazy("state"))
    def stage(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/admin/_stage.html", {"asset": asset})

    @admin.display(description=gettext_lazy("provider"))
    def made_by(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/admin/_made_by.html", {"asset": asset})

    @admin.display(description=gettext_lazy("created"))
    def created(self, asset: MediaAsset) -> str:
        return date_format(localtime(from_db(asset.created_at)), "SHORT_DATETIME_FORMAT")

    @admin.display(description=gettext_lazy("size"))
    def size(self, asset: MediaAsset) -> str:
        size = format_html('<bdi dir="ltr">{}\u00d7{}</bdi>', asset.width, asset.height)
        return size if asset.width else "-"
