"""Which `model` means whom: "auto" the chain, the name of a provider it alone, a service's model those that have it."""

from __future__ import annotations

from typing import Any

from mediagen.api.openai.errors import Refusal
from mediagen.factory import build_adapter, chain_configs

AUTO = "auto"
OPENAIS_OWN = ("gpt-image-", "dall-e-", "chatgpt-image-")
"""Programs made for OpenAI name its models: where nobody here has the one they name, they get the chain."""


def providers_of(model: str, operation: str = "generate_image") -> tuple[str, ...]:
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
    raise Refusal(
        404, f"The model '{model:.80}' does not exist here. There are: {known}.", param="model", code="model_not_found"
    )


def listed() -> list[dict[str, Any]]:
    """What `GET models` answers: "auto", then every provider that makes pictures, then their models."""
    able = _able("generate_image")
    names = list(dict.fromkeys([AUTO, *able, *(model for model in able.values() if model)]))
    owner = {AUTO: "mediagen", **{model: name for name, model in reversed(list(able.items()))}}
    return [{"id": name, "object": "model", "created": 0, "owned_by": owner.get(name, "mediagen")} for name in names]


def _able(operation: str) -> dict[str, str]:
    """Name to model of the enabled providers that have the operation, in the chain's order. One query."""
    able = {}
    for config in chain_configs():
        adapter = build_adapter(config)
        if callable(getattr(adapter, operation, None)):
            able[config.name] = str(getattr(adapter, "model", "") or "")
    return able


def can(operation: str, providers: tuple[str, ...]) -> bool:
    """Whether one of these providers (none: one of the chain) has the operation."""
    able = _able(operation)
    return bool(able.keys() & set(providers) if providers else able)
