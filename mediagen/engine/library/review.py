"""What people do to an asset after it was made: describe it, approve, publish, archive and restore it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from mediagen.errors import InvalidRequest
from mediagen.models import (
    AltTextState,
    AssetDescription,
    DescriptionState,
    GenerationState,
    LabelRule,
    MediaAsset,
    MediaTag,
    ReviewStatus,
)
from mediagen.models.asset import SUGGESTIONS
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.wording import say as _

DESCRIPTIVE = frozenset(
    {
        *("name", "description", "alt_text", "credit", "licence", "expires_on", "rating"),
        *("ai_label", "ai_label_reason", "focal_x", "focal_y"),
    }
)
"""what people may write; everything else of an asset is known from its generation"""

MAX_AT_ONCE = 1000
"""assets in one call: each is one line in the history as well"""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the review: where it leads, and from where it may be taken."""

    target: ReviewStatus
    sources: frozenset[ReviewStatus]
    needs_picture: bool = False


# Whoever may approve may publish, so a draft can be published at once: a gate with one keeper is none.
STEPS: Mapping[str, Step] = {
    "approve": Step(ReviewStatus.APPROVED, frozenset({ReviewStatus.DRAFT}), needs_picture=True),
    "publish": Step(ReviewStatus.PUBLISHED, frozenset({ReviewStatus.DRAFT, ReviewStatus.APPROVED}), needs_picture=True),
    "archive": Step(
        ReviewStatus.ARCHIVED, frozenset({ReviewStatus.DRAFT, ReviewStatus.APPROVED, ReviewStatus.PUBLISHED})
    ),
    "restore": Step(ReviewStatus.DRAFT, frozenset({ReviewStatus.ARCHIVED})),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What a step did: the assets that took it, and how many could not."""

    changed: tuple[uuid.UUID, ...]
    placeholders: int
    """of the changed ones"""
    without_picture: int
    elsewhere: int
    """not in a status from which the step leads on"""
    without_alt_text: int = 0
    """in a library that wants one before it is published"""


def review(asset_ids: Iterable[Any], step: str, *, by: Any, notes: str = "") -> Reviewed:
    """Take a step with each asset that can take it, and keep who did it and when. One transaction, two queries,
    and one more to publish.

    `step` is a name in `STEPS`; `by` a user; `notes` replace the earlier ones when given. Those that cannot take the
    step are left as they are and counted. Whether `by` may change them is asked before, at the edge.
    `InvalidRequest` for an unknown step and for more than 1,000 assets.
    """
    if step not in STEPS:
        raise InvalidRequest(
            _("There is no review step %(step)s. There are: %(steps)s.", step=f"{step!r:.40}", steps=", ".join(STEPS)),
            field="step",
        )
    ids = bounded(asset_ids)
    to = STEPS[step]
    with atomic():
        # Locked in one order, so that two reviewers of the same assets do not wait for each other.
        rows = list(
            MediaAsset.objects.select_for_update()
            .filter(pk__in=ids)
            .order_by("pk")
            .values_list("pk", "status", "generation_state", "is_placeholder")
        )
        allowed = [row for row in rows if row[1] in to.sources]
        able = [row for row in allowed if row[2] == GenerationState.READY or not to.needs_picture]
        bare = set(_without_alt_text(row[0] for row in able)) if step == "publish" else set()
        able = [row for row in able if row[0] not in bare]
        changed = tuple(row[0] for row in able)
        now = db_now()
        values: dict[str, Any] = {"status": to.target, "reviewed_by": by, "reviewed_at": now, "updated_at": now}
        if notes:
            values["review_notes"] = notes
        # Said again in the statement: SQLite has no row locks.
        still = Q(status__in=to.sources)
        MediaAsset.objects.filter(still, pk__in=changed).update(**values)
    return Reviewed(
        changed=changed,
        placeholders=sum(row[3] for row in able),
        without_picture=len(allowed) - len(able) - len(bare),
        without_alt_text=len(bare),
        elsewhere=len(rows) - len(allowed),
    )


def _without_alt_text(ids: Iterable[Any]) -> Iterable[Any]:
    """Those that lack the alt text that their library wants. Not joined above: libraries are not locked."""
    wanting = MediaAsset.objects.filter(pk__in=list(ids), library__alt_text_required=True, alt_text="")
    return wanting.values_list("pk", flat=True)


def describe(asset: MediaAsset, fields: Collection[str], *, by: Any = None) -> None:
    """Write what a person (`by`) has changed on `asset`: these fields, and no other.

    An alt text that somebody writes answers the suggestion that waited for one.

    A worker may fill the row meanwhile; a save of the whole row would undo that. `InvalidRequest` for a field that
    is not for people to write, and for a label that is hidden without a reason.
    """
    if foreign := sorted(set(fields) - DESCRIPTIVE):
        raise InvalidRequest(
            _("%(foreign)s cannot be edited: it is known from the generation.", foreign=", ".join(foreign))
        )
    if asset.ai_label == LabelRule.HIDE and not asset.ai_label_reason.strip():
        raise InvalidRequest(_("Say why pages show no label."), field="ai_label_reason")
    if "alt_text" in fields:
        answer_suggestion(asset, by)
    if fields:
        asset.save(update_fields=[*sorted(fields), "updated_at"])


def answer_suggestion(asset: MediaAsset, by: Any) -> None:
    """Before an alt text that a person wrote is saved: what became of what a model had suggested for it."""
    found = MediaAsset.objects.filter(pk=asset.pk).values_list("alt_text_state", "alt_text_suggestion").first()
    state, suggestion = found or ("", "")
    if state in SUGGESTIONS and asset.alt_text:
        state = AltTextState.ACCEPTED if asset.alt_text == suggestion else AltTextState.CHANGED
        rows = AssetDescription.objects.filter(asset=asset, state=DescriptionState.READY, answer="")
        rows.update(answer=state, answered_by=getattr(by, "pk", by), updated_at=db_now())
    elif state in (AltTextState.ACCEPTED, AltTextState.CHANGED):
        state = AltTextState.CHANGED if asset.alt_text else ""
    else:
        return
    asset.alt_text_state, asset.alt_text_suggestion = state, ""
    MediaAsset.objects.filter(pk=asset.pk).update(alt_text_state=state, alt_text_suggestion="")


def change_tags(tags: Any, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
    """Add and remove tags by name, whatever their case; others that the row has meanwhile stay.

    `tags` is the relation: `asset.tags`, `library.default_tags`. `InvalidRequest` for what cannot be a tag.
    """
    with atomic():
        tags.remove(*tags.filter(key__in=[name.casefold() for name in MediaTag.objects.clean_names(remove)]))
        tags.add(*MediaTag.objects.ensure(add))


def bounded(asset_ids: Iterable[Any]) -> list[Any]:
    """Each id once. `InvalidRequest` for more than one call may take."""
    ids = list(dict.fromkeys(asset_ids))
    if len(ids) > MAX_AT_ONCE:
        raise InvalidRequest(
            _(
                "%(number)s assets are too many at once. Take at most %(max_at_once)s.",
                number=f"{len(ids):,}",
                max_at_once=f"{MAX_AT_ONCE:,}",
            )
        )
    return ids
