"""Numbers for those who decide, a rehearsal of the chain, and what is wrong or will be.

Keeps: one query per figure, none per library or asset that is listed; what is so is told once. `statistics`, `buckets`
(hours, days, classes of latency), `rehearsal`, `proposals` (an order for the chain); `findings` (what is wrong, in one
shape), `conditions` (those that the rows show), `doctor` (all of them), `readiness`, `alerts` (who is told when).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.insight.conditions import CODES
    from mediagen.engine.insight.findings import ORDER, Finding, Level
    from mediagen.engine.insight.proposals import Proposal, makes_real_pictures, propose, write
    from mediagen.engine.insight.rehearsal import MOST_PICTURES, Rehearsal, RehearsedAttempt, RehearsedPicture, rehearse
    from mediagen.engine.insight.statistics import Figures, Overview, Period

__getattr__ = names_from(
    __name__,
    {
        "conditions": "CODES",
        "findings": "Finding Level ORDER",
        "proposals": "Proposal makes_real_pictures propose write",
        "rehearsal": "MOST_PICTURES Rehearsal RehearsedAttempt RehearsedPicture rehearse",
        "statistics": "Figures Overview Period",
    },
)
