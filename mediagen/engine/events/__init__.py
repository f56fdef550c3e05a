"""What happened, told to others: event streams, Django signals, webhooks out.

Keeps: a message is a row of the transaction that changes what it tells of, so none is lost. `progress` (streams and
waiting requests), `changes` (for open galleries), `announcements` (what to tell when), `messages`, `payloads`,
`delivery`, `endpoints`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.events.changes import Change, following
    from mediagen.engine.events.progress import News, Story, Watch, news, watching

__getattr__ = names_from(
    __name__,
    {
        "changes": "Change following",
        "progress": "News Story Watch news watching",
    },
)
