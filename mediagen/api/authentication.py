"""Who asks: by an API token, by the site's session, or in a way of the site's own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.settings import api_settings

from mediagen import conf
from mediagen.engine.library import Access, strangers, tickets, tokens
from mediagen.models import ApiToken
from mediagen.models.token import PREFIX


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer mgt_...`. Other bearers are left to the site's own classes."""

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        scheme, _, plain = get_authorization_header(request).decode("latin-1").strip().partition(" ")
        if scheme.lower() != "bearer" or not plain.strip().startswith(PREFIX):
            return None
        token = tokens.authenticate(plain.strip())
        if token is None:
            strangers.count_wrong(request, "API token")
            raise AuthenticationFailed("The token is unknown, revoked or expired. Use another one.")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="mediagen"'


class TicketAuthentication(TokenAuthentication):
    """`?ticket=...`, of the view's own generation and nothing else: a browser's EventSource sends no header."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken | None] | None:
        ticket = request.query_params.get("ticket")
        if ticket is None:
            return None
        found = tickets.bearer(ticket, request.parser_context["kwargs"]["pk"])
        if found is None:
            strangers.count_wrong(request, "ticket")
            raise AuthenticationFailed(
                "The ticket is over, or for another generation. Read the generation again: stream_url has a new one."
            )
        return found


def authenticators() -> list[BaseAuthentication]:
    """One of each class that MEDIAGEN["API_AUTHENTICATION"] names; without it tokens, and what the site's REST
    framework uses, or else its sessions."""
    named = conf.get("API_AUTHENTICATION")
    if named is not None:
        return [cls() for cls in _imported(tuple(named))]
    own = getattr(settings, "REST_FRAMEWORK", None) or {}
    of_site: Any = api_settings.DEFAULT_AUTHENTICATION_CLASSES if "DEFAULT_AUTHENTICATION_CLASSES" in own else ()
    return [TokenAuthentication(), *(cls() for cls in of_site or (SessionAuthentication,))]


@lru_cache(maxsize=8)
def _imported(paths: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(import_string(path) for path in paths)


def access_of(request: Any) -> Access:
    """What whoever asks may do; asked for once a request."""
    access: Access | None = getattr(request, "_mediagen_access", None)
    if access is None:
        token = request.auth if isinstance(request.auth, ApiToken) else None
        access = Access(request.user or AnonymousUser(), token)
        request._mediagen_access = access
    return access
