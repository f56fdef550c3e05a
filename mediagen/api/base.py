"""What every view of the API has: who asks, what they may do, how much, and how it is refused.

Nothing here reads the site's REST_FRAMEWORK settings, but for its authentication: the API is the same in every site.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar
from uuid import uuid4

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.urls import reverse
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from mediagen.api import problems, schema
from mediagen.api.authentication import access_of, authenticators
from mediagen.api.parsing import Answer, Body, JSONAlways
from mediagen.api.parsing import shown as shown_name
from mediagen.api.problems import FORBIDDEN, INVALID, OUTDATED, Problem
from mediagen.api.throttles import RoleThrottle
from mediagen.engine.library import PERMISSIONS, SCOPES, Access, Right
from mediagen.error_pages import hide_secrets
from mediagen.models.routing import outside_transactions
from mediagen.types import near
from mediagen.wording import say as _

METHODS = ("get", "post", "put", "patch", "delete")


class Allowed(BasePermission):
    """Signed in, and with the right that the view names for the method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not getattr(request.user, "is_authenticated", False):
            raise NotAuthenticated("Send an API token (Authorization: Bearer mgt_...), or sign in to the site first.")
        right = view.rights["GET" if request.method == "HEAD" else request.method]
        wanted = right if isinstance(right, tuple) else (right,)
        if right is not None and not any(access_of(request).has(one) for one in wanted):
            demand(access_of(request), wanted[0])
        return True


def demand(access: Access, right: Right) -> None:
    """A problem that says what is missing, unless the right is there."""
    if not access.has(right):
        raise Problem(
            FORBIDDEN,
            _(
                "This needs the permission %(permissions)s, and of a token the scope %(scopes)s. Ask "
                "who runs the site for it.",
                permissions=PERMISSIONS[right],
                scopes=SCOPES[right],
            ),
        )


def request_id(request: Any) -> str:
    """The caller's own X-Request-Id, where it is one that may stand in a log; else a new one."""
    given = request.headers.get("X-Request-Id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid4().hex


def etag_of(row: Any) -> str:
    """The version of a row with `updated_at`, for If-Match."""
    return f'"{int(row.updated_at.timestamp() * 1_000_000):x}"'


def demand_version(request: Any, row: Any) -> None:
    """A problem (412) when the request's If-Match names other versions of the row than the present one."""
    wanted = request.headers.get("If-Match", "").strip()
    if wanted and wanted != "*" and etag_of(row) not in [one.strip() for one in wanted.split(",")]:
        raise Problem(
            OUTDATED,
            _("Somebody has changed it since you read it. Read it again, and send your change with the new ETag."),
            headers={"ETag": etag_of(row)},
        )


REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,64}")


class APIBase(APIView):
    """A sync view. Subclasses name in `rights` what each of their methods needs."""

    rights: ClassVar[Mapping[str, Right | tuple[Right, ...] | None]] = {"GET": Right.READ}
    """by method; of several one is enough; None: to be signed in is. Which library and asset: see `access`."""

    honours_key: ClassVar[bool] = False
    """whether its POST is carried out once for an Idempotency-Key"""

    authentication_classes = ()
    permission_classes: Any = (Allowed,)
    throttle_classes: Any = (RoleThrottle,)
    parser_classes = (Body,)
    renderer_classes = (Answer,)
    content_negotiation_class = JSONAlways
    metadata_class = None  # OPTIONS is the site's (CORS); the schema says the rest
    versioning_class = None
    schema: Any = schema.inspector_class()()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        missing = [name for name in METHODS if hasattr(cls, name) and name.upper() not in cls.rights]
        if missing:
            raise TypeError(f"{cls.__name__}.rights does not say what {', '.join(missing)} needs.")

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view: Any = super().as_view(**initkwargs)
        return outside_transactions(view) if cls.view_is_async else view

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if (request.method or "").lower() not in (*METHODS, "head") or not hasattr(self, str(request.method).lower()):
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)
        self._refuse_unknown_query(request)
        if request.method != "GET" and "Idempotency-Key" in request.headers and not self.honours_key:
            # Or else a client would believe that it may send this again.
            text = "This address does not carry out a request once for an Idempotency-Key. Send it without."
            raise Problem(INVALID, text, field="Idempotency-Key")

    def _refuse_unknown_query(self, request: Request) -> None:
        """A typing mistake in a filter must not be answered with everything."""
        method = getattr(self, "get" if request.method == "HEAD" else str(request.method).lower())
        names: frozenset[str] | None = getattr(method, "query_names", None)
        if names is None:
            return
        for name in request.query_params:
            if name not in names:
                known = shown_name(name)
                raise Problem(
                    INVALID,
                    _("There is no parameter %(known)s here. %(near)s", known=repr(known), near=near(known, names)),
                    field=known,
                )

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        hide_secrets(request)
        return super().initialize_request(request, *args, **kwargs)

    def get_authenticators(self) -> list[BaseAuthentication]:
        return authenticators()

    def get_exception_handler(self) -> Callable[[Exception, Any], Response | None]:
        return problems.handle

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Problem) and exc.kind is problems.NOT_SIGNED_IN:
            exc.headers = {**exc.headers, "WWW-Authenticate": self.get_authenticate_header(self.request) or "Bearer"}
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if "Cache-Control" not in response:
            response["Cache-Control"] = "private, no-store"
        if "X-Request-Id" not in response:
            response["X-Request-Id"] = request_id(request)
        for name, value in getattr(request, "_mediagen_rate", {}).items():
            response[name] = value
        return response

    @property
    def access(self) -> Access:
        return access_of(self.request)

    def read(self, serializer: type[BaseSerializer[Any]], **kwargs: Any) -> dict[str, Any]:
        """The body as the serializer understands it, or a problem that names every field at fault."""
        return _valid(serializer, self.request.data, kwargs)

    def read_query(self, serializer: type[BaseSerializer[Any]], **kwargs: Any) -> dict[str, Any]:
        """The same for the address's query."""
        return _valid(serializer, self.request.query_params, kwargs)

    def address(self, name: str, *args: Any) -> str:
        """The whole address of one of the API's routes, in the include that this request came through."""
        match = self.request.resolver_match
        path = reverse(f"{match.namespace or 'mediagen_api'}:{name}" if match else f"mediagen_api:{name}", args=args)
        return str(self.request.build_absolute_uri(path))


def _valid(serializer: Any, data: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    if not kwargs:
        try:
            return dict(_checker(serializer).run_validation(data))
        except ValidationError:
            pass  # said by one of its own, in the words of REST framework
    own = serializer(data=data, **kwargs)
    own.is_valid(raise_exception=True)
    return dict(own.validated_data)


@lru_cache(maxsize=128)
def _checker(serializer: Any) -> Any:
    """One for all requests: to copy the fields for each costs more than to check what came. Only `run_validation` may
    be called, which keeps nothing."""
    return serializer()


class AsyncAPIView(APIBase):
    """A view whose methods are coroutines: it holds no thread while it waits.

    Who asks and what they may is found out in the thread for the database; there too goes all ORM work of a method,
    by `in_database`. What a method begins with can go along, so that the request goes to that thread once: a method
    `begin_post`, which is no coroutine, and whose result is `begun` when `post` is called.
    """

    begun: Any = None

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        self.args, self.kwargs = args, kwargs
        wrapped = self.initialize_request(request, *args, **kwargs)
        self.request = wrapped
        self.headers = self.default_response_headers
        try:
            await sync_to_async(self._begin)(wrapped, *args, **kwargs)
            response = await getattr(self, (wrapped.method or "").lower())(wrapped, *args, **kwargs)
        except Exception as exc:
            response = self.handle_exception(exc)
        response = self.response = self.finalize_response(wrapped, response, *args, **kwargs)
        if isinstance(request, ASGIRequest) and isinstance(response, Response):
            # To write JSON needs no thread. Django takes one, unless this is a coroutine.
            response.render = partial(_rendered, response)  # type: ignore[method-assign]
        return response

    def _begin(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.initial(request, *args, **kwargs)
        if (begin := getattr(self, f"begin_{str(request.method).lower()}", None)) is not None:
            self.begun = begin(request, *args, **kwargs)


def holds_a_worker(request: Request) -> bool:
    """Whether the server gives this request a process or thread of its own until it is answered (WSGI): it must not
    wait for long, for servers kill a worker that does, and others wait for it."""
    return not isinstance(request._request, ASGIRequest)


async def _rendered(response: Any) -> Any:
    return Response.render(response)


class Nowhere(APIBase):
    """Every other address below the include."""

    rights: ClassVar[Mapping[str, Right | None]] = {method.upper(): None for method in METHODS}
    schema: Any = None
    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise problems.not_found()
