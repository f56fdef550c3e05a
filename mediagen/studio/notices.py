"""What was done, said on the page that follows. In the address, because a site need not have Django's messages."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from mediagen.engine.files import hint
from mediagen.engine.library import Access, Right
from mediagen.models import MediaAsset, ReviewStatus

TEXTS = {
    "again": _("It will be made again."),
    "renew": _("It will be made again. The placeholder stays until then."),
    "another": _("Another one is being made."),
    "approve": _("Approved."),
    "publish": _("Published."),
    "archive": _("Archived."),
    "restore": _("A draft again."),
    "delete": _("Deleted."),
    "undelete": _("It is back."),
    "work": _("A new version. What it was made of stays as it is."),
    "focus": _("Kept."),
    "pick": _("Picked."),
    "rate": _("Rated."),
    "describe": _("Saved."),
    "variants": _("The variants are here."),
    "upload": _("Uploaded."),
    "alike": _("Uploaded."),
    "figma": _("On its way to Figma."),
    "canva": _("On its way to Canva."),
    "many": _("Done."),
    "style": _("Kept."),
    "kept": _("Kept. It is offered in the prompt box."),
    "unkept": _("Deleted."),
    "uncollect": _("The collection is deleted. Its pictures stay."),
    "cancel": _("Cancelled."),
    "suggested": _("A suggestion is there. Accept it, change it or reject it."),
    "accepted": _("It is the alt text now."),
    "rejected": _("The suggestion is gone."),
}


@dataclass(frozen=True, slots=True)
class Notice:
    text: Any
    undo: MediaAsset | None = None
    """a deleted asset that this person may have back"""


def notice(query: Mapping[str, str], access: Access) -> Notice | None:
    """What `?said=...&about=...` says; None for nothing and for what we never say."""
    said = query.get("said", "")
    if said not in TEXTS:
        return None
    undo = None
    if said in ("delete", "alike"):
        try:
            pk = uuid.UUID(query.get("about", ""))
        except ValueError:
            return Notice(TEXTS[said])
        if said == "alike":
            among = access.assets()
            asset = among.filter(pk=pk).first()
            return Notice(f"{TEXTS[said]} {hint(asset, among) if asset else ''}".strip())
        undo = access.all_assets(Right.DELETE).filter(pk=pk, status=ReviewStatus.DELETED).first()
    return Notice(TEXTS[said], undo)
