"""What all pages and answers of the studio have in common: who may see them, and in which form they answer."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.http import HttpRequest, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, reverse
from django.utils.cache import patch_cache_control
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _

from mediagen import conf
from mediagen.engine.library import PERMISSIONS, Access, Right
from mediagen.models import MediaAsset
from mediagen.models.asset import MediaAssetQuerySet
from mediagen.models.routing import outside_transactions
from mediagen.types import uuid7


# What asks for pictures writes rows that must stay, whatever becomes of the answer.
@method_decorator(outside_transactions, name="dispatch")
class StudioPage(PermissionRequiredMixin):
    """To the login page for strangers, 403 for those who may not look at assets. Scripts get both as JSON."""

    permission_required = PERMISSIONS[Right.READ]
    request: HttpRequest

    @cached_property
    def access(self) -> Access:
        return Access(self.request.user)

    def assets(self) -> MediaAssetQuerySet:
        """What this user may see, the newest first."""
        return self.access.assets(Right.READ).select_related("library").order_by("-pk")

    def asset(self, pk: uuid.UUID) -> MediaAsset:
        """One of them; 404 for another's as for one that does not exist."""
        return get_object_or_404(self.assets(), pk=pk)

    def handle_no_permission(self) -> HttpResponseRedirect:
        if wants_json(self.request):
            if self.request.user.is_authenticated:
                return problem(_("You may not do that here."), status=403)  # type: ignore[return-value]
            return problem(_("You are signed out. Load the page again."), status=401)  # type: ignore[return-value]
        if self.request.user.is_authenticated:
            return render(self.request, "mediagen/studio/not_allowed.html", status=403)  # type: ignore[return-value]
        return super().handle_no_permission()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().dispatch(request, *args, **kwargs)
        # Back in the browser's history must not show what was true before, nor a proxy one person's page to another.
        if "Cache-Control" not in response:
            patch_cache_control(response, private=True, no_cache=True, no_store=True)
        with_policy(response)
        return response


def with_policy(response: Any) -> None:
    """The Content-Security-Policy of our pages, on an answer that has none of its own."""
    policy = conf.get("PAGES_CSP")
    if not policy or "Content-Security-Policy" in response:
        return
    static = urlsplit(str(settings.STATIC_URL or ""))
    if static.netloc:  # scripts and styles on a host of their own
        policy = policy.replace(
            "default-src 'self'", f"default-src 'self' {static.scheme or 'https'}://{static.netloc}"
        )
    if conf.get("SERVE_FILES") == "storage":  # wherever that keeps its pictures
        policy = policy.replace("img-src 'self'", "img-src 'self' https: http:")
    response["Content-Security-Policy"] = policy


def wants_json(request: HttpRequest) -> bool:
    """Whether a script asks, which puts the answer into the page that is there."""
    return "application/json" in request.headers.get("Accept", "")


def problem(message: str, *, status: int, **more: Any) -> JsonResponse:
    """What went wrong, for a script: {"problem": "...", ...}."""
    return JsonResponse({"problem": message, **more}, status=status)


def admin_link(asset: MediaAsset | None = None) -> str:
    """The way into the admin, where the site has one; the pages show it to staff."""
    try:
        if asset is None:
            return reverse("admin:mediagen_mediaasset_changelist")
        return reverse("admin:mediagen_mediaasset_change", args=[asset.pk])
    except NoReverseMatch:
        return ""


def once_of(request: HttpRequest, *what: Any) -> uuid.UUID:
    """The id of what a form makes that was sent with a `token`: sent twice, it is the same. A new one without."""
    try:
        return uuid.uuid5(uuid.UUID(request.POST.get("token", "")), f"{request.user.pk} {what}")
    except ValueError:
        return uuid7()
