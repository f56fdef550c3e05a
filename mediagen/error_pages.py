"""Django's report of an exception without keys and tokens: the page with DEBUG = True, the mail to the admins.

With DEBUG Django shows every local variable, whatever `sensitive_variables` says. Our own views report by these classes
by themselves; `DEFAULT_EXCEPTION_REPORTER` and `DEFAULT_EXCEPTION_REPORTER_FILTER` make a whole site do so.
"""

from __future__ import annotations

import re
from html import escape
from pprint import pformat
from typing import Any

from django.http import HttpRequest
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from mediagen.secrets import MASK, Secret, scrub

_HIDDEN = re.compile(r"credential|secret|token|passw|api_?key|authorization|verifier", re.IGNORECASE)
SHORTEST = 6
"""characters of a value that is looked for in the whole report"""
MOST_CHARS = 4096
"""of one variable, as Django has it"""


def hide_secrets(request: HttpRequest) -> None:
    """Report what goes wrong with this request by the classes of this module."""
    request.exception_reporter_class = Reporter
    request.exception_reporter_filter = Filter()


class Filter(SafeExceptionReporterFilter):
    """What is called a secret is hidden, and each variable is shown without the secrets in it. With DEBUG too."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: Any) -> Any:
        if request is None:
            return {}
        values = super().get_post_parameters(request).copy()
        for name in values:
            if _HIDDEN.search(name):
                values[name] = self.cleansed_substitute
        return values

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> Any:
        secrets = secrets_of(request)
        return [
            (name, _Shown(self.cleansed_substitute if _HIDDEN.search(name) else _told(value, secrets)))
            for name, value in super().get_traceback_frame_variables(request, tb_frame)
        ]


class Reporter(ExceptionReporter):
    """The whole report, with every secret that is known taken out."""

    def get_traceback_html(self) -> Any:
        return scrub(super().get_traceback_html(), secrets_of(self.request, html=True))

    def get_traceback_text(self) -> Any:
        return scrub(super().get_traceback_text(), secrets_of(self.request))


class _Shown:
    """A variable that shows itself as this text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _told(value: Any, secrets: list[Secret | str]) -> str:
    """A value as the page shows it. Scrubbed before it is cut: half a key would no longer be recognised."""
    try:
        # In one line: a secret that is broken into two would not be found either.
        text = repr(value) if isinstance(value, bytes | bytearray | str) else pformat(value, width=10_000)
    except Exception as exc:
        text = f"Error in formatting: {type(exc).__name__}"
    text = scrub(text, secrets)
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]}… <trimmed {len(text):,} characters>"


def secrets_of(request: Any, *, html: bool = False) -> list[Secret | str]:
    """What must not be seen: every `Secret` that is alive, and what came with the request as one."""
    found: list[Secret | str] = list(Secret.alive())
    if request is not None:
        found += [value for value in _sent(request) if len(value) >= SHORTEST and value != MASK]
    if html:
        values = [one.reveal() if isinstance(one, Secret) else one for one in found]
        found += [escaped for value in values if (escaped := escape(value)) != value]
    return found


def _sent(request: Any) -> list[str]:
    _, _, bearer = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    found = [bearer.strip()]
    try:
        posted = request.POST.lists()
    except Exception:  # a body that cannot be read, or was read otherwise
        return found
    return [*found, *(value.strip() for name, values in posted if _HIDDEN.search(name) for value in values)]
