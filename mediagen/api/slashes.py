"""Every address of the API works with and without a slash at its end: clients are of two minds, and a redirect would
lose what a POST brings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, resolve
from django.views.decorators.csrf import csrf_exempt

from mediagen.models.routing import outside_transactions


def either_way(nowhere: Callable[..., Any]) -> Callable[..., Any]:
    """A view for what no route fits: it answers as the route of the other form, and `nowhere` where there is none."""

    @csrf_exempt
    async def view(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        path = request.path_info
        match = _match(path[:-1] if path.endswith("/") else f"{path}/")
        here = request.resolver_match.namespaces if request.resolver_match else []
        if match is None or match.func is view or match.namespaces != here or path.endswith("//"):
            return await sync_to_async(nowhere)(request, *args, **kwargs)
        return await answer_of(match, request)

    # As it is for the routes themselves, where a site has every view in a transaction, or behind its own sign-in.
    view.login_required = False  # type: ignore[attr-defined]
    view.cls = getattr(nowhere, "cls", None)  # type: ignore[attr-defined] # as of REST framework's own
    return outside_transactions(view)


async def answer_of(match: ResolverMatch, request: HttpRequest) -> Any:
    """What the route's view answers, in a transaction where Django would have put it into one."""
    request.resolver_match = match
    func = BaseHandler().make_view_atomic(match.func)
    found = func if inspect.iscoroutinefunction(func) else sync_to_async(func)
    return await found(request, *match.args, **match.kwargs)


def _match(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        return None
