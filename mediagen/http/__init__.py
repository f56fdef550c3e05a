"""The guarded HTTP client: every byte to and from a provider goes through here, and httpx is imported only here, by the
first request."""

from mediagen.http.bodies import BodyRoom, body_room
from mediagen.http.client import answered_by, override_transport, send, session
from mediagen.http.guard import AddressRefused, Target, check, why_refused
from mediagen.http.polling import JobEnded, poll
from mediagen.http.service import Service
from mediagen.http.status import Response, error_for_status, retry_after_s, taken

__all__ = [
    "AddressRefused",
    "BodyRoom",
    "JobEnded",
    "Response",
    "Service",
    "Target",
    "answered_by",
    "body_room",
    "check",
    "error_for_status",
    "override_transport",
    "poll",
    "retry_after_s",
    "send",
    "session",
    "taken",
    "why_refused",
]
