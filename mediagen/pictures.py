"""Assets on a site's own pages, for every template language: `{% load mediagen %}` has them as tags, and
`environment.globals.update(mediagen.pictures.GLOBALS)` gives them to Jinja2.

Each answers something that renders itself, and whose attributes are there for other markup. None of them asks who
looks: what a template names is public.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from mediagen import conf
from mediagen.engine.files import PagePicture, page_picture, page_picture_src
from mediagen.engine.library import Label, credit_of, label_of
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset
from mediagen.wording import say as _

__all__ = ["GLOBALS", "AILabel", "PagePicture", "ai_label", "credit", "picture", "picture_src"]

# Drawn for mediagen, under its licence: a frame with a spark.
_ICON = mark_safe(
    '<svg class="mediagen-ai-icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">'
    '<path fill="none" stroke="currentColor" stroke-width="1.3" stroke-linejoin="round" '
    'd="M9 2.2H3.4c-.7 0-1.2.5-1.2 1.2v9.2c0 .7.5 1.2 1.2 1.2h9.2c.7 0 1.2-.5 1.2-1.2V8"/>'
    '<path fill="currentColor" d="M12 .8l.9 2.3 2.3.9-2.3.9-.9 2.3-.9-2.3L8.8 4l2.3-.9zM6.3 6l1 2.7 2.7 1-2.7 1'
    '-1 2.7-1-2.7-2.7-1 2.7-1z"/></svg>'
)


def picture(asset: MediaAsset | None, sizes: str | None = None, **options: Any) -> PagePicture | str:
    """`<picture>` with every size and format, see `page_picture`; "" for no picture. `class` in a template is
    `css_class` in Python."""
    if "class" in options:
        options["css_class"] = options.pop("class")
    return page_picture(asset, sizes=sizes, **options) or ""


def picture_src(asset: MediaAsset | None, width: Any = None, *, absolute: bool = False, **options: Any) -> str:
    """The address of one size. `absolute`: with the site's origin, MEDIAGEN["SITE_URL"], as link previews want it;
    `InvalidRequest` without one."""
    url = page_picture_src(asset, width=width, **options)
    if not absolute or not url:
        return url
    origin = conf.get("SITE_URL")
    if not origin:
        raise InvalidRequest(
            _('absolute needs MEDIAGEN["SITE_URL"], such as "https://site.example".'), field="absolute"
        )
    return urljoin(str(origin), url)


@dataclass(frozen=True, slots=True)
class AILabel:
    """A label as it stands on a page, with its word and an icon; machines read the rest."""

    label: Label
    css_class: str = ""

    @property
    def text(self) -> str:
        return self.label.text

    @property
    def source_type(self) -> str:
        return self.label.source_type

    def __html__(self) -> SafeString:
        link = (
            format_html('<link itemprop="digitalSourceType" href="{}">', self.label.schema_url)
            if self.label.schema_url
            else ""
        )
        return format_html(
            '<span class="{}" itemscope itemtype="https://schema.org/ImageObject" data-digital-source-type="{}">{}{} '
            "<span>{}</span></span>",
            " ".join(["mediagen-ai-label", *self.css_class.split()]),
            self.label.iptc_url,
            link,
            _ICON,
            self.label.text,
        )

    def __str__(self) -> str:
        return self.__html__()


def ai_label(asset: MediaAsset | None, **options: Any) -> AILabel | str:
    """ "Made with AI" where a model made the picture and asset and library do not say otherwise; else "". Reads
    `asset.library`."""
    label = label_of(asset) if asset is not None else None
    return AILabel(label, str(options.get("class") or options.get("css_class") or "")) if label else ""


def credit(asset: MediaAsset | None) -> str:
    """Whom a page names for the picture: text, "" when there is nobody to name."""
    return credit_of(asset) if asset is not None else ""


GLOBALS = {"picture": picture, "picture_src": picture_src, "ai_label": ai_label, "credit": credit}
