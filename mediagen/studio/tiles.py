"""Assets as the gallery shows them: each with what is happening to it now, and what this person may do with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from mediagen.engine.generation import told
from mediagen.engine.library import Access, Right
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset
from mediagen.models.asset import ON_REQUEST
from mediagen.models.clock import db_now
from mediagen.types import AttemptState

UNSETTLED = (GenerationState.PENDING, GenerationState.RUNNING)
OPEN = (AttemptState.PLANNED.value, AttemptState.SUBMITTED.value)
USUALLY_BEGUN = timedelta(minutes=2)
DELIVERED = (AttemptState.SUCCEEDED.value, AttemptState.ADOPTED.value)


@dataclass(frozen=True, slots=True)
class Progress:
    """What is happening to an asset that has no picture yet."""

    text: str
    """in one line: who is being asked"""
    given_up: tuple[str, ...] = ()
    """providers that were asked in this run and did not deliver"""
    since: datetime | None = None
    """when the present provider was asked"""


@dataclass(frozen=True, slots=True)
class Tile:
    asset: MediaAsset
    rights: frozenset[Right] = frozenset()
    progress: Progress | None = None

    @property
    def is_settled(self) -> bool:
        """Nothing will happen to it by itself."""
        return self.progress is None

    @property
    def stands_in(self) -> bool:
        """Whether it is a placeholder that nobody asked for: no provider delivered."""
        return self.asset.awaits_its_picture and not self.asset.dry_run

    @property
    def cause(self) -> dict[str, Any] | None:
        """Why there is no picture, or only a placeholder, and what a person can do: {message, hint, ...}."""
        asset = self.asset
        if not self.is_settled or (asset.is_ready and not (asset.failure or asset.failure_code)):
            return None
        code = asset.failure_code or asset.failed_for
        return told(code) if code else None

    @property
    def retry(self) -> str:
        """The action that makes it again."""
        return "renew" if self.stands_in else "again"

    @property
    def may_retry(self) -> bool:
        is_over = self.is_settled and (self.stands_in or self.asset.generation_state in ON_REQUEST)
        return is_over and self.asset.has_order and Right.GENERATE in self.rights


@dataclass(slots=True)
class RightsByLibrary:
    """What a person may do in the libraries of some assets. One query, whatever their number."""

    access: Access
    _held: dict[uuid.UUID, frozenset[Right]] = field(default_factory=dict)

    def learn(self, library_ids: Iterable[uuid.UUID]) -> None:
        unknown = set(library_ids) - self._held.keys()
        has = [right for right in Right if right is not Right.READ and self.access.has(right)]
        writable: set[Any] = set()
        if unknown and has:
            # Only READ looks further than the libraries that one may change.
            writable = set(self.access.libraries(has[0]).filter(pk__in=unknown).values_list("pk", flat=True))
        for pk in unknown:
            self._held[pk] = frozenset({Right.READ, *(has if pk in writable else ())})

    def of(self, asset: MediaAsset) -> frozenset[Right]:
        self.learn([asset.library_id])
        return self._held[asset.library_id]


def tiles_of(assets: Sequence[MediaAsset], access: Access) -> list[Tile]:
    """A tile for each, in their order. Two queries at most."""
    rights = RightsByLibrary(access)
    rights.learn(asset.library_id for asset in assets)
    progress = progress_of(assets)
    return [Tile(asset, rights.of(asset), progress.get(asset.pk)) for asset in assets]


def progress_of(assets: Iterable[MediaAsset]) -> dict[uuid.UUID, Progress]:
    """What is happening to those of them that wait or are being made. One query, or none."""
    waiting = {asset.pk: asset for asset in assets if asset.generation_state in UNSETTLED}
    if not waiting:
        return {}
    attempts: dict[uuid.UUID, list[GenerationAttempt]] = {pk: [] for pk in waiting}
    rows = GenerationAttempt.objects.filter(asset__in=waiting).order_by("started_at", "position", "id")
    for row in rows.only("asset_id", "provider_name", "state", "position", "started_at"):
        if row.asset_id is not None:
            if row.position == 1:
                attempts[row.asset_id] = []  # another run begins
            attempts[row.asset_id].append(row)
    return {pk: _progress(asset, attempts[pk]) for pk, asset in waiting.items()}


def _progress(asset: MediaAsset, attempts: list[GenerationAttempt]) -> Progress:
    asked = next((row for row in reversed(attempts) if row.state in OPEN), None)
    ended = (row for row in attempts if row.state not in (*OPEN, *DELIVERED, AttemptState.SKIPPED.value))
    given_up = tuple(dict.fromkeys(row.provider_name for row in ended))
    if asset.cancel_requested_at is not None:
        return Progress(_("Being cancelled; what is bought already is waited for"), given_up)
    if asset.generation_state == GenerationState.PENDING:
        return Progress(_waiting(asset), given_up)
    if asked is not None:
        return Progress(_("Asking %(provider)s") % {"provider": asked.provider_name}, given_up, asked.started_at)
    if any(row.state in DELIVERED for row in attempts):
        return Progress(_("Keeping the picture"), given_up)
    return Progress(_("Asking the next provider") if given_up else _("Being made"), given_up)


def _waiting(asset: MediaAsset) -> str:
    if asset.failure:
        return str(told("waiting")["message"])
    # Nobody has touched the row for so long.
    is_long = db_now() - asset.updated_at > USUALLY_BEGUN
    return _("Still waiting for a worker; is one running?") if is_long else _("Waiting to begin")


def rendered(tiles: Iterable[Tile], request: HttpRequest) -> str:
    """Their HTML, for a script to put into the page."""
    return "".join(render_to_string("mediagen/studio/tile.html", {"tile": tile}, request=request) for tile in tiles)
