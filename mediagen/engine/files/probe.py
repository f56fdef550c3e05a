"""Whether the storage writes, reads and deletes: tried with a small file of its own."""

from __future__ import annotations

import uuid

from django.core.files.base import ContentFile

import mediagen.engine.files.refusals as refusals
from mediagen import conf
from mediagen.models import asset_storage


def why_not() -> str:
    """What it cannot do and why, for people: "It does not write: OSError: No space left on device."; "" when it can."""
    content = uuid.uuid4().bytes
    step = "write"
    try:
        storage = asset_storage()
        folder = conf.get("UPLOAD_TO").strip("/")
        name = storage.save(f"{folder}/probe-{uuid.uuid4()}.txt".lstrip("/"), ContentFile(content))
        step = "read"
        try:
            with storage.open(name) as file:
                found = file.read()
        except Exception:
            storage.delete(name)
            raise
        step = "delete"
        storage.delete(name)
        if found != content:
            return "It gives back other bytes than were written."
        if storage.exists(name):
            return "It says that it deleted a file, and still has it."
    except Exception as exc:  # whatever its package raises
        return f"It does not {step}: {refusals.reason(exc)}."
    return ""
