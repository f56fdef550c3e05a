"""Middleware as this project uses it: what waits for nothing runs in the event loop.

Under ASGI Django takes every step of a middleware to the request's thread and back, which costs more than the step.
The names that `manage.py check --deploy` looks for are left as they are: security, CSRF, clickjacking.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.locale import LocaleMiddleware


class InEventLoop:
    """Mixed in before a middleware of Django's."""

    async def __acall__(self: Any, request: Any) -> Any:
        # As MiddlewareMixin does it, but for the threads.
        response = self.process_request(request)
        response = response or await self.get_response(request)
        if not hasattr(self, "process_response"):
            return response
        if self.waits(request):
            return await sync_to_async(self.process_response)(request, response)
        return self.process_response(request, response)

    def waits(self, request: Any) -> bool:
        """Whether `process_response` may ask the database for something."""
        return False


class Session(InEventLoop, SessionMiddleware):
    def waits(self, request: Any) -> bool:
        session = getattr(request, "session", None)
        return session is not None and (session.modified or session.accessed or settings.SESSION_SAVE_EVERY_REQUEST)


class Locale(InEventLoop, LocaleMiddleware):
    pass


class Common(InEventLoop, CommonMiddleware):
    pass


class Authentication(InEventLoop, AuthenticationMiddleware):
    pass


class Messages(InEventLoop, MessageMiddleware):
    def waits(self, request: Any) -> bool:
        messages = getattr(request, "_messages", None)
        return messages is not None and (messages.used or messages.added_new)
