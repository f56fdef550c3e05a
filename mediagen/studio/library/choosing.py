"""Choosing among pictures: rated, one picked and the others put away."""

from __future__ import annotations

import uuid
from typing import Any

from django.http.request import QueryDict
from django.utils.translation import gettext as _

from mediagen.engine.library import Access, Right, review
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset, ReviewStatus
from mediagen.models.asset import MediaAssetQuerySet

MOST = 4
"""side by side"""
STARS = range(1, 6)


def others(asset: MediaAsset) -> MediaAssetQuerySet:
    """The other candidates of the request that it came by, in its library, the newest first."""
    if asset.generation_id is None:
        return MediaAsset.objects.none()
    of_request = MediaAsset.objects.kept().filter(generation_id=asset.generation_id, library=asset.library_id)
    return of_request.exclude(pk=asset.pk).order_by("-pk")


def rate(asset: MediaAsset, said: QueryDict) -> None:
    """1 to 5, or none. `InvalidRequest` for anything else."""
    text = said.get("rating", "")
    if text not in ("", *map(str, STARS)):
        raise InvalidRequest(_("A rating is 1 to 5."), field="rating")
    asset.rating = int(text) if text else None
    review.describe(asset, {"rating"})


def pick(asset: MediaAsset, user: Any, said: QueryDict) -> tuple[uuid.UUID, ...]:
    """Approve it and archive the drafts beside it: those that `among` names, else the others of its request. The ids of
    what was archived."""
    among = others(asset)
    if named := said.getlist("among"):
        try:
            wanted = [uuid.UUID(each) for each in named[:MOST]]
        except ValueError:
            raise InvalidRequest(_("These are no assets.")) from None
        among = Access(user).assets(Right.APPROVE).filter(pk__in=wanted).exclude(pk=asset.pk)
    if asset.status == ReviewStatus.DRAFT:
        review.review([asset.pk], "approve", by=user)
    drafts = among.filter(status=ReviewStatus.DRAFT, generation_state="ready")
    return review.review(list(drafts.values_list("pk", flat=True)), "archive", by=user).changed
