"""API tokens in the admin: made, renewed, revoked. The text of one is on one page, once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from mediagen.admin.asked_by import AskedByAdmin, AskedByForm
from mediagen.admin.base import ModelAdmin
from mediagen.admin.secret_once import shown_once
from mediagen.engine.library import IssuedToken, tokens
from mediagen.errors import InvalidRequest
from mediagen.models import ApiToken
from mediagen.models.token import SCOPES
from mediagen.wording import translated

MEANINGS = {
    "read": gettext_lazy("read: see assets and libraries"),
    "generate": gettext_lazy("generate: make and upload pictures, which may cost money"),
    "change": gettext_lazy("change: edit and delete assets"),
    "approve": gettext_lazy("approve: approve, publish, archive"),
    "figma": gettext_lazy("figma: the Figma plugin"),
    "manage": gettext_lazy("manage: make and end API tokens and webhook endpoints"),
}


class TokenForm(AskedByForm):
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scopes"),
        choices=[(scope, MEANINGS[scope]) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=["read"],
        help_text=gettext_lazy("Never more than its user may do."),
    )
    expires_at = forms.SplitDateTimeField(
        label=gettext_lazy("Expires at"),
        required=False,
        widget=AdminSplitDateTime,
        help_text=gettext_lazy("Empty: never, until it is revoked."),
    )

    class Meta:
        model = ApiToken
        fields = ("name", "user", "scopes", "library", "is_test", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (expires_at := self.fields.get("expires_at")) is not None:
            # Django labels the two inputs together, which a screen reader does not tell apart.
            for widget, label in zip(expires_at.widget.widgets, (_("Expires: date"), _("Expires: time")), strict=True):
                widget.attrs["aria-label"] = label

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if {"name", "scopes", "library", "expires_at"} <= data.keys():
            wanted = {name: data[name] for name in ("scopes", "library", "expires_at")}
            try:
                tokens.check(data.get("user") or self.asker, data["name"], **wanted)
            except InvalidRequest as exc:
                self.add_error(exc.field, translated(exc))
        return data


class ApiTokenAdmin(AskedByAdmin, ModelAdmin):
    """A person sees and makes tokens of their own, a superuser anybody's. A token that is made stays as it is."""

    list_display = (
        "name",
        "user",
        "ends_in",
        "state",
        "scope_names",
        "library",
        "is_test",
        "last_used_at",
        "expires_at",
    )
    list_select_related = ("user", "library")
    list_filter = ("created_at", "last_used_at")
    search_fields = ("name",)
    list_per_page = 50
    actions = ("revoke",)
    raw_id_fields = ("user",)
    change_form_template = "mediagen/admin/token_form.html"
    form = TokenForm

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    # ------------------------------------------------------------------ who may

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        found = tokens.visible_to(request.user)
        ordering = self.get_ordering(request)
        return found.order_by(*ordering) if ordering else found

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it is shown; what can be done to it are the buttons

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mediagen.change_apitoken")

    # ------------------------------------------------------------------ pages

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("<uuid:pk>/rotate/", self.admin_site.admin_view(self.rotate_view), name="mediagen_apitoken_rotate"),
            path("<uuid:pk>/revoke/", self.admin_site.admin_view(self.revoke_view), name="mediagen_apitoken_revoke"),
        ]
        return [*own, *super().get_urls()]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            own = ("name", "scopes", "library", "is_test", "expires_at")
            return ("name", "user", *own[1:]) if request.user.is_superuser else own
        kept: tuple[str, ...] = ("name", "user", "ends_in", "state", "scope_names", "library", "is_test")
        if obj.made_by_id is None or tokens.visible_to(request.user).filter(pk=obj.made_by_id).exists():
            kept = (*kept, "made_by")  # a superuser's is nothing to those for whom he has made one with it
        return (*kept, "created_at", "last_used_at", "expires_at", "revoked_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.get_fields(request, obj)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"user": request.user.pk, "scopes": ["read"], **super().get_changeform_initial_data(request)}

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context["may_manage"] = obj is not None and self.has_manage_permission(request) and tokens.state(obj) == "valid"
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        data = form.cleaned_data
        issued = tokens.issue(
            data.get("user") or request.user,
            data["name"],
            scopes=data["scopes"],
            library=data["library"],
            expires_at=data["expires_at"],
            is_test=data["is_test"],
        )
        obj.__dict__.update(issued.token.__dict__)
        request._mediagen_issued = issued  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        return self._shown(request, request._mediagen_issued)  # type: ignore[attr-defined]

    def rotate_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Another text for the same token. POST."""
        return require_POST(self._rotate)(request, pk)

    def _rotate(self, request: HttpRequest, pk: Any) -> HttpResponse:
        token = self._managed(request, pk)
        try:
            issued = tokens.rotate(token.pk)
        except InvalidRequest as exc:
            self.message_user(request, translated(exc), messages.ERROR)
            return self._back(token)
        self.log_change(request, issued.token, [{"changed": {"fields": ["digest"]}}])
        return self._shown(request, issued)

    def revoke_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """End one token. POST."""
        return require_POST(self._revoke)(request, pk)

    def _revoke(self, request: HttpRequest, pk: Any) -> HttpResponse:
        token = self._managed(request, pk)
        self._end(request, [token])
        return self._back(token)

    def _managed(self, request: HttpRequest, pk: Any) -> ApiToken:
        token = self.get_queryset(request).filter(pk=pk).first()
        if token is None or not self.has_manage_permission(request):
            raise Http404
        return token

    def _back(self, token: ApiToken) -> HttpResponse:
        return HttpResponseRedirect(
            reverse("admin:mediagen_apitoken_change", args=[token.pk], current_app=self.admin_site.name)
        )

    def _shown(self, request: HttpRequest, issued: IssuedToken) -> HttpResponse:
        return shown_once(
            request,
            self,
            issued.token,
            issued.text,
            title=_("Token “%(name)s”") % {"name": issued.token.name},
            label=_("The token"),
            note=_("Copy it now: it is kept nowhere, and this is the only page that ever shows it."),
        )

    # ------------------------------------------------------------------ columns and actions

    @admin.display(description=gettext_lazy("ends in"))
    def ends_in(self, token: ApiToken) -> str:
        return token.hint

    @admin.display(description=gettext_lazy("scopes"))
    def scope_names(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @admin.display(description=gettext_lazy("state"))
    def state(self, token: ApiToken) -> str:
        return {"valid": _("valid"), "revoked": _("revoked"), "expired": _("expired")}[tokens.state(token)]

    @admin.action(description=gettext_lazy("Revoke"), permissions=["manage"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        self._end(request, list(queryset))

    def _end(self, request: HttpRequest, chosen: list[ApiToken]) -> None:
        number = tokens.revoke(token.pk for token in chosen)
        for token in chosen:
            self.log_change(request, token, [{"changed": {"fields": ["revoked_at"]}}])
        text = ngettext("%(number)d token was revoked.", "%(number)d tokens were revoked.", number)
        self.message_user(request, text % {"number": number}, messages.SUCCESS)
