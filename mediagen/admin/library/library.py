"""Media libraries in the admin."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mediagen.admin.base import ModelAdmin, access_of
from mediagen.admin.tag_names import TaggedForm, TagNamesField
from mediagen.engine.generation import claims
from mediagen.engine.library import libraries
from mediagen.engine.money import budgets, ledger
from mediagen.errors import Conflict
from mediagen.models import BUDGET_FIELDS, BudgetPeriod, LabelPolicy, MediaAsset, MediaLibrary
from mediagen.templatetags.mediagen import usd
from mediagen.wording import translated


def counters(libraries: list[MediaLibrary]) -> dict[Any, dict[str, Any]]:
    """{library id: {"assets": number, "size": bytes}} of what is ready and not deleted. One query."""
    counted: Any = MediaLibrary.objects.filter(pk__in=[library.pk for library in libraries]).with_counters()
    rows = counted.order_by().values_list("pk", "asset_count", "total_bytes")
    return {pk: {"assets": number, "size": size} for pk, number, size in rows}


class LibraryList(ChangeList):
    """Counts what is in the libraries of one page, and what they have spent, in two queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        shown = list(self.result_list)
        found, spent = counters(shown), budgets.spent_this_month(shown)
        for library in self.result_list:
            library.counted = found.get(library.pk, {"assets": 0, "size": 0})
            library.spent = spent[library.pk]


def _bar(library: MediaLibrary, spent: Decimal) -> str:
    limit = library.budget_limit or Decimal(0)
    context = {
        "done": float(min(spent, limit)),
        "total": float(limit) or 1.0,
        "text": gettext("%(spent)s of %(limit)s") % {"spent": usd(spent), "limit": usd(limit)},
        "label": gettext("Budget of %(library)s") % {"library": library},
        "exceeded": spent >= limit,
        "warns": library.budget_warning is not None and spent >= library.budget_warning,
    }
    return render_to_string("mediagen/admin/_progress.html", context)


class LibraryForm(TaggedForm):
    tags = "default_tags"
    tag_names = TagNamesField(
        label=_("Default tags"), help_text=_("With commas between them; given to every new asset.")
    )

    class Meta:
        model = MediaLibrary
        fields = ("name", "slug", "description", "ai_label", "ai_label_reason", "alt_text_required")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "ai_label" in self.fields:
            self.fields["ai_label"].required = False  # what sends none means the default

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("ai_label") == LabelPolicy.NEVER and not data.get("ai_label_reason"):
            self.add_error("ai_label_reason", gettext("Say why pages show no label."))
        for field in {"name", "slug"} & set(self.changed_data) & data.keys():
            try:
                libraries.check_free(data[field], pk=self.instance.pk)
            except Conflict as exc:
                self.add_error(field, translated(exc))
        return data


class MediaLibraryAdmin(ModelAdmin):
    list_display = ("name", "owner", "asset_count", "total_size", "spending", "created_at")
    list_select_related = ("owner",)
    list_per_page = 50
    search_fields = ("name", "slug", "description")
    sortable_by = ("name", "created_at")
    raw_id_fields = ("owner",)  # a site's own user model need not be in the admin
    form = LibraryForm
    filter_horizontal = ("viewer_groups", "editor_groups")
    readonly_fields = ("asset_count", "total_size", "spending", "used_of_budget", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("name", "slug", "description", "tag_names")}),
        (
            _("Access"),
            {
                "fields": ("owner", "viewer_groups", "editor_groups"),
                "description": _("Without an owner and groups, everybody with the permission for assets may use it."),
            },
        ),
        (_("Budget"), {"fields": (*BUDGET_FIELDS, "spending", "used_of_budget")}),
        (_("On pages"), {"fields": ("ai_label", "ai_label_reason", "alt_text_required")}),
        (_("Contents"), {"fields": ("asset_count", "total_size", "created_at", "updated_at")}),
    )

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LibraryList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).visible_to(request.user)  # type: ignore[attr-defined, no-any-return]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or self._is_editable(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or self._is_editable(request, obj))

    def _is_editable(self, request: HttpRequest, library: Any) -> bool:
        # A page asks several times.
        if not hasattr(library, "is_editable"):
            library.is_editable = libraries.is_editable(access_of(request), library)
        return bool(library.is_editable)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Budgets, too, for those who may change the library and not what it may spend."""
        locked = () if libraries.may_change_budgets(access_of(request)) else BUDGET_FIELDS
        return (*super().get_readonly_fields(request, obj), *locked)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        for name in {"viewer_groups", "editor_groups"} & form.base_fields.keys():
            field: Any = form.base_fields[name]
            field.queryset = libraries.groups_for(request.user, obj)
        return form

    def get_prepopulated_fields(self, request: HttpRequest, obj: Model | None = None) -> dict[str, Any]:
        # Only of a new one: a slug that stands in addresses does not follow a new name.
        return {} if obj else {"slug": ("name",)}

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk, **super().get_changeform_initial_data(request)}

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.save_tags()

    @admin.display(description=_("assets"))
    def asset_count(self, library: MediaLibrary) -> str:
        address = reverse("admin:mediagen_mediaasset_changelist", current_app=self.admin_site.name)
        number = self._counted(library)["assets"]
        text = ngettext("%(number)s asset", "%(number)s assets", number) % {"number": f"{number:,}"}
        return format_html('<a href="{}?library__id__exact={}">{}</a>', address, library.pk, text)

    @admin.display(description=_("Default tags"))
    def tag_names(self, library: MediaLibrary) -> str:
        """For those who may only look; the form has a field of this name."""
        return ", ".join(tag.name for tag in library.default_tags.all())

    @admin.display(description=_("size"))
    def total_size(self, library: MediaLibrary) -> str:
        return filesizeformat(self._counted(library)["size"])

    @admin.display(description=_("spent this month"))
    def spending(self, library: Any) -> str:
        """What the attempts of this calendar month cost; beside a bar where the budget is for a month."""
        if not hasattr(library, "spent"):
            library.spent = budgets.spent_this_month([library])[library.pk]
        amount = usd(library.spent)
        if library.budget_limit is None or library.budget_period != BudgetPeriod.MONTH:
            return amount
        return _bar(library, library.spent)

    @admin.display(description=_("used of the budget"))
    def used_of_budget(self, library: MediaLibrary) -> str:
        """In its present period, with what is held for requests under way."""
        found = claims.library_budgets(library)
        if not found:
            return gettext("no limit")
        return _bar(library, found[0].limit - ledger.left_of(found[0]))

    def _counted(self, library: Any) -> dict[str, Any]:
        if not hasattr(library, "counted"):
            library.counted = counters([library]).get(library.pk, {"assets": 0, "size": 0})
        counted: dict[str, Any] = library.counted
        return counted

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """In numbers. Django would load every asset and every attempt to name them."""
        libraries = list(objs)
        kept = MediaAsset.objects.filter(library__in=libraries)
        full = kept.order_by().values("library").annotate(number=Count("pk"))
        numbers = {row["library"]: row["number"] for row in full}
        protected = [
            gettext("%(library)s still has %(number)s assets, archived, failed and deleted ones included.")
            % {"library": library, "number": f"{numbers[library.pk]:,}"}
            for library in libraries
            if library.pk in numbers
        ]
        needed = {
            str(MediaLibrary._meta.verbose_name)
            for library in libraries
            if not self.has_delete_permission(request, library)
        }
        counts = {str(MediaLibrary._meta.verbose_name_plural): len(libraries)}
        return [str(library) for library in libraries], counts, needed, protected
