"""Which adapters there are: ours, and those that MEDIAGEN["PROVIDERS"] adds, by dotted path."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mediagen import conf
from mediagen.errors import ConfigurationError


def settings_options(name: str) -> dict[str, Any]:
    """Constructor arguments that settings give an adapter: MEDIAGEN["PROVIDERS"][name]["OPTIONS"]."""
    entry = conf.get("PROVIDERS").get(name)
    return dict(entry.get("OPTIONS", {})) if isinstance(entry, dict) else {}


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
