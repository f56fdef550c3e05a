"""The story of one asset: the picture, what was asked, who was asked, and what one may do with it now."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.generic import TemplateView, View

from mediagen.engine.files import similar_to
from mediagen.engine.library import Access, Right
from mediagen.models import AssetExport, GenerationAttempt, MediaAsset
from mediagen.models.asset import MediaAssetQuerySet
from mediagen.models.costs import NOTHING, Cost
from mediagen.studio import notices, tiles
from mediagen.studio.library import actions, choosing
from mediagen.studio.library.alt_texts import suggestion_of
from mediagen.studio.library.describing import DescribeForm
from mediagen.studio.pages import StudioPage, admin_link

MAX_EXPORTS = 10
MAX_CANDIDATES = 9
MAX_ALIKE = 6


class Story(StudioPage):
    def assets(self) -> MediaAssetQuerySet:
        return super().assets().select_related("created_by", "reviewed_by", "original").prefetch_related("tags")


class AssetView(Story, TemplateView):
    """A page of its own: what "copy link" gives, and where everything can be done without JavaScript."""

    template_name = "mediagen/asset.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        told = story(self.asset(kwargs["pk"]), self.access)
        notice = notices.notice(self.request.GET, self.access)
        return super().get_context_data(**{**kwargs, **told}, notice=notice, admin_url=admin_link(told["asset"]))


class StoryView(Story, View):
    """The same without a page around it, for the lightbox."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        return HttpResponse(rendered(self.asset(pk), self.access, request))


def story(asset: MediaAsset, access: Access) -> dict[str, Any]:
    """What the templates need. Few queries, however long the story is."""
    [tile] = tiles.tiles_of([asset], access)
    seen = access.assets(Right.READ).only("name", "prompt")
    attempts = list(GenerationAttempt.objects.of(asset))
    can = actions.possible(asset, tile.rights)
    return {
        "asset": asset,
        "tile": tile,
        "attempts": attempts,
        "cost": sum(map(Cost.of, attempts), NOTHING),
        "actions": [action for action in can if not action.is_section],
        "describe": DescribeForm(asset) if any(action.name == "describe" for action in can) else None,
        "suggestion": suggestion_of(asset, access, tile.rights),
        "may_edit": bool(asset.prompt) and Right.GENERATE in tile.rights,
        "may_work": asset.is_ready and Right.GENERATE in tile.rights,
        "may_share": asset.is_ready and Right.CHANGE in tile.rights,
        "exports": list(AssetExport.objects.filter(asset=asset)[:MAX_EXPORTS]),
        # Of the form that makes another: sent twice, it makes one.
        "token": uuid.uuid4(),
        "parent": seen.filter(pk=asset.parent_id).first() if asset.parent_id else None,
        "candidates": list(choosing.others(asset)[:MAX_CANDIDATES]),
        "may_pick": any(action.name == "pick" for action in can),
        "may_rate": any(action.name == "rate" for action in can),
        "stars": choosing.STARS,
        "alike": [other for other, _bits in similar_to(asset, access.assets(), most=MAX_ALIKE)],
        "has_children": seen.filter(parent=asset).exists(),
    }


def rendered(asset: MediaAsset, access: Access, request: HttpRequest) -> str:
    return render_to_string("mediagen/studio/story.html", story(asset, access), request=request)
