"""The HTTP library, imported by the first request: it is no part of start-up.

httpx2, the maintained continuation of httpx with the same interface, is taken when it is installed.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@cache
def httpx() -> Any:
    return import_module("httpx2" if find_spec("httpx2") else "httpx")
