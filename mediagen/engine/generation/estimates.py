"""What pictures may cost, said before any is bought."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from typing import Any

import mediagen.engine.generation.sources as sources
from mediagen.chain import MediaGeneratorChain
from mediagen.engine.generation.orders import AssetOrder, request_kwargs
from mediagen.engine.money import Kind, of_late
from mediagen.errors import InvalidRequest, ProviderError
from mediagen.factory import get_media_generator_chain
from mediagen.foreign import lacks
from mediagen.models.costs import usd as in_usd
from mediagen.models.ledger import LAST_DIGIT
from mediagen.operations import DESCRIBE, GENERATE
from mediagen.types import ARE_BOUGHT, usd_or_none


@dataclass(slots=True)
class Estimate:
    """USD for a number of pictures: when the cheapest provider of the chain serves each, and when the dearest does.

    `unknown` names the providers whose price is not known; what they serve is in neither sum.
    """

    pictures: int = 0
    cheapest: Decimal = Decimal(0)
    dearest: Decimal = Decimal(0)
    unknown: set[str] = field(default_factory=set)
    without_price: int = 0
    """pictures for which no provider's price is known"""
    prices: dict[str, Decimal | None] = field(default_factory=dict)
    """USD of one picture (the dearest of them) by provider; None: not known"""
    too_low: dict[str, Decimal] = field(default_factory=dict)
    """what price tables say, by provider, that charged more of late: `prices` has what they charged"""
    reasons: dict[str, str] = field(default_factory=dict)
    """by provider: why its price is no exact one, but the most that a picture may cost"""
    is_free: bool = True
    """nothing that costs money would be asked: dry run, placeholders"""

    def __str__(self) -> str:
        if self.is_free:
            return f"{self.pictures:,} pictures, which cost nothing (dry run or placeholders)"
        unknown = ", ".join(sorted(self.unknown))
        what_to_do = "; a budget passes it over unless its prices or price_when_unknown are set"
        if self.without_price == self.pictures:
            return f"{self.pictures:,} pictures at a price that is not known ({unknown}){what_to_do}"
        text = f"{self.pictures:,} pictures, ${self.cheapest:,.2f} to ${self.dearest:,.2f}"
        if self.unknown:
            text += f"; the price of {unknown} is not known and not in it{what_to_do}"
        text += "".join(f"; {name} at most: {why}" for name, why in sorted(self.reasons.items()))
        for name, listed in sorted(self.too_low.items()):
            text += f"; {name} charged {in_usd(self.prices[name])} of late, its price table says {in_usd(listed)}"
        return text

    def to_json(self) -> dict[str, Any]:
        """Its sums and names, as `from_json` takes them."""
        sums = {name: str(getattr(self, name)) for name in ("cheapest", "dearest")}
        numbers = {name: getattr(self, name) for name in ("pictures", "without_price", "is_free")}
        return {**numbers, **sums, "unknown": sorted(self.unknown)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Estimate:
        return cls(
            pictures=told["pictures"],
            cheapest=Decimal(told["cheapest"]),
            dearest=Decimal(told["dearest"]),
            unknown=set(told["unknown"]),
            without_price=told["without_price"],
            is_free=told["is_free"],
        )


def estimate(orders: Iterable[AssetOrder], chain: MediaGeneratorChain | None = None) -> Estimate:
    """The estimate for these orders; each kind of order is priced once, so a million of one kind is quick.

    `chain` is that of all of them, where the caller has it already.
    """
    total = Estimate()
    chains: dict[Any, list[Any]] = {}
    prices: dict[str, dict[str, Decimal | None]] = {}
    charged: dict[Kind, Decimal] = {}
    for order in orders:
        chain_key = (order.providers, order.dry_run, order.operation)
        if chain_key not in chains:
            own = chain or get_media_generator_chain(order.providers or None, dry_run=order.dry_run)
            chains[chain_key] = _priced_providers(own, order.operation)
        asked = {**request_kwargs(order.request), "prompt": "x"}
        asked.pop("seed", None)
        made_of = [(one.format, one.width, one.height) for one in order.described] or order.source_ids
        key = json.dumps([chain_key, asked, made_of, order.margins], sort_keys=True, default=str)
        if key not in prices:
            if len(prices) > 10_000:
                prices.clear()
            work = sources.without_content(order) if chains[chain_key] else {}
            prices[key] = _prices(order.operation, chains[chain_key], {**asked, **work}, total.reasons, charged)
        total.is_free = total.is_free and not chains[chain_key]
        _add(total, prices[key])
    _note_too_low(total, charged)
    return total


def estimate_of_descriptions(chain: MediaGeneratorChain, asked: dict[str, Any], number: int) -> Estimate:
    """The estimate for so many descriptions, which cost the same whatever they show."""
    total, charged = Estimate(), dict[Kind, Decimal]()
    providers = _priced_providers(chain, DESCRIBE)
    total.is_free = not providers
    _add(total, _prices(DESCRIBE, providers, asked, total.reasons, charged), number)
    _note_too_low(total, charged)
    return total


def _add(total: Estimate, prices: dict[str, Decimal | None], times: int = 1) -> None:
    """So many of which each provider wants this much."""
    known = [price for price in prices.values() if price is not None]
    unknown = [name for name, price in prices.items() if price is None]
    total.pictures += times
    total.unknown.update(unknown)
    for name, price in prices.items():
        old = total.prices.get(name)
        total.prices[name] = price if old is None or price is None else max(price, old)
    if known:
        total.cheapest += min(known) * times
        total.dearest += max(known) * times
    elif unknown:
        total.without_price += times


def _note_too_low(total: Estimate, charged: dict[Kind, Decimal]) -> None:
    for kind, price in charged.items():
        if price > kind.listed_price and price == total.prices.get(kind.provider_name):
            total.too_low[kind.provider_name] = kind.listed_price


def _priced_providers(chain: MediaGeneratorChain, operation: str) -> list[Any]:
    """Providers of the chain that would be asked for money, in order."""
    asked: list[Any] = []
    for provider in chain.ordered(operation):
        if getattr(provider, "is_placeholder", False) or lacks(provider, operation):
            continue
        if chain.is_dry(provider):
            # It always delivers, and nobody behind it is asked.
            return asked
        if getattr(provider, "is_configured", True):
            asked.append(provider)
    return asked


def _prices(
    operation: str,
    providers: list[Any],
    asked: dict[str, Any],
    reasons: dict[str, str],
    charged: dict[Kind, Decimal],
) -> dict[str, Decimal | None]:
    """USD by provider, None where it is not known; without those that would not take the request. Why one is the most
    that it may be goes into `reasons`, what kinds of pictures cost of late into `charged`."""
    found: dict[str, Decimal | None] = {}
    for provider in providers:
        price = None
        if (ask := getattr(provider, ARE_BOUGHT[operation], None)) is not None:
            try:
                price = usd_or_none(ask(**asked), provider.get_name())
                if price is not None and (why := _reason(provider, operation, asked)):
                    reasons[provider.get_name()] = why
            except ProviderError:
                continue
            except InvalidRequest:
                price = None
        name = provider.get_name()
        if price is not None:
            kind = Kind(name[:100], operation, price.quantize(LAST_DIGIT, rounding=ROUND_UP))
            if kind not in charged:
                charged[kind] = of_late(kind) or price
            price = max(price, charged[kind])
        found[name] = price
    return found


def _reason(provider: Any, operation: str, asked: dict[str, Any]) -> str:
    """Why a price is no exact one; "" when it is, or nobody says."""
    if operation == GENERATE:
        return str(getattr(provider, "estimate_reason", lambda **_: "")(**asked))
    return str(getattr(provider, "estimate_work_reason", lambda *_, **__: "")(operation, **asked))
