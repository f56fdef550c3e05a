"""Numbers for those who decide, and a rehearsal of the chain.

Keeps: one query per figure, none per library or asset that is listed. `statistics`, `buckets` (hours, days, classes of
latency), `rehearsal`, `proposals` (an order for the chain).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.insight.proposals import Proposal, propose, write
    from mediagen.engine.insight.rehearsal import MOST_PICTURES, Rehearsal, RehearsedAttempt, RehearsedPicture, rehearse
    from mediagen.engine.insight.statistics import Figures, Overview, Period

__getattr__ = names_from(
    __name__,
    {
        "proposals": "Proposal propose write",
        "rehearsal": "MOST_PICTURES Rehearsal RehearsedAttempt RehearsedPicture rehearse",
        "statistics": "Figures Overview Period",
    },
)
