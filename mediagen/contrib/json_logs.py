"""Log lines as JSON, with what mediagen knows beside the message: for LOGGING's formatters.

"formatters": {"json": {"()": "mediagen.contrib.json_logs.JSONFormatter"}}
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime


class JSONFormatter(logging.Formatter):
    """One object a line: time (UTC), level, logger, message, and the facts of an event of ours; of an exception its
    traceback. Knows nothing of other libraries' extras."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": at, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        line |= {name: value for name, value in getattr(record, "mediagen", {}).items() if name not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
