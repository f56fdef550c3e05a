"""Answers that were paid for and held no usable picture: kept as they came, under names that nobody can guess."""

from __future__ import annotations

import logging
import re
import secrets
from datetime import timedelta
from typing import Any

from django.db.models import Sum

import mediagen.engine.files.storage as storage
from mediagen import conf
from mediagen.engine.database import in_database
from mediagen.models import GenerationAttempt, KeptAnswer
from mediagen.models.clock import db_now
from mediagen.types import Answer

logger = logging.getLogger("mediagen.engine")

NAME = re.compile(r"answer-[A-Za-z0-9_-]{32}(?:_[A-Za-z0-9]+)?\.bin")
MOST_AT_ONCE = 500


async def keep(attempt: GenerationAttempt, answer: Answer) -> None:
    """Store the answer of an attempt that is written. Never raises: the attempt has ended, and says how."""
    try:
        row = await in_database(_note, attempt, answer)
        if row is not None:
            name = await storage.save_file(str(row.file.name), bytes(answer.content))
            if name != row.file.name:
                await in_database(KeptAnswer.objects.filter(pk=row.pk).update, file=name)
    except Exception:
        logger.exception("the answer of attempt %s could not be kept", attempt.pk)


def _note(attempt: GenerationAttempt, answer: Answer) -> KeptAnswer | None:
    """The row, before the file, so that the sweep knows the file; None when no more may be kept."""
    size = len(answer.content)
    kept = KeptAnswer.objects.aggregate(bytes=Sum("size_bytes"))["bytes"] or 0
    if not size or not conf.get("KEEP_ANSWERS_DAYS"):
        return None
    if kept + size > conf.get("KEEP_ANSWERS_BYTES"):
        logger.error("the answer of attempt %s is not kept: KEEP_ANSWERS_BYTES are full", attempt.pk)
        return None
    folder = f"{conf.get('UPLOAD_TO').strip('/')}/answers".lstrip("/")
    values = {
        "file": f"{folder}/answer-{secrets.token_urlsafe(24)}.bin",
        "content_type": "".join(char for char in answer.content_type[:100] if char.isprintable()),
        "size_bytes": size,
    }
    row, _ = KeptAnswer.objects.get_or_create(attempt_id=attempt.pk, defaults=values)
    return row


def remove(row: KeptAnswer) -> None:
    """The row, and then its file."""
    row.delete()
    storage.remove_file(str(row.file.name))


def remove_old() -> int:
    """Remove what is older than KEEP_ANSWERS_DAYS; how many."""
    before = db_now() - timedelta(days=conf.get("KEEP_ANSWERS_DAYS"))
    count = 0
    for row in KeptAnswer.objects.filter(created_at__lt=before).order_by("created_at")[:MOST_AT_ONCE]:
        remove(row)
        count += 1
    return count


def unknown_among(names: list[str]) -> list[str]:
    """Those of these stored files that held an answer, and whose row is gone."""
    ours = [name for name in names if NAME.fullmatch(name.rpartition("/")[2])]
    known: set[Any] = set(KeptAnswer.objects.filter(file__in=ours).values_list("file", flat=True)) if ours else set()
    return [name for name in ours if name not in known]
