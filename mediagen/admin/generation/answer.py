"""Kept answers in the admin: what was paid for and could not be used, to be read again after an update."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mediagen.admin.base import LargeListAdmin, ReadOnlyAdmin, may
from mediagen.engine.generation import second_reading
from mediagen.engine.library import Right, sees_everything
from mediagen.errors import MediagenError
from mediagen.models import KeptAnswer, MediaLibrary
from mediagen.templatetags.mediagen import first_line
from mediagen.wording import translated

logger = logging.getLogger("mediagen.admin")


class KeptAnswerAdmin(LargeListAdmin, ReadOnlyAdmin):
    list_display = ("created_at", "attempt_link", "asset_link", "size", "content_type", "said", "tried_at", "trouble")
    list_display_links = ("created_at",)
    list_select_related = ("attempt__asset",)
    list_filter = ("attempt__provider_name", "created_at")
    sortable_by = ()
    fields = ("attempt_link", "asset_link", "size", "content_type", "said", "created_at", "tried_at", "trouble")
    readonly_fields = ("attempt_link", "asset_link", "size", "said")
    actions = ("read_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """As with attempts: the asset's library decides."""
        answers: QuerySet[Any] = super().get_queryset(request)
        if sees_everything(request.user):
            return answers
        visible = MediaLibrary.objects.visible_to(request.user)
        return answers.filter(
            Q(attempt__asset__library__in=visible) | Q(attempt__asset__isnull=True, attempt__library__in=visible)
        )

    @admin.action(description=_("Try again with these bytes"), permissions=["read_again"])
    def read_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for answer in queryset.select_related("attempt__asset"):
            asset = answer.attempt.asset
            if asset is not None and not may(request, Right.GENERATE, asset.library_id):
                self.message_user(request, gettext("%s: you may not add to its library.") % asset, messages.ERROR)
                continue
            try:
                made = second_reading.read_again_sync(answer.pk)
            except MediagenError as exc:
                self.message_user(request, f"{asset or answer}: {translated(exc)}", messages.ERROR)
            except OSError:
                logger.exception("the kept answer %s could not be read", answer.pk)
                self.message_user(request, gettext("%s: its file is gone.") % answer, messages.ERROR)
            else:
                self.message_user(request, gettext("%s has its picture now.") % made, messages.SUCCESS)

    def has_read_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mediagen.add_mediaasset")

    @admin.display(description=_("attempt"))
    def attempt_link(self, answer: KeptAnswer) -> str:
        address = reverse(
            "admin:mediagen_generationattempt_change", args=[answer.attempt.pk], current_app=self.admin_site.name
        )
        return format_html('<a href="{}">{}</a>', address, answer.attempt)

    @admin.display(description=_("asset"))
    def asset_link(self, answer: KeptAnswer) -> str:
        asset = answer.attempt.asset
        if asset is None:
            return "-"
        address = reverse("admin:mediagen_mediaasset_change", args=[asset.pk], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, asset)

    @admin.display(description=_("size"))
    def size(self, answer: KeptAnswer) -> str:
        return filesizeformat(answer.size_bytes)

    @admin.display(description=_("why it was not used"))
    def said(self, answer: KeptAnswer) -> str:
        return first_line(answer.attempt.message)
