"""Ratios of earlier runs, and whether those of this run are worse."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

FILE = Path(__file__).with_name("recorded.json")
NOISE = 1.25
"""A ratio may be so many times the recorded one: two runs on one machine differ by that much."""
NOISE_OF_CALLS = 1.1
"""Counts of calls are not moved by load, but for how many pictures meet in one group."""


def record(found: dict[str, float]) -> None:
    """Keep these ratios; those of benchmarks that did not run stay."""
    kept = _read()
    kept.update({name: {"ratio": round(ratio, 3), "on": f"{date.today()}"} for name, ratio in found.items()})
    FILE.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


def worse(found: dict[str, float]) -> list[str]:
    """A line for each ratio that is worse than the recorded one beyond noise. Smaller is better."""
    kept, lines = _read(), []
    for name, ratio in found.items():
        if name not in kept:
            continue
        before = kept[name]["ratio"]
        noise = NOISE_OF_CALLS if "calls" in name else NOISE
        if ratio > before * noise:
            lines.append(f"{name}: {ratio:.2f}, recorded on {kept[name]['on']}: {before:.2f}")
    return lines


def _read() -> dict[str, dict[str, float]]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}
