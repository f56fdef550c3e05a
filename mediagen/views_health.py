"""What load balancers ask: is the process alive, and can it serve."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mediagen.engine.insight import readiness
from mediagen.models.routing import outside_transactions


@login_not_required
@never_cache
@require_safe
@outside_transactions
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all. Asks nobody: a database that is away is no reason to kill it."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@login_not_required
@never_cache
@require_safe
@outside_transactions
def readyz(request: HttpRequest) -> HttpResponse:
    """200 with {"ready": true, "database": "ok", "storage": "ok", "providers": "ok"}; 503 when one is "failing".

    Open to everybody, so without reasons and names: `manage.py mediagen_doctor` has them.
    """
    parts = readiness.parts()
    is_ready = all(state == "ok" for state in parts.values())
    response = JsonResponse({"ready": is_ready, **parts}, status=200 if is_ready else 503)
    # Django would log an error, and many sites mail it to their admins, each time that a balancer asks.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
