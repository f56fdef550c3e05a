"""What vendors sell, as data: models, prices and announced ends in one dated file for each provider.

The files beside this module are ours. `manage.py mediagen_update_provider_data` writes newer ones into the folder
`MEDIAGEN["PROVIDER_DATA_DIR"]`; one that cannot be read there leaves ours in force, and that is logged.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mediagen import conf
from mediagen.errors import ConfigurationError

logger = logging.getLogger("mediagen.providers")

SHIPPED = Path(__file__).parent / "data"
MAX_AGE_DAYS = 90
"""prices that are older are worth a look"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderData:
    """One vendor's table."""

    provider: str
    checked_on: date
    """when somebody, or the vendor's API, last confirmed it"""
    sources: tuple[str, ...] = ()
    """where it is from: addresses, or words"""
    models: tuple[str, ...] = ()
    ends: Mapping[str, str] = field(default_factory=dict)
    """models that the vendor has said to end, with the day ("2026-10-23"), or "" when it names none yet"""
    successors: Mapping[str, str] = field(default_factory=dict)
    """models that are gone, with what to use instead"""
    prices: Mapping[str, str] = field(default_factory=dict)
    """USD by price key, exact: also booked when the service does not say what it took"""
    at_most: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """(USD, why no price is exact) by price key: held of a budget, never booked"""

    def age_days(self, today: date) -> int:
        return (today - self.checked_on).days

    @classmethod
    def from_json(cls, text: str, provider: str) -> ProviderData:
        """The table in `text`; ValueError says what is wrong with it."""
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
        if unknown := sorted(found.keys() - {part.name for part in fields(cls)}):
            raise ValueError(f"it has unknown parts: {', '.join(unknown)}")
        if found.get("provider") != provider:
            raise ValueError(f"it is about {found.get('provider')!r:.40}")
        try:
            return cls(
                provider=provider,
                checked_on=date.fromisoformat(found["checked_on"]),
                sources=_texts(found.get("sources", [])),
                models=_texts(found.get("models", [])),
                ends=_days(found.get("ends", {})),
                successors=_table(found.get("successors", {})),
                prices={key: _usd(value) for key, value in _table(found.get("prices", {})).items()},
                at_most={key: _at_most(value) for key, value in dict(found.get("at_most", {})).items()},
            )
        except (KeyError, TypeError) as exc:
            raise ValueError(f"{type(exc).__name__}: {exc}") from None

    def to_json(self) -> str:
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        parts["checked_on"] = self.checked_on.isoformat()
        return json.dumps(parts, indent=1, ensure_ascii=False) + "\n"

    def renewed(self, source: str, today: date, **changes: Any) -> ProviderData:
        """A newer one, with what the vendor's API at `source` says."""
        return replace(self, checked_on=today, sources=(source,), **changes)


def has_data(provider: str) -> bool:
    """Whether we have a table of this adapter's vendor."""
    return (SHIPPED / f"{provider}.json").is_file()


def provider_data(provider: str) -> ProviderData:
    """The table in force: the newer of ours and the site's."""
    ours = _shipped(provider)
    folder = conf.get("PROVIDER_DATA_DIR")
    if not folder:
        return ours
    path = Path(folder) / f"{provider}.json"
    try:
        changed_at = path.stat().st_mtime_ns
    except OSError:
        return ours
    theirs = _of_the_site(path, provider, changed_at)
    return theirs if theirs is not None and theirs.checked_on >= ours.checked_on else ours


@lru_cache(maxsize=64)
def _shipped(provider: str) -> ProviderData:
    return ProviderData.from_json((SHIPPED / f"{provider}.json").read_text(encoding="utf-8"), provider)


@lru_cache(maxsize=64)
def _of_the_site(path: Path, provider: str, changed_at: int) -> ProviderData | None:
    """None, and one line in the log, when it cannot be read."""
    try:
        return ProviderData.from_json(path.read_text(encoding="utf-8"), provider)
    except (OSError, ValueError) as exc:
        ours = _shipped(provider).checked_on
        logger.warning("%s cannot be read (%s); our table of %s is in force.", path, exc, ours)
        return None


def write(data: ProviderData) -> Path:
    """Put a table into the site's folder; where it is now. `ConfigurationError` when the site has none."""
    folder = conf.get("PROVIDER_DATA_DIR")
    if not folder:
        raise ConfigurationError('Set MEDIAGEN["PROVIDER_DATA_DIR"] to a folder that this process may write to.')
    path = Path(folder) / f"{data.provider}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    ProviderData.from_json(data.to_json(), data.provider)  # what cannot be read again is not written
    part = path.with_suffix(".part")
    part.write_text(data.to_json(), encoding="utf-8")
    part.replace(path)
    return path


class _FromData:
    """A class attribute that is read from the provider's table whenever somebody asks for it."""

    def __init__(self, part: str, provider: str) -> None:
        self.part, self.provider = part, provider

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        value = getattr(provider_data(self.provider), self.part)
        return MappingProxyType(value) if isinstance(value, dict) else value


def from_data(part: str, provider: str) -> Any:
    """`models = from_data("models", "flux")`: a class attribute out of the provider's table."""
    return _FromData(part, provider)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and 0 < len(item) <= 200 for item in value):
        raise ValueError("a list of texts is none")
    return tuple(value)


def _table(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("a table of texts is none")
    return value


def _days(value: Any) -> dict[str, str]:
    table = _table(value)
    for day in table.values():
        if day:
            date.fromisoformat(day)
    return table


def _usd(value: str) -> str:
    try:
        price = Decimal(value)
    except ArithmeticError:
        price = Decimal(-1)
    if not price.is_finite() or price < 0:
        raise ValueError(f"a price must be USD, 0 or more, not {value!r:.40}")
    return value


def _at_most(value: Any) -> tuple[str, str]:
    price, why = value
    if not isinstance(price, str) or not isinstance(why, str) or not why:
        raise ValueError("an upper price is a text and a reason")
    return _usd(price), why
