"""fal's API of an account: unit prices, the balance, what was billed, the list of requests; and fal's public keys."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from mediagen import http
from mediagen.providers.reading import as_list, is_number

VENDOR = "https://queue.fal.run"
PRICES_ARE_GOOD_S = 3600.0
KEYS_ARE_GOOD_S = 24 * 3600.0
CLOCKS_APART = timedelta(seconds=60)
# (base_url, model) -> (USD a unit or None, unit, when it was asked for)
_prices: dict[tuple[str, str], tuple[Decimal | None, str, float]] = {}
_keys: dict[str, tuple[list[bytes], float]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FalAccount:
    """The account behind a key. At fal it has a host of its own; any other `base_url` serves for all of fal's hosts."""

    base_url: str
    auth: Mapping[str, str]
    key_hosts: tuple[str, ...]
    timeout_s: float
    checked: Callable[[http.Response], http.Response]
    """the response, or the `ProviderError` that it means"""

    async def _get(self, path: str, params: Mapping[str, str] | None = None, *, public: bool = False) -> dict[str, Any]:
        host = f"{self.base_url}" if public else f"{self.base_url}/v1"
        if self.base_url == VENDOR:
            host = "https://rest.fal.ai" if public else "https://api.fal.ai/v1"
        auth = {} if public else self.auth
        service = http.Service(host, auth=auth, key_hosts=self.key_hosts, timeout_s=self.timeout_s)
        return self.checked(await service.request("GET", path, params=params)).json_object()

    async def balance(self) -> float | None:
        """USD that are left. An admin's key is needed: 403 without."""
        credits = (await self._get("/account/billing", {"expand": "credits"})).get("credits")
        found = credits.get("current_balance") if isinstance(credits, dict) else None
        return found if is_number(found) else None

    async def billed(self, job_id: str) -> Decimal | None:
        """USD that a request cost by the account's books; None when they do not have it (yet)."""
        found = await self._get("/models/billing-events", {"request_id": job_id})
        events = found.get("billing_events") or found.get("items")
        costs = [event.get("cost_total") for event in as_list(events) if isinstance(event, dict)]
        sums = [Decimal(str(cost)) for cost in costs if is_number(cost)]
        return sum(sums, Decimal(0)) if sums else None

    async def requests(self, model: str, since: datetime) -> dict[str, Any]:
        """What the model was sent since then, by request id; None for a payload that is not kept."""
        start = (since - CLOCKS_APART).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        params = {"endpoint_id": model, "start": start, "limit": "100", "expand": "payloads"}
        items = as_list((await self._get("/models/requests/by-endpoint", params)).get("items"))
        return {
            item["request_id"]: item.get("json_input")
            for item in items
            if isinstance(item, dict) and isinstance(item.get("request_id"), str)
        }

    def known_price(self, model: str) -> tuple[Decimal | None, str]:
        """(USD a unit, unit) as it was last read in this process; (None, "") before."""
        return _prices.get((self.base_url, model), (None, "", 0.0))[:2]

    async def unit_price(self, model: str) -> tuple[Decimal | None, str]:
        """(USD a unit, unit) for this account, asked for once an hour in each process."""
        place = (self.base_url, model)
        price, unit, asked_at = _prices.get(place, (None, "", 0.0))
        if asked_at and time.monotonic() - asked_at < PRICES_ARE_GOOD_S:
            return price, unit
        _prices[place] = (price, unit, time.monotonic())  # first, so that others do not all ask
        for entry in as_list((await self._get("/models/pricing", {"endpoint_id": model})).get("prices")):
            if isinstance(entry, dict) and entry.get("endpoint_id") == model and entry.get("currency") == "USD":
                found = entry.get("unit_price")
                price, unit = (Decimal(str(found)) if is_number(found) else None), str(entry.get("unit", ""))
        _prices[place] = (price, unit, time.monotonic())
        return price, unit

    async def signing_keys(self) -> list[bytes]:
        """fal's public keys, asked for once a day in each process, without our key."""
        keys, asked_at = _keys.get(self.base_url, ([], 0.0))
        if not keys or time.monotonic() - asked_at > KEYS_ARE_GOOD_S:
            answer = await self._get("/.well-known/jwks.json", public=True)
            keys = [key for entry in as_list(answer.get("keys")) if (key := _public_key(entry))]
            _keys[self.base_url] = (keys, time.monotonic())
        return keys


def _public_key(entry: Any) -> bytes:
    """The 32 bytes of an Ed25519 key in a key set; b"" for any other entry."""
    x = entry.get("x") if isinstance(entry, dict) and entry.get("crv", "Ed25519") == "Ed25519" else None
    try:
        key = base64.urlsafe_b64decode(x + "=" * (-len(x) % 4)) if isinstance(x, str) else b""
    except (binascii.Error, ValueError):
        return b""
    return key if len(key) == 32 else b""
