"""Giving a picture to others: a public address with an end, code for a page, and files in the size that is needed."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.generic import View

from mediagen.engine.files import links, page_picture
from mediagen.engine.library import Right
from mediagen.images import can_write
from mediagen.studio import tiles
from mediagen.studio.library.story import Story
from mediagen.studio.pages import admin_link

DAYS = (1, 7, 30, 90)
WIDTHS = (400, 800, 1600)
FORMATS = ("jpeg", "webp", "png")
DOWNLOAD_S = 3600.0


class ShareView(Story, View):
    """For those who may change the picture: whoever has one of these addresses needs no login."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        asset = self.asset(pk)
        if Right.CHANGE not in tiles.RightsByLibrary(self.access).of(asset):
            return self.handle_no_permission()
        asked = request.GET.get("days", "")
        days = int(asked) if asked in map(str, DAYS) else 0
        context: dict[str, Any] = {"asset": asset, "days": DAYS, "chosen": days, "admin_url": admin_link(asset)}
        if asset.is_ready and asset.file:
            until = timedelta(days=days)
            picture = page_picture(asset)
            context |= {
                "link": self._whole(links.signed_url(asset, expires_s=until.total_seconds())) if days else "",
                "until": timezone.now() + until,
                "code": self._code(picture),
                "files": self._files(asset),
            }
        return render(request, "mediagen/share.html", context)

    def _whole(self, address: str) -> str:
        return self.request.build_absolute_uri(address) if address else ""

    def _code(self, picture: Any) -> str:
        """The <picture> with whole addresses: it is for a page elsewhere."""
        if picture is None:
            return ""
        host = self._whole("/").rstrip("/")
        return str(picture).replace('="/', f'="{host}/').replace(", /", f", {host}/")

    def _files(self, asset: Any) -> list[tuple[str, str]]:
        """(what it is, its address) for each size and format, none enlarged."""
        widths = [width for width in WIDTHS if width < asset.width]
        found = [
            (
                f"{width or asset.width} px, {format.upper()}",
                links.signed_url(asset, expires_s=DOWNLOAD_S, download=True, width=width or asset.width, format=format),
            )
            for width in (*widths, None)
            for format in FORMATS
            if can_write(format)
        ]
        return [(text, address) for text, address in found if address]
