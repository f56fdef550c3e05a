"""A page that shows a secret once: in the very answer to the request that made it, and nowhere afterwards."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from mediagen.error_pages import hide_secrets
from mediagen.secrets import Secret


def shown_once(
    request: HttpRequest, model_admin: ModelAdmin[Any], obj: Any, text: Secret, *, title: str, label: str, note: str
) -> HttpResponse:
    """No redirect, message or session between: what is put there to be shown once lies there until it is."""
    hide_secrets(request)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "object": obj,
        "label": label,
        "note": note,
        "text": text.reveal(),
    }
    response = TemplateResponse(request, "mediagen/admin/secret_once.html", context)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    # Rendered now, and then forgotten: a debugger's panel or a test's signal may keep the context.
    response.render()
    context["text"] = response.context_data["text"] = ""  # type: ignore[index]
    return response
