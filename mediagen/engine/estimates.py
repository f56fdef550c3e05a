"""What pictures may cost, said before any is bought."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mediagen.engine.orders import AssetOrder, request_kwargs
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


def estimate(orders: Iterable[AssetOrder]) -> Estimate:
    """The estimate for these orders; each kind of order is priced once, so a million of one kind is quick."""
    total = Estimate()
    chains: dict[Any, list[Any]] = {}
    prices: dict[str, tuple[list[Decimal], set[str], bool]] = {}
    for order in orders:
        chain_key = (order.providers, order.dry_run)
        if chain_key not in chains:
            chains[chain_key] = _priced_providers(order)
        asked = {**request_kwargs(order.request), "prompt": "x"}
        asked.pop("seed", None)
        key = json.dumps([chain_key, asked], sort_keys=True, default=str)
        if key not in prices:
            if len(prices) > 10_000:
                prices.clear()
            prices[key] = _price(chains[chain_key], asked)
        known, unknown, is_free = prices[key]
        total.pictures += 1
        total.is_free = total.is_free and is_free
        total.unknown |= unknown
        if known:
            total.cheapest += min(known)
            total.dearest += max(known)
        elif unknown:
            total.without_price += 1
    return total


def _priced_providers(order: AssetOrder) -> list[Any]:
    """Providers of the order's chain that would be asked for money, in order."""
    chain = get_media_generator_chain(order.providers or None, dry_run=order.dry_run)
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


def _price(providers: list[Any], asked: dict[str, Any]) -> tuple[list[Decimal], set[str], bool]:
    known: list[Decimal] = []
    unknown: set[str] = set()
    for provider in providers:
        price = None
        if (ask := getattr(provider, "estimate", None)) is not None:
            try:
                price = ask(**asked)
            except ProviderError:
                continue  # it would not take the request
            except InvalidRequest:
                price = None
        if price is None:
            unknown.add(provider.get_name())
        else:
            known.append(price)
    return known, unknown, not providers
