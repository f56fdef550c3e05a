"""Alt texts that a model has suggested: kept apart from those that pages show until a person has said what of them.

Accepting, changing and rejecting are a person's; a text that is there is replaced only by somebody who says so.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from mediagen.engine.library.access import Access, Right
from mediagen.engine.library.review import describe
from mediagen.errors import Conflict, InvalidRequest
from mediagen.models import AltTextState, AssetDescription, DescriptionState, MediaAsset
from mediagen.models.asset import SUGGESTIONS, FailureCode, MediaAssetQuerySet
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.types import checked_text
from mediagen.wording import say as _

LONGEST = 2_000
"""characters of an alt text that somebody accepts"""


def waiting(access: Access) -> MediaAssetQuerySet:
    """The assets that they may change and whose suggestions nobody has answered, the newest first."""
    return access.assets(Right.CHANGE).filter(alt_text_state__in=SUGGESTIONS).order_by("-pk")


def lacking(assets: MediaAssetQuerySet, *, and_unknown: bool = False) -> MediaAssetQuerySet:
    """Those with a picture and neither an alt text nor a suggestion that waits. Not those that somebody asks for just
    now, nor those whose description may have been answered and paid for, unless `and_unknown`: nobody asks for it a
    second time by accident."""
    found = assets.ready().filter(alt_text="", is_placeholder=False).exclude(alt_text_state__in=SUGGESTIONS)
    of_it = AssetDescription.objects.filter(asset=OuterRef("pk"))
    found = found.filter(~Exists(of_it.filter(state=DescriptionState.RUNNING, lease_until__gte=Now())))
    return found if and_unknown else found.filter(~Exists(of_it.filter(failure_code=FailureCode.UNKNOWN)))


def suggest(asset_id: Any, text: str, *, rehearsed: bool) -> bool:
    """Put it beside the alt text; whether it was. A rehearsal's text takes no real suggestion's place. Inside the
    transaction that records the text."""
    assets = MediaAsset.objects.filter(pk=asset_id)
    if rehearsed:
        assets = assets.exclude(alt_text_state=AltTextState.SUGGESTED)
    state = AltTextState.REHEARSED if rehearsed else AltTextState.SUGGESTED
    return bool(assets.update(alt_text_suggestion=text, alt_text_state=state, updated_at=db_now()))


@atomic()
def accept(asset: MediaAsset, by: Any, text: str | None = None, *, replace: bool = False) -> None:
    """Make the suggestion, or what a person has made of it, the alt text. Who may change the asset is asked before.

    `Conflict` when there is none any more, and, unless `replace`, when the asset has another alt text by now: nothing
    that a person wrote is lost without being asked.
    """
    now = MediaAsset.objects.locked().get(pk=asset.pk)
    said = now.alt_text_suggestion if text is None else " ".join(checked_text(text, "alt_text").split())
    if now.alt_text_state not in SUGGESTIONS:
        raise Conflict(_("The suggestion is gone: somebody has answered it, or the text was written by hand."))
    if not said or len(said) > LONGEST:
        raise InvalidRequest(_("Say what the picture shows, in at most 2,000 characters."), field="alt_text")
    if now.alt_text and now.alt_text != said and not replace:
        raise Conflict(_("It has an alt text already. Say that it is to be replaced."))
    now.alt_text = said
    describe(now, {"alt_text"}, by=by)
    _copy(now, asset)


@atomic()
def reject(asset: MediaAsset, by: Any) -> None:
    """The suggestion goes; the alt text stays as it is. `Conflict` when there is none any more."""
    now = MediaAsset.objects.locked().get(pk=asset.pk)
    if now.alt_text_state not in SUGGESTIONS:
        raise Conflict(_("The suggestion is gone: somebody has answered it, or the text was written by hand."))
    now.alt_text_state, now.alt_text_suggestion = AltTextState.REJECTED, ""
    now.save(update_fields=["alt_text_state", "alt_text_suggestion", "updated_at"])
    answered(now, by)
    _copy(now, asset)


def latest(assets: Any) -> dict[Any, AssetDescription]:
    """The description behind each asset's suggestion, by asset. One query."""
    rows = AssetDescription.objects.filter(asset__in=assets, state=DescriptionState.READY, answer="")
    return {row.asset_id: row for row in rows.order_by("pk")}


def answered(asset: MediaAsset, by: Any) -> None:
    """Note at what was suggested for it what a person made of it."""
    rows = AssetDescription.objects.filter(asset=asset, state=DescriptionState.READY, answer="")
    rows.update(answer=asset.alt_text_state, answered_by=getattr(by, "pk", by), updated_at=db_now())


def _copy(source: MediaAsset, target: MediaAsset) -> None:
    for name in ("alt_text", "alt_text_state", "alt_text_suggestion"):
        setattr(target, name, getattr(source, name))
