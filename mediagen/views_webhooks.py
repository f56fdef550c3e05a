"""Where providers push their results to."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from mediagen.engine.generation import incoming_webhooks
from mediagen.models.routing import outside_transactions
from mediagen.providers.webhooks import MAX_BODY_BYTES, WebhookRefused

logger = logging.getLogger("mediagen.webhooks")


# Async and non-atomic: a key may have to be fetched, and no transaction of the host's must span that.
@login_not_required
@outside_transactions
@csrf_exempt
@require_POST
async def receive(request: HttpRequest, provider: str) -> HttpResponse:
    """200 for a genuine delivery, also a repeated one; 403 for any other; 404 for a provider without webhooks."""
    if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
        return HttpResponse("The body is too large.", status=413, content_type="text/plain")
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        is_new = await incoming_webhooks.receive(provider, headers, request.body)
    except incoming_webhooks.NoSuchWebhook:
        return HttpResponse("No provider of this name takes webhooks.", status=404, content_type="text/plain")
    except WebhookRefused as exc:
        logger.warning("a webhook for %s was refused: %s", provider, exc)
        return HttpResponse("Refused.", status=403, content_type="text/plain")
    return HttpResponse("Kept." if is_new else "Known.", content_type="text/plain")
