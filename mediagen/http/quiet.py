"""The HTTP libraries' own loggers without our keys. At DEBUG they log headers of answers, in which services echo what
they were sent."""

from __future__ import annotations

import logging

from mediagen.secrets import Secret, scrub

LIBRARIES = ("httpx", "httpcore", "httpx2", "httpcore2")
# Made when they are first needed, which may be later.
PARTS = ("connection", "http11", "http2", "proxy", "socks")


class WithoutSecrets(logging.Filter):
    """Every record passes, without the secrets that are known to this process."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:
            return True  # whoever writes it will say so
        clean = scrub(message, Secret.alive())
        if clean != message:
            record.msg, record.args = clean, None
        return True


_FILTER = WithoutSecrets()


def hush() -> None:
    """Have these loggers scrub what they say. A logger's filter does not hold for its children, so all are told."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LIBRARIES]
    names += [name for library in LIBRARIES for name in (library, *(f"{library}.{part}" for part in PARTS))]
    for name in names:
        logging.getLogger(name).addFilter(_FILTER)
