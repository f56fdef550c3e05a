"""People who send tokens and addresses that nobody has given out: counted, told to wait, and logged."""

from __future__ import annotations

import logging
import time
from typing import Any

from mediagen.engine.database import times
from mediagen.errors import ComeLater

logger = logging.getLogger("mediagen.security")

MOST, PER_S = 20, 60
"""wrong ones from one address that are simply refused, and in how many seconds"""


def count_wrong(request: Any, what: str) -> None:
    """Count a wrong token from the address of this request; `ComeLater` when there were many.

    What is right is taken from the same address all the while: others may be behind it. The log is told once a window,
    with the address and never with what was sent.
    """
    address = str(request.META.get("REMOTE_ADDR", "")) or "unknown"
    number = times.count(f"wrong:{what.replace(' ', '-')}:{address}", PER_S)
    if number <= MOST:
        return
    if number == MOST + 1:
        logger.warning("more than %d wrong tokens (%s) in %d s from %s", MOST, what, PER_S, address)
    text = "Too many wrong tokens came from your address. Wait, and check what you send."
    raise ComeLater(text, retry_after_s=PER_S - time.time() % PER_S)
