"""Which adapters there are: ours, and those that MEDIAGEN["PROVIDERS"] adds, by dotted path."""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import Any

from mediagen import conf
from mediagen.errors import ConfigurationError


def settings_options(name: str) -> dict[str, Any]:
    """Constructor arguments that the operator gives an adapter: MEDIAGEN["PROVIDERS"][name]["OPTIONS"], and before its
    base_url the environment's MEDIAGEN_<NAME>_BASE_URL."""
    entry = conf.get("PROVIDERS").get(name)
    options = dict(entry.get("OPTIONS", {})) if isinstance(entry, dict) else {}
    if base_url := os.environ.get(base_url_variable(name), "").strip():
        options["base_url"] = base_url
    return options


def base_url_variable(name: str) -> str:
    """MEDIAGEN_FLUX_BASE_URL."""
    return f"MEDIAGEN_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_BASE_URL"


def adapter_class(name: str) -> type[Any]:
    """The class behind an adapter name; `ConfigurationError` when there is none or it cannot be imported."""
    path = conf.adapter_paths().get(name)
    if path is None:
        raise ConfigurationError(f"There is no provider {name!r:.60}. There are: {', '.join(conf.adapter_paths())}.")
    module_name, _, class_name = path.rpartition(".")
    try:
        found = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigurationError(f"Provider {name!r}: {path} cannot be imported ({exc}).") from exc
    if not isinstance(found, type):
        raise ConfigurationError(f"Provider {name!r}: {path} is no class.")
    return found
