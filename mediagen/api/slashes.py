"""Every address of the API works with and without a slash at its end: clients are of two minds, and a redirect would
lose what a POST brings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, resolve
from django.views.decorators.csrf import csrf_exempt


def either_way(nowhere: Callable[..., Any]) -> Callable[..., Any]:
    """A view for what no route fits: it answers as the route of the other form, and `nowhere` where there is none."""

    @csrf_exempt
    async def view(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        path = request.path_info
        match = _match(path[:-1] if path.endswith("/") else f"{path}/")
        here = request.resolver_match.namespaces if request.resolver_match else []
        if match is None or match.func is view or match.namespaces != here or path.endswith("//"):
            return await sync_to_async(nowhere)(request, *args, **kwargs)
        request.resolver_match = match
        found = match.func if inspect.iscoroutinefunction(match.func) else sync_to_async(match.func)
        return await found(request, *match.args, **match.kwargs)

    view.cls = getattr(nowhere, "cls", None)  # type: ignore[attr-defined] # as of REST framework's own
    return view


def _match(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        return None
