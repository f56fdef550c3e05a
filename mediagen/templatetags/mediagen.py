"""{% load mediagen %}: assets in words and pictures, for the app's pages, its admin, and a site's own templates."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from django import template
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from mediagen.models import GenerationAttempt, MediaAsset

logger = logging.getLogger("mediagen")

register = template.Library()

ALT_CHARS = 200


@register.filter
def picture_url(asset: MediaAsset) -> str:
    """Where a browser gets the asset's file: from the storage, or from our own view where the storage has no address
    that anybody answers (a site without MEDIA_URL). "" when there is no file, or its storage cannot say."""
    if not asset.file:
        return ""
    storage = asset.file.storage
    if getattr(storage, "base_url", None) != get_script_prefix():
        try:
            return str(asset.file.url)
        except (NotImplementedError, ValueError):
            pass
        except Exception as exc:
            # A bucket that cannot sign now: a list of other things must not fail with it.
            logger.warning("the storage has no address for %s (%s)", asset.file.name, type(exc).__name__)
            return ""
    try:
        return reverse("mediagen:asset-file", args=[asset.pk])
    except NoReverseMatch:  # the site has only our admin
        return ""


@register.filter
def alt(asset: MediaAsset) -> str:
    """What the picture shows: the text somebody wrote for it, else what was asked for."""
    return asset.alt_text or Truncator(asset.prompt or str(asset)).chars(ALT_CHARS)


@register.filter
def usd(value: Any) -> str:
    """$0.03; "not known" for None, which is not nothing."""
    if value is None:
        return _("not known")
    amount = f"{Decimal(value).quantize(Decimal('0.000001')):f}"
    whole, _point, cents = amount.partition(".")
    return f"${whole}.{cents.rstrip('0').ljust(2, '0')}"


@register.filter
def attempt_cost(attempt: GenerationAttempt) -> str:
    """What an attempt cost, in words."""
    if not attempt.billable or attempt.state == "skipped":
        return _("nothing")
    if attempt.cost is not None:
        return usd(attempt.cost)
    if attempt.cost_held is not None and attempt.state != "failed":
        return _("up to %(amount)s") % {"amount": usd(attempt.cost_held)}
    return _("not known")


@register.filter
def seconds(value: float | None) -> str:
    """0.42 s, 12 s; "" for None."""
    if value is None:
        return ""
    return _("%(number)s s") % {"number": f"{value:.2f}" if value < 10 else f"{value:.0f}"}


class NotHonoured(NamedTuple):
    """One line of a fit report: what it is about, and what came of it."""

    what: str
    text: str


@register.filter
def fit_lines(report: Any) -> list[NotHonoured]:
    """A fit report in words. Reports are data of many versions and of other people's providers: nothing is assumed."""
    if not isinstance(report, Mapping):
        return []
    return [NotHonoured(str(what), _fit_text(what, entry)) for what, entry in report.items()]


def _fit_text(what: str, entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return json.dumps(entry, ensure_ascii=False)
    asked, made = _size(entry.get("asked")), _size(entry.get("made"))
    if made:
        text = _("asked %(asked)s, the provider made %(made)s") % {"asked": asked, "made": made}
        action = entry.get("action")
        return f"{text} ({action})" if action else text
    text = _("asked %(asked)s, not honoured") % {"asked": asked or json.dumps(entry.get("asked"), ensure_ascii=False)}
    return f"{text}: {entry['why']}" if entry.get("why") else text


def _size(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) == 2:
        return f"{value[0]}\u00d7{value[1]}"
    return ""


@register.filter
def pretty_json(value: Any) -> str:
    """Indented, in a steady order, with all letters as they are."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)


@register.filter
def first_line(text: str) -> str:
    """The first line, at most 140 characters."""
    return Truncator((text or "").strip().partition("\n")[0]).chars(140)


@register.filter
def why(failure: str) -> str:
    """A failure in one line: itself when it is one, else where to read it."""
    text = (failure or "").strip()
    return _("No provider delivered; open it to see why.") if "\n" in text else first_line(text)
