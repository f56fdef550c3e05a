"""Names of a package that are imported when somebody asks for one: `__getattr__ = names_from(__name__, {...})`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def names_from(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` (PEP 562); `modules`: {module in the package: its names, separated by spaces}.

    What a package hands on would otherwise be imported with it, and with that the HTTP library, in every site that
    starts. Type checkers read the same names from imports under TYPE_CHECKING; the tests compare the two.
    """
    home = {name: module for module, names in modules.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        if name in home:
            return getattr(import_module(f"{package}.{home[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__
