"""What pictures may cost, said before any is bought."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mediagen.attempts import usd_if_it_is
from mediagen.chain import MediaGeneratorChain
from mediagen.engine.generation.orders import AssetOrder, request_kwargs
from mediagen.errors import InvalidRequest, ProviderError
from mediagen.factory import get_media_generator_chain


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
    is_free: bool = True
    """nothing that costs money would be asked: dry run, placeholders"""

    def __str__(self) -> str:
        if self.is_free:
            return f"{self.pictures:,} pictures, which cost nothing (dry run or placeholders)"
        if self.without_price == self.pictures:
            return f"{self.pictures:,} pictures at a price that is not known ({', '.join(sorted(self.unknown))})"
        text = f"{self.pictures:,} pictures, ${self.cheapest:,.2f} to ${self.dearest:,.2f}"
        if self.unknown:
            text += f"; the price of {', '.join(sorted(self.unknown))} is not known and not in it"
        return text


def estimate(orders: Iterable[AssetOrder], chain: MediaGeneratorChain | None = None) -> Estimate:
    """The estimate for these orders; each kind of order is priced once, so a million of one kind is quick.

    `chain` is that of all of them, where the caller has it already.
    """
    total = Estimate()
    chains: dict[Any, list[Any]] = {}
    prices: dict[str, dict[str, Decimal | None]] = {}
    for order in orders:
        chain_key = (order.providers, order.dry_run)
        if chain_key not in chains:
            own = chain or get_media_generator_chain(order.providers or None, dry_run=order.dry_run)
            chains[chain_key] = _priced_providers(own)
        asked = {**request_kwargs(order.request), "prompt": "x"}
        asked.pop("seed", None)
        key = json.dumps([chain_key, asked], sort_keys=True, default=str)
        if key not in prices:
            if len(prices) > 10_000:
                prices.clear()
            prices[key] = _prices(chains[chain_key], asked)
        known = [price for price in prices[key].values() if price is not None]
        unknown = [name for name, price in prices[key].items() if price is None]
        total.pictures += 1
        total.is_free = total.is_free and not chains[chain_key]
        total.unknown.update(unknown)
        for name, price in prices[key].items():
            old = total.prices.get(name)
            total.prices[name] = price if old is None or price is None else max(price, old)
        if known:
            total.cheapest += min(known)
            total.dearest += max(known)
        elif unknown:
            total.without_price += 1
    return total


def _priced_providers(chain: MediaGeneratorChain) -> list[Any]:
    """Providers of the chain that would be asked for money, in order."""
    asked: list[Any] = []
    for provider in chain.providers:
        if getattr(provider, "is_placeholder", False) or not callable(getattr(provider, "generate_image", None)):
            continue
        if chain.is_dry(provider):
            # It always delivers, and nobody behind it is asked.
            return asked
        if getattr(provider, "is_configured", True):
            asked.append(provider)
    return asked


def _prices(providers: list[Any], asked: dict[str, Any]) -> dict[str, Decimal | None]:
    """USD by provider, None where it is not known; without those that would not take the request."""
    found: dict[str, Decimal | None] = {}
    for provider in providers:
        price = None
        if (ask := getattr(provider, "estimate", None)) is not None:
            try:
                price = usd_if_it_is(ask(**asked), provider.get_name())
            except ProviderError:
                continue
            except InvalidRequest:
                price = None
        found[provider.get_name()] = price
    return found
