"""What there is to filter a list by: tags, providers, models, formats in use, with how many assets have them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count

from mediagen.engine.library.search import Assets
from mediagen.models import MediaAsset

MOST_ASSETS = 10_000
"""that are counted, the newest: so that it is as quick in a library of a million"""
MOST_WORDS = 200
AT_ONCE = 1_000
COLUMNS = {
    "providers": "provider_name",
    "models": "model_name",
    "formats": "format",
    "states": "generation_state",
    "reviews": "status",
}


@dataclass(frozen=True, slots=True)
class Facets:
    """`counts` by kind ("tags", "providers" ...): [(word, number)], the most frequent first."""

    counted: int
    is_capped: bool
    counts: dict[str, list[tuple[str, int]]]


def of(assets: Assets) -> Facets:
    """Of these assets, or of the newest 10,000. One query, and one for the tags of each thousand."""
    rows = list(assets.order_by("-pk").values_list("pk", *COLUMNS.values())[: MOST_ASSETS + 1])
    is_capped, rows = len(rows) > MOST_ASSETS, rows[:MOST_ASSETS]
    counts = {
        name: _frequent(Counter(row[place] for row in rows if row[place]))
        for place, name in enumerate(COLUMNS, start=1)
    }
    tags: Counter[str] = Counter()
    through = MediaAsset.tags.through._default_manager
    for start in range(0, len(rows), AT_ONCE):
        ids = [row[0] for row in rows[start : start + AT_ONCE]]
        named = through.filter(mediaasset__in=ids).values("mediatag__name").annotate(number=Count("pk")).order_by()
        for found in named:
            tags[found["mediatag__name"]] += found["number"]
    return Facets(len(rows), is_capped, {"tags": _frequent(tags), **counts})


def _frequent(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0].casefold()))[:MOST_WORDS]
