"""Two to four pictures side by side."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.http import Http404
from django.utils.translation import gettext as _
from django.views.generic import TemplateView

from mediagen.engine.library import Right
from mediagen.studio import notices, tiles
from mediagen.studio.library import actions
from mediagen.studio.library.choosing import MOST, STARS
from mediagen.studio.library.story import Story
from mediagen.studio.pages import admin_link


class CompareView(Story, TemplateView):
    """`?id=...&id=...`: two to four pictures side by side. Two of them can be laid over each other."""

    template_name = "mediagen/compare.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        try:
            wanted = list(dict.fromkeys(uuid.UUID(each) for each in self.request.GET.getlist("id")))
        except ValueError:
            raise Http404("These are no assets.") from None
        found = self.assets().in_bulk(wanted[: MOST + 1])
        shown = tiles.tiles_of([found[pk] for pk in wanted if pk in found], self.access)
        problem = "" if 2 <= len(wanted) <= MOST else _("Choose two to four pictures.")
        return super().get_context_data(
            **kwargs,
            candidates=[] if problem else [Candidate(tile) for tile in shown],
            ids=[tile.asset.pk for tile in shown],
            here=f"{self.request.path}?{urlencode([('id', tile.asset.pk) for tile in shown])}",
            problem=problem,
            stars=STARS,
            notice=notices.notice(self.request.GET, self.access),
            admin_url=admin_link(),
        )


class Candidate:
    """One of them, with what this person may do to it here."""

    def __init__(self, tile: tiles.Tile) -> None:
        self.asset = tile.asset
        can = {action.name for action in actions.possible(tile.asset, tile.rights)}
        self.may_rate = "rate" in can
        self.may_pick = Right.APPROVE in tile.rights and tile.asset.status in actions.PICKABLE and tile.asset.is_ready
