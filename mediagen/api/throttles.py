"""How many requests somebody may make: per person, by the roles they have. Counted in the site's default cache."""

from __future__ import annotations

import math
import time
from typing import Any

from rest_framework.throttling import BaseThrottle

from mediagen import conf
from mediagen.conf import Rate
from mediagen.engine.database import times
from mediagen.engine.library import Access


class RoleThrottle(BaseThrottle):
    """So many requests a window as the most generous of somebody's roles has; a role with None has no limit."""

    setting = "API_RATES"
    scope = "all"
    _wait_s: float = 1.0

    def allow_request(self, request: Any, view: Any) -> bool:
        from mediagen.api.authentication import access_of

        rate = rate_of(conf.get(self.setting), access_of(request))
        if rate is None:
            return True
        self._wait_s = rate.seconds - time.time() % rate.seconds
        count = times.count(f"{self.scope}:{request.user.pk}", rate.seconds)
        if self.scope == "all":
            request._mediagen_rate = {
                "RateLimit-Limit": str(rate.requests),
                "RateLimit-Remaining": str(max(0, rate.requests - count)),
                "RateLimit-Reset": str(math.ceil(self._wait_s)),
            }
        return count <= rate.requests

    def left(self, request: Any) -> dict[str, int] | None:
        """{requests, remaining, window_s, reset_s} as it stands, uncounted; None without a limit."""
        from mediagen.api.authentication import access_of

        rate = rate_of(conf.get(self.setting), access_of(request))
        if rate is None:
            return None
        used = times.counted(f"{self.scope}:{request.user.pk}", rate.seconds)
        return {
            "requests": rate.requests,
            "remaining": max(0, rate.requests - used),
            "window_s": rate.seconds,
            "reset_s": math.ceil(rate.seconds - time.time() % rate.seconds),
        }

    def wait(self) -> float:
        return float(math.ceil(self._wait_s))


class GenerateThrottle(RoleThrottle):
    """The same for requests that make pictures."""

    setting = "API_GENERATE_RATES"
    scope = "generate"


def rate_of(rates: dict[str, str | None], access: Access) -> Rate | None:
    """The most generous rate of those that fit somebody; None when there is none, or one without a limit."""
    if not rates:
        return None
    user = access.user
    names = ["user"]
    if access.token is not None:
        names.append("token")
    if getattr(user, "is_staff", False):
        names.append("staff")
    if user.is_superuser:
        names.append("superuser")
    if any(name.startswith("group:") for name in rates):
        names += [f"group:{name}" for name in user.groups.values_list("name", flat=True)]
    fitting = [rates[name] for name in names if name in rates]
    if not fitting or None in fitting:
        return None
    return max((Rate.of(text) for text in fitting if text), key=lambda rate: rate.requests / rate.seconds, default=None)
