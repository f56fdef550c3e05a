"""What OpenRouter lists of a model's servers: the parameters they take, and their prices. Kept in each process."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mediagen.providers.reading import as_list, is_number
from mediagen.providers.sizes import Size, nearest_ratio, tier_that_covers

RATIOS = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16", "9:21")
"""asked for when the list cannot be read: the service takes the nearest that a model has"""
TIERS = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
KNOWN_FOR_S = 3600.0
ASKED_AGAIN_AFTER_S = 60.0
_RATIO = re.compile(r"\d{1,4}(\.\d)?:\d{1,4}(\.\d)?")
# (base_url, model) -> (its servers, when they were read, or asked for in vain)
_kept: dict[tuple[str, str], tuple[list[dict[str, Any]], float]] = {}


def is_fresh(base_url: str, model: str) -> bool:
    """Whether the list need not be read now."""
    servers, at = _kept.get((base_url, model), ([], -KNOWN_FOR_S))
    return time.monotonic() - at < (KNOWN_FOR_S if servers else ASKED_AGAIN_AFTER_S)


def keep(base_url: str, model: str, servers: Any) -> None:
    """Keep what was read; None: it is being asked for, and what is known stays."""
    known = _kept.get((base_url, model), ([], 0.0))[0]
    found = [entry for entry in servers if isinstance(entry, dict)] if isinstance(servers, list) else known
    _kept[base_url, model] = (found, time.monotonic())


@dataclass(frozen=True, slots=True)
class Listed:
    """The servers that may serve."""

    servers: list[dict[str, Any]]

    @classmethod
    def of(cls, base_url: str, model: str, upstream: str | None) -> Listed:
        """As far as is known; with `upstream` that one alone."""
        known = _kept.get((base_url, model), ([], 0.0))[0]
        if upstream is None:
            return cls(known)
        by_tag = [entry for entry in known if entry.get("provider_tag") == upstream]
        return cls(by_tag or [entry for entry in known if entry.get("provider_slug") == upstream])

    @property
    def parameters(self) -> dict[str, list[str]] | None:
        """What all of them take, with the values where a parameter has a list of them; None when that is not known."""
        found = [_parameters(server) for server in self.servers]
        if not found:
            return None
        common = [name for name in found[0] if all(name in other for other in found)]
        return {
            name: [value for value in found[0][name] if all(value in other[name] for other in found)] for name in common
        }

    def takes(self, name: str, value: Any) -> bool:
        parameters = self.parameters
        return parameters is None or (name in parameters and (not parameters[name] or value in parameters[name]))

    def size_fields(self, width: int, height: int) -> dict[str, str]:
        """How a size is said: the nearest ratio there is, and the smallest tier that covers width x height."""
        parameters = self.parameters
        ratios = list(RATIOS) if parameters is None else parameters.get("aspect_ratio", [])
        pairs = {_pair(ratio): ratio for ratio in ratios if _RATIO.fullmatch(ratio)}
        ratio = nearest_ratio(width, height, pairs) if pairs else (width, height)
        fields = {"aspect_ratio": pairs[ratio]} if pairs else {}
        has = (parameters or {}).get("resolution", [])
        tiers = {tier: side for tier, side in TIERS.items() if tier in has}
        return fields | ({"resolution": tier_that_covers(width, height, ratio, tiers)} if tiers else {})

    def price(self, tier: str, megapixels: int) -> Decimal | None:
        """USD of one picture at the dearest of them; None when one names no price that is known before."""
        prices = [_price(server, tier, megapixels) for server in self.servers]
        known = [price for price in prices if price is not None]
        return max(known) if known and len(known) == len(prices) else None

    def told(self) -> list[str]:
        """For people: prices and parameters."""
        rows = [row for server in self.servers for row in _output_rows(server)]
        costs = [f"${row['cost_usd']} a {str(row.get('unit'))[:20]}" for row in rows if is_number(row.get("cost_usd"))]
        said = [f"it costs {' or '.join(dict.fromkeys(costs))}"] if costs else []
        parameters = self.parameters
        return [*said, f"it takes {', '.join(parameters)[:200]}"] if parameters else said


def _pair(ratio: str) -> Size:
    """ "9:19.5" in whole numbers."""
    across, _, down = ratio.partition(":")
    return max(1, round(float(across) * 2)), max(1, round(float(down) * 2))


def _parameters(server: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a server takes; from an object by name, or a plain list of names."""
    found = server.get("supported_parameters")
    if isinstance(found, list):
        return {name: [] for name in found if isinstance(name, str)}
    return {
        name: [value for value in as_list(about.get("values")) if isinstance(value, str)]
        for name, about in (found.items() if isinstance(found, dict) else ())
        if isinstance(about, dict)
    }


def _output_rows(server: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [row for row in as_list(server.get("pricing")) if isinstance(row, dict)]
    return [row for row in rows if row.get("billable") == "output_image"]


def _price(server: Mapping[str, Any], tier: str, megapixels: int) -> Decimal | None:
    """USD of one picture. None where tokens are paid for, because nobody knows their number before."""
    rows = _output_rows(server)
    named = [row for row in rows if tier and str(row.get("variant", "")).lower() == tier.lower()]
    for row in named or [row for row in rows if not row.get("variant")]:
        cost = row.get("cost_usd")
        if is_number(cost) and cost >= 0 and row.get("unit") in ("image", "megapixel"):
            return Decimal(str(cost)) * (megapixels if row["unit"] == "megapixel" else 1)
    return None
