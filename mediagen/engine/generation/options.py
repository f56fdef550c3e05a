"""Options of a request, against what the providers declare that would be asked: before anybody is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mediagen.chain import MediaGeneratorChain
from mediagen.engine.generation.orders import ARGUMENTS, RESERVED
from mediagen.errors import InvalidRequest
from mediagen.foreign import lacks
from mediagen.operations import GENERATE
from mediagen.providers.options import Option
from mediagen.wording import say as _


def check_options(chain: MediaGeneratorChain, options: Mapping[str, Any], operation: str = GENERATE) -> None:
    """`InvalidRequest` for an option that no provider of the chain knows, and for a wrong value (`check_values`)."""
    declared = [getattr(provider, "options", None) for provider in chain.providers]
    known = [one for one in declared if isinstance(one, Mapping)]
    may_know_any = any(
        not isinstance(one, Mapping) and not lacks(provider, operation)
        for one, provider in zip(declared, chain.providers, strict=True)
    )
    for name in options:
        if name in ARGUMENTS or name in RESERVED:
            raise InvalidRequest(_("%(name)s is no option of a provider.", name=name), field="options")
        if not may_know_any and not any(name in one for one in known):
            names = ", ".join(sorted({key for one in known for key in one}))
            raise InvalidRequest(
                _(
                    "No provider that would be asked has an option %(name)s. They have: %(names)s.",
                    name=f"{name!r:.60}",
                    names=names,
                ),
                field="options",
            )
    check_values(chain, options, operation)


def check_values(chain: MediaGeneratorChain, options: Mapping[str, Any], operation: str = GENERATE) -> None:
    """`InvalidRequest` for a value that the first provider that has this option does not take.

    It would be passed over, and another one be paid that knows nothing of the option: likely a typing mistake. A
    provider that says nothing of its options may take any; what is asked of one without a credential, nobody is.
    """
    for name, value in options.items():
        if value is None:
            continue
        for provider in _asked(chain, operation):
            declared = getattr(provider, "options", None)
            if not isinstance(declared, Mapping):
                break
            if not isinstance(declared.get(name), Option):
                continue
            if not getattr(provider, "knows_option", lambda name: True)(name):
                continue  # another model of the same adapter has it
            try:
                _check(provider, declared[name], name, value)
            except ValueError as exc:
                text = str(exc)
                raise InvalidRequest(f"{text[:1].upper()}{text[1:]}", field=f"options.{name}") from None
            break


def _check(provider: Any, option: Option, name: str, value: Any) -> None:
    if hasattr(provider, "check_option"):
        provider.check_option(name, value)  # knows what its model takes
        return
    try:
        option.clean(value)
    except ValueError as exc:
        raise ValueError(f"option {name} {exc}.") from None


def _asked(chain: MediaGeneratorChain, operation: str) -> Iterator[Any]:
    for provider in chain.ordered(operation):
        if lacks(provider, operation):
            continue
        if getattr(provider, "is_configured", True) or chain.is_dry(provider):
            yield provider
