"""Which `model` means whom: "auto" the chain, the name of a provider it alone, a service's model those that have it."""

from __future__ import annotations

from typing import Any

from mediagen.api.openai.errors import Refusal, invalid
from mediagen.engine.providers import OPERATIONS, ProviderDescription, descriptions
from mediagen.factory import build_adapter, chain_configs
from mediagen.foreign import lacks

AUTO = "auto"
PICTURES = "generate_image"
OPENAIS_OWN = ("gpt-image-", "dall-e-", "chatgpt-image-")
"""Programs made for OpenAI name its models: where nobody here has the one they name, they get the chain."""


def providers_of(model: str, operation: str = PICTURES) -> tuple[str, ...]:
    """The names of the providers to ask for it, in order; () for the chain. A refusal (404) for a name nobody knows."""
    if model == AUTO:
        return ()
    able = _able(operation)
    if model in able:
        return (model,)
    having = tuple(name for name, served in able.items() if served == model)
    if having or model.startswith(OPENAIS_OWN):
        return having
    known = ", ".join([AUTO, *able])
    if operation != PICTURES and model in {name for pair in _able(PICTURES).items() for name in pair}:
        others = f"Those that can: {known}." if able else "None here can."
        raise invalid(
            f"The model '{model:.80}' cannot edit pictures. {others}",
            "model",
            "unsupported_value",
        )
    raise Refusal(
        404, f"The model '{model:.80}' does not exist here. There are: {known}.", param="model", code="model_not_found"
    )


def listed() -> list[dict[str, Any]]:
    """What `GET models` answers: "auto", then every provider that makes pictures, then their models. OpenAI's fields,
    and in `mediagen` who is asked for it and what each of those can do."""
    described = [one for one in descriptions() if PICTURES in one.operations]
    whom: dict[str, list[ProviderDescription]] = {AUTO: described}
    for name, one in [*((one.name, one) for one in described), *((one.model, one) for one in described if one.model)]:
        if one not in whom.setdefault(name, []):
            whom[name].append(one)
    return [_model(name, asked) for name, asked in whom.items()]


def _model(name: str, asked: list[ProviderDescription]) -> dict[str, Any]:
    owner = "mediagen" if name == AUTO or name in {one.name for one in asked} else asked[0].name
    told = {
        "providers": [one.name for one in asked],
        "operations": [name for name in OPERATIONS if any(name in one.operations for one in asked)],
        "options": sorted({option for one in asked for option in (one.options or {}).get("properties", {})}),
        "is_placeholder": bool(asked) and all(one.is_placeholder for one in asked),
        "is_live": any(one.is_live for one in asked),
    }
    return {"id": name, "object": "model", "created": 0, "owned_by": owner, "mediagen": told}


def _able(operation: str) -> dict[str, str]:
    """Name to model of the enabled providers that have the operation, in the chain's order. One query."""
    able = {}
    for config in chain_configs():
        adapter = build_adapter(config)
        if not lacks(adapter, operation):
            able[config.name] = str(getattr(adapter, "model", "") or "")
    return able


def can(operation: str, providers: tuple[str, ...]) -> bool:
    """Whether one of these providers (none: one of the chain) has the operation."""
    able = _able(operation)
    return bool(able.keys() & set(providers) if providers else able)
