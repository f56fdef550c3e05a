"""{% load mediagen %}: assets in words and pictures, for the app's pages, its admin, and a site's own templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.text import Truncator
from django.utils.translation import get_language, get_language_bidi, gettext_lazy
from django.utils.translation import gettext as _

from mediagen import pictures
from mediagen.engine.files import download_name, picture_url, thumbnail_url
from mediagen.engine.generation import told
from mediagen.engine.library import Limits
from mediagen.models import Alert, GenerationAttempt, MediaAsset
from mediagen.models.asset import FailureCode
from mediagen.models.costs import Cost

register = template.Library()

ALT_CHARS = 200
LEFT_TO_RIGHT = "\u200e"


__all__ = ["download_name", "picture_url", "thumbnail_url"]
register.filter(picture_url)
register.filter(thumbnail_url)
register.filter(download_name)
register.simple_tag(pictures.picture)
register.simple_tag(pictures.picture_src)
register.simple_tag(pictures.ai_label)
register.simple_tag(pictures.credit)


@register.inclusion_tag("mediagen/fields/picker.html")
def picture_chooser(**limits: Any) -> dict[str, Any]:
    """The chooser for an editor of rich text, which the page's own script opens; limits as of `MediaAssetField`."""
    query = urlencode(Limits.checked(**limits).query)
    return {"url": reverse("mediagen:chooser") + (f"?{query}" if query else "")}


@register.filter
def alt(asset: MediaAsset) -> str:
    """What the picture shows: the text somebody wrote for it, else what was asked for."""
    return asset.shown_alt_text or Truncator(asset.prompt or str(asset)).chars(ALT_CHARS)


@register.filter
def usd(value: Any) -> str:
    """$0.03; "not known" for None, which is not nothing."""
    if value is None:
        return _("not known")
    amount = f"{Decimal(value).quantize(Decimal('0.000001')):f}"
    whole, _point, cents = amount.partition(".")
    return f"${whole}.{cents.rstrip('0').ljust(2, '0')}"


@register.filter
def percent(share: float | None) -> str:
    """1.25 %; "-" for None."""
    return "-" if share is None else _("%(number)s %%") % {"number": f"{share * 100:.2f}"}


@register.filter
def usd_cents(value: Any) -> str:
    """As `usd`, a mean: cents from a dollar up, else four digits."""
    return usd(value if value is None else round(Decimal(value), 2 if abs(value) >= 1 else 4))


@register.filter
def cost_text(cost: Cost) -> str:
    """ "$0.60 and up to $0.04 more": what was billed, and what may have been."""
    return cost.in_words(usd)


@register.filter
def cost_beside(cost: Cost) -> str:
    """ "and up to $0.04 more and 2 of unknown cost": what may have been billed beside; "" when all is known."""
    return cost.beside(usd)


@register.filter
def attempt_cost(attempt: GenerationAttempt) -> str:
    """What an attempt cost, in words."""
    if not attempt.billable or attempt.state == "skipped":
        return _("nothing")
    if attempt.finished_at is None and attempt.cost is None and attempt.cost_held is not None:
        return _("up to %(amount)s") % {"amount": usd(attempt.cost_held)}
    cost = Cost.of(attempt)
    if cost.without_price:
        return _("not known")
    return cost.in_words(usd) if attempt.cost is not None or cost.unsettled else _("nothing known")


@register.filter
def seconds(value: float | None) -> str:
    """0.42 s, 12 s; "" for None."""
    if value is None:
        return ""
    return _("%(number)s s") % {"number": f"{value:.2f}" if value < 10 else f"{value:.0f}"}


@register.filter
def duration(value: float | None) -> str:
    """12 s, 7 min, 3 h 20 min; "" for None."""
    if value is None or value < 60:
        return seconds(value)
    minutes = round(value / 60)
    if minutes < 60:
        return _("%(number)s min") % {"number": minutes}
    return _("%(hours)s h %(minutes)s min") % {"hours": minutes // 60, "minutes": minutes % 60}


@register.filter
def rate(share: float | None) -> str:
    """98 %, 99.7 %; "" for None. 100 % is all of them, 0 % none."""
    if share is None:
        return ""
    hundredths = share * 100
    text = f"{hundredths:.0f}" if share in (0, 1) or 1 <= hundredths < 99 else f"{hundredths:.1f}"
    if text in ("100.0", "0.0") and share not in (0, 1):
        text = "> 99.9" if share > 0.5 else "< 0.1"
    return _("%(number)s %%") % {"number": text}


@register.filter
def outcome_text(outcome: str) -> str:
    """An outcome class in words."""
    return {
        "succeeded": _("delivered"),
        "unavailable": _("not available"),
        "unknown": _("outcome unknown"),
        "rate_limited": _("rate limited"),
        "misconfigured": _("not set up right"),
        "refused": _("refused"),
        "unsupported": _("cannot do it"),
        "bad_response": _("unusable answer"),
        "skipped": _("skipped"),
        "error": _("error"),
        "": _("under way"),
    }.get(outcome, outcome)


class NotHonoured(NamedTuple):
    """One line of a fit report: what it is about, and what came of it."""

    what: str
    text: str


@register.filter
def signed_text(credentials: Any) -> str:
    """What came signed with a picture, in words; "" for nothing."""
    if not isinstance(credentials, Mapping) or not credentials:
        return ""
    signer, generator = str(credentials.get("signer") or ""), str(credentials.get("generator") or "")
    said = [
        _("signed by %(signer)s") % {"signer": signer} if signer else _("signed"),
        {
            "valid": _("valid: it came as it was signed"),
            "invalid": _("not valid: it was changed since, or the signature is none"),
        }.get(str(credentials.get("validation")), _("not checked")),
    ]
    if generator:
        said.append(_("made with %(program)s") % {"program": generator})
    return "; ".join(said)


@register.filter
def fit_lines(report: Any) -> list[NotHonoured]:
    """A fit report in words. Reports are data of many versions and of other people's providers: nothing is assumed."""
    if not isinstance(report, Mapping):
        return []
    return [NotHonoured(in_words(str(what)), _fit_text(what, entry)) for what, entry in report.items()]


def _fit_text(what: str, entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return json.dumps(entry, ensure_ascii=False)
    if "asked" not in entry and entry.get("why") and not isinstance(entry.get("made"), list):
        return ": ".join(str(part) for part in (entry["why"], entry.get("made")) if part)
    asked, made = _size(entry.get("asked")), _size(entry.get("made"))
    if made:
        text = _("asked %(asked)s, the provider made %(made)s") % {"asked": asked, "made": made}
        action = str(entry.get("action") or "")
        done = {
            "resized": _("scaled to what was asked"),
            "resized_cropped": _("scaled, and its edges cut, to what was asked"),
            "kept": _("kept as it was made"),
        }.get(action, action)
        text = f"{text} ({done})" if done else text
        return f"{text}: {entry['why']}" if entry.get("why") else text
    text = _("asked %(asked)s, not honoured") % {"asked": asked or json.dumps(entry.get("asked"), ensure_ascii=False)}
    return f"{text}: {entry['why']}" if entry.get("why") else text


def _size(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) == 2 and all(value):
        # Between Arabic words two numbers would change places.
        return f"{LEFT_TO_RIGHT if get_language_bidi() else ''}{value[0]}\u00d7{value[1]}"
    return ""


WORDS = {
    "cfg_scale": gettext_lazy("How closely to follow the prompt"),
    "guidance_scale": gettext_lazy("How closely to follow the prompt"),
    "guidance": gettext_lazy("How closely to follow the prompt"),
    "num_inference_steps": gettext_lazy("Steps"),
    "clip_guidance_preset": gettext_lazy("Guidance"),
    "output_format": gettext_lazy("File format"),
    "output_compression": gettext_lazy("Compression"),
    "prompt_upsampling": gettext_lazy("Rewrite the prompt"),
    "raw": gettext_lazy("Less processed"),
    "grounding": gettext_lazy("Look it up on the web"),
    "high_noise_frac": gettext_lazy("Share of the first model"),
    "refine": gettext_lazy("Second model"),
    "apply_watermark": gettext_lazy("Invisible mark"),
    "safety_identifier": gettext_lazy("Sign of the end user"),
    "size": gettext_lazy("Size"),
    "seed": gettext_lazy("Seed"),
    "negative_prompt": gettext_lazy("Not in the picture"),
    "background": gettext_lazy("Background"),
    "creativity": gettext_lazy("Creativity"),
    "erase": gettext_lazy("Erase"),
    "grow_mask": gettext_lazy("Grow mask"),
    "input_fidelity": gettext_lazy("Input fidelity"),
    "lora_scale": gettext_lazy("Lora scale"),
    "moderation": gettext_lazy("Moderation"),
    "quality": gettext_lazy("Quality"),
    "refine_steps": gettext_lazy("Refine steps"),
    "safety_tolerance": gettext_lazy("Safety tolerance"),
    "sampler": gettext_lazy("Sampler"),
    "scheduler": gettext_lazy("Scheduler"),
    "search_prompt": gettext_lazy("Search prompt"),
    "select_prompt": gettext_lazy("Select prompt"),
    "steps": gettext_lazy("Steps"),
    "strength": gettext_lazy("Strength"),
    "style_preset": gettext_lazy("Style preset"),
    "thinking": gettext_lazy("Thinking"),
    "upscaler": gettext_lazy("Upscaler"),
}


@register.filter
def in_words(name: str) -> str:
    """The name of an option, or of a line in a fit report, as people say it."""
    name = name.removeprefix("options.")
    return str(WORDS.get(name) or name.replace("_", " ").capitalize())


@register.filter
def asked_lines(asset: MediaAsset) -> list[NotHonoured]:
    """What was asked beside the prompt, in words."""
    asked = asset.parameters if isinstance(asset.parameters, Mapping) else {}
    lines = []
    if size := _size([asked.get("width"), asked.get("height")]):
        lines.append(NotHonoured(_("Size"), size))
    if asked.get("providers"):
        lines.append(NotHonoured(_("Only asked"), ", ".join(map(str, asked["providers"]))))
    if asked.get("made_with"):
        lines.append(NotHonoured(_("Made with"), str(asked["made_with"])[:200]))
    if asked.get("style"):
        lines.append(NotHonoured(_("Style"), str(asked["style"])[:200]))
    options = asked.get("options")
    for name, value in options.items() if isinstance(options, Mapping) else ():
        said = (_("yes") if value else _("no")) if isinstance(value, bool) else str(value)
        lines.append(NotHonoured(in_words(str(name)), Truncator(said).chars(200)))
    return lines


@register.filter
def pretty_json(value: Any) -> str:
    """Indented, in a steady order, with all letters as they are."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)


@register.filter
def first_line(text: str) -> str:
    """The first line, at most 140 characters."""
    return Truncator((text or "").strip().partition("\n")[0]).chars(140)


@register.filter
def why(asset: MediaAsset) -> str:
    """Why there is no picture, in words that people understand, and what they can do; "" where nothing is wrong."""
    if not asset.failed_for:
        return ""
    is_english = (get_language() or "en").startswith("en")  # what rows keep is
    if asset.failed_for == FailureCode.BUDGET and is_english and (reason := _first_reason(asset.failure)):
        return reason  # it says whose budget, how much is left and when the next period begins
    said = told(asset.failed_for)
    return f"{said['message']} {said['hint']}".strip()


def _first_reason(failure: str) -> str:
    return failure.partition("\n")[0].partition(" attempt(s): ")[2]


@register.filter
def unlocalized(value: float) -> str:
    """A number as HTML wants it, in whichever language."""
    return f"{value:g}"


ALERTS_SHOWN = 3


@register.inclusion_tag("mediagen/_alerts.html", takes_context=True)
def mediagen_alerts(context: Any) -> dict[str, Any]:
    """A strip of what needs somebody, for those who may see alerts; nothing for others, and when nothing does. One
    query."""
    user = getattr(context.get("request"), "user", None)
    if user is None or not user.has_perm("mediagen.view_alert"):
        return {"alerts": ()}
    found = list(Alert.objects.open())
    try:
        address = reverse("admin:mediagen_alert_changelist") + "?state=open" if user.is_staff else ""
    except NoReverseMatch:  # a site without the admin
        address = ""
    return {"alerts": found[:ALERTS_SHOWN], "more": max(0, len(found) - ALERTS_SHOWN), "address": address}


@register.inclusion_tag("mediagen/admin/_first_run.html", takes_context=True)
def mediagen_first_run(context: Any) -> dict[str, Any]:
    """The way to the page that sets the providers up, for those who may change them, while none makes real pictures.
    One query; none on the list of providers, which knows their states."""
    from mediagen.engine.insight import makes_real_pictures

    user = getattr(context.get("request"), "user", None)
    if user is None or not user.has_perm("mediagen.change_providerconfig"):
        return {"setup_url": ""}
    rows = getattr(context.get("cl"), "result_list", None)
    if makes_real_pictures(None if rows is None else [row.admin_state for row in rows]):
        return {"setup_url": ""}
    try:
        return {"setup_url": reverse("admin:mediagen_providerconfig_setup")}
    except NoReverseMatch:  # a site that has another page for its providers, or none
        return {"setup_url": ""}


@register.inclusion_tag("mediagen/admin/_week.html", takes_context=True)
def mediagen_week(context: Any) -> dict[str, Any]:
    """The last seven days in numbers, for the app's page in the admin; nothing for those who may not see them."""
    from mediagen.engine.insight import statistics
    from mediagen.engine.library import Access

    request = context.get("request")
    if request is None or not request.user.has_perms(("mediagen.view_generationattempt", "mediagen.view_mediaasset")):
        return {"overview": None}
    overview = statistics.overview(Access(request.user), statistics.Period.named("7d"))
    return {"overview": overview, "total": overview.total, "request": request}
