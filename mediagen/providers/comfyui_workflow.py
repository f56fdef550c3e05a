"""A ComfyUI workflow in API format with slots: `{prompt}`, `{negative_prompt}`, `{width}`, `{height}`, `{seed}`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

SLOTS = ("prompt", "negative_prompt", "width", "height", "seed")
NEEDED_SLOTS = ("prompt", "seed")
"""without a seed of its own the server takes a picture for the one that it made before, and makes none"""
_SLOT = re.compile(r"\{(" + "|".join(SLOTS) + r")\}")


def slots_in(workflow: Any) -> set[str]:
    """The names of the slots that a workflow has."""
    return set(_SLOT.findall(json.dumps(workflow, ensure_ascii=False)))


def check_workflow(workflow: Mapping[str, Any]) -> None:
    """ValueError that says what is wrong: the editor's format, no nodes, slots that are missing."""
    if isinstance(workflow.get("nodes"), list):
        raise ValueError("option workflow is in the editor's format. Export it for the API in ComfyUI's menu.")
    if not all(isinstance(node, dict) and isinstance(node.get("class_type"), str) for node in workflow.values()):
        raise ValueError('option workflow must be {"node id": {"class_type": ..., "inputs": {...}}, ...}.')
    found = slots_in(workflow)
    if missing := [f"{{{slot}}}" for slot in NEEDED_SLOTS if slot not in found]:
        raise ValueError(f"option workflow has no slot {' and '.join(missing)}: write it where the value belongs.")


def filled(workflow: Any, values: Mapping[str, Any]) -> Any:
    """The workflow with its slots filled. A slot that is the whole of a value keeps the type: {seed} is a number."""
    if isinstance(workflow, dict):
        return {key: filled(part, values) for key, part in workflow.items()}
    if isinstance(workflow, list):
        return [filled(part, values) for part in workflow]
    if not isinstance(workflow, str):
        return workflow
    if whole := _SLOT.fullmatch(workflow):
        return values[whole[1]]
    return _SLOT.sub(lambda found: str(values[found[1]]), workflow)
