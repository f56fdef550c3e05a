"""What people can do with an asset in the studio, when, and with which right."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.http.request import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mediagen.engine import get_media_engine
from mediagen.engine.files import make_variants
from mediagen.engine.generation import queue
from mediagen.engine.library import STEPS, Right, cancelling, review, trash
from mediagen.engine.work import work_soon
from mediagen.errors import AssetInUse, InvalidRequest
from mediagen.models import AssetSource, MediaAsset, ReviewStatus
from mediagen.models.asset import ON_REQUEST
from mediagen.studio import tiles
from mediagen.studio.generation import words
from mediagen.studio.library import choosing
from mediagen.studio.library.describing import DescribeForm
from mediagen.types import uuid7


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an action."""

    made: tuple[MediaAsset, ...] = ()
    """new assets, to be shown"""
    is_gone: bool = False
    """the asset is no longer to be seen"""
    archived: tuple[uuid.UUID, ...] = ()
    """others that were put away with it"""


@dataclass(frozen=True, slots=True)
class Action:
    """`do(asset, user, what the form said)` raises `MediagenError` with a reason that people understand."""

    name: str
    label: Any
    right: Right
    fits: Callable[[MediaAsset], bool]
    do: Callable[[MediaAsset, Any, QueryDict], Done]
    is_main: bool = False
    """the thing most people want to do with such an asset"""
    is_grave: bool = False
    form: str = ""
    """template of what it asks, for an action that cannot be done without"""
    is_section: bool = False
    """asks on the panel itself, and not below a button"""
    verb: Any = ""
    """on the button below it"""

    @property
    def icon(self) -> str:
        """The template of its picture."""
        return f"mediagen/studio/icons/{self.name}.svg"


# ---------------------------------------------------------------------- doing


def _again(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    queue.enqueue_again(asset.pk)
    work_soon([asset.pk])
    return Done()


def _another(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    # One page, one click, one picture: whoever sends the same form twice gets the same asset.
    [made] = queue.enqueue_together([queue.another(asset, by=user, generation_id=_token(said, user))])
    work_soon([made.pk])
    return Done(made=(made,))


def _token(said: QueryDict, user: Any) -> uuid.UUID:
    try:
        return uuid.uuid5(uuid.UUID(said.get("token", "")), str(user.pk))
    except ValueError:
        return uuid7()


def _step(step: str) -> Callable[[MediaAsset, Any, QueryDict], Done]:
    def take(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
        done = review.review([asset.pk], step, by=user)
        if done.without_alt_text:
            raise InvalidRequest(_("Write first what the picture shows (alt text): its library asks for it."))
        if not done.changed:
            raise InvalidRequest(_("It is not in a state for that any more. Load the page again."))
        return Done()

    return take


def _describe(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    DescribeForm(asset, said).save()
    return Done()


def _rate(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    choosing.rate(asset, said)
    return Done()


def _pick(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    return Done(archived=choosing.pick(asset, user, said))


def _cancel(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    if cancelling.cancel([asset.pk]).over:
        raise InvalidRequest(_("It was too late: its end had come already."))
    return Done()


def _variants(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    sizes = [*said.getlist("sizes"), *said.get("own_sizes", "").replace(",", " ").split()]
    if not sizes:
        raise InvalidRequest(_("Choose a size, or write one such as 1200x630."))
    return Done(made=tuple(make_variants(asset, sizes, user)))


def _keep_style(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    words.keep_style(asset, user, said)
    return Done()


def _to_figma(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    engine = get_media_engine()
    engine.export_to_figma_sync(
        asset.pk, said.get("file_key", ""), said.get("page_id", "") or None, comment="comment" in said, by=user
    )
    return Done()


def _to_canva(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    get_media_engine().enqueue_export_to_canva_sync(
        asset.pk, title=said.get("title") or None, create_design="create_design" in said, by=user
    )
    return Done()


def _delete(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    try:
        trash.delete([asset.pk], user, even_if_used="even_if_used" in said)
    except AssetInUse as exc:
        places = ", ".join(dict.fromkeys(place for of_one in exc.used.values() for place in of_one))
        raise InvalidRequest(
            _("It is in use: %(places)s. End the usage first, or delete it in the admin.") % {"places": places}
        ) from None
    return Done(is_gone=True)


def _undelete(asset: MediaAsset, user: Any, said: QueryDict) -> Done:
    trash.undelete([asset.pk], user)
    return Done()


# ---------------------------------------------------------------------- which, and when


def _has_failed(asset: MediaAsset) -> bool:
    return asset.generation_state in ON_REQUEST and asset.has_order


def _takes(step: str) -> Callable[[MediaAsset], bool]:
    to = STEPS[step]
    return lambda asset: asset.status in to.sources and (asset.is_ready or not to.needs_picture)


def is_deleted(asset: MediaAsset) -> bool:
    return asset.status == ReviewStatus.DELETED


PICKABLE = (ReviewStatus.DRAFT, ReviewStatus.APPROVED, ReviewStatus.PUBLISHED)


def _may_be_picked(asset: MediaAsset) -> bool:
    return asset.is_ready and asset.status in PICKABLE


def _is_kept(asset: MediaAsset) -> bool:
    return not is_deleted(asset)


ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        Action("again", gettext_lazy("Try again"), Right.GENERATE, _has_failed, _again, is_main=True),
        Action(
            "another",
            gettext_lazy("Make another"),
            Right.GENERATE,
            lambda asset: asset.is_ready and bool(asset.prompt) and asset.source != AssetSource.VARIANT,
            _another,
            is_main=True,
        ),
        Action(
            "renew",
            gettext_lazy("Replace the placeholder"),
            Right.GENERATE,
            lambda asset: asset.awaits_its_picture and asset.has_order,
            _again,
        ),
        Action("approve", gettext_lazy("Approve"), Right.APPROVE, _takes("approve"), _step("approve")),
        Action("publish", gettext_lazy("Publish"), Right.APPROVE, _takes("publish"), _step("publish")),
        Action("archive", gettext_lazy("Archive"), Right.APPROVE, _takes("archive"), _step("archive")),
        Action("restore", gettext_lazy("Restore as draft"), Right.APPROVE, _takes("restore"), _step("restore")),
        Action("pick", gettext_lazy("Use this one"), Right.APPROVE, _may_be_picked, _pick, is_section=True),
        Action("rate", gettext_lazy("Rate"), Right.CHANGE, lambda asset: asset.is_ready, _rate, is_section=True),
        Action("describe", gettext_lazy("Describe"), Right.CHANGE, _is_kept, _describe, is_section=True),
        Action(
            "variants",
            gettext_lazy("Other sizes"),
            Right.GENERATE,
            lambda asset: asset.is_ready,
            _variants,
            form="mediagen/studio/forms/variants.html",
            verb=gettext_lazy("Make these sizes"),
        ),
        Action(
            "style",
            gettext_lazy("Keep its words"),
            Right.CHANGE,
            lambda asset: asset.is_ready and bool(asset.prompt),
            _keep_style,
            form="mediagen/studio/forms/style.html",
            verb=gettext_lazy("Keep"),
        ),
        Action(
            "figma",
            gettext_lazy("To Figma"),
            Right.CHANGE,
            lambda asset: asset.is_ready,
            _to_figma,
            form="mediagen/studio/forms/figma.html",
            verb=gettext_lazy("Send to Figma"),
        ),
        Action(
            "canva",
            gettext_lazy("To Canva"),
            Right.CHANGE,
            lambda asset: asset.is_ready,
            _to_canva,
            form="mediagen/studio/forms/canva.html",
            verb=gettext_lazy("Send to Canva"),
        ),
        Action(
            "cancel",
            gettext_lazy("Cancel"),
            Right.GENERATE,
            lambda asset: asset.generation_state in tiles.UNSETTLED and asset.cancel_requested_at is None,
            _cancel,
        ),
        Action("delete", gettext_lazy("Delete"), Right.DELETE, _is_kept, _delete, is_grave=True),
        Action("undelete", gettext_lazy("Undo"), Right.DELETE, is_deleted, _undelete),
    )
}


def possible(asset: MediaAsset, rights: Collection[Right]) -> list[Action]:
    """Those that can be done with this asset by somebody with these rights in its library."""
    return [action for action in ACTIONS.values() if action.right in rights and action.fits(asset)]
