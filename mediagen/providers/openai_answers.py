"""What answers of OpenAI's image API say where they hold no picture."""

from __future__ import annotations

import json
import re
from typing import Any


def moderated(part: Any) -> str:
    """Why a part of an answer 200 that holds no picture says that moderation was at work; "" when it does not."""
    if not isinstance(part, dict):
        return ""
    if part.get("respect_moderation") is False:
        return "respect_moderation is false"
    for key, value in part.items():
        if isinstance(value, str) and value and re.search(r"block|moderat|filter", key):
            return str(value)
        if key.endswith(("filter_result", "filter_results")) and '"filtered": true' in json.dumps(value):
            return str(key)
    return ""
