"""An asset's picture on a page: its sizes with their addresses, and the markup around them.

Nothing is opened, made or asked of a database here: what a page names is made when a browser first asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

import mediagen.engine.files.links as links
from mediagen import conf, images
from mediagen.engine.files.crops import Crop
from mediagen.engine.files.renditions import MAX_SIDE_PX, Spec, checked_focus
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.images import scale
from mediagen.models import MediaAsset
from mediagen.wording import say as _

WIDTHS = (320, 640, 960, 1280, 1920, 2560)
FORMATS = ("webp",)
LOADING = ("lazy", "eager")
DECODING = ("async", "sync", "auto")
PRIORITIES = ("", "high", "low", "auto")
OPTIONS = frozenset({"widths", "formats", "ratio", "fit", "quality", "sizes"})
"""what a named set in MEDIAGEN["PICTURES"] may say"""
_MIME = {"webp": "image/webp", "avif": "image/avif", "jpeg": "image/jpeg", "png": "image/png"}
_STEPS = 20
"""places of a focal point along a side that the stylesheet has classes for"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One file of the picture; sides in pixels."""

    url: str
    width: int
    height: int
    spec: Spec | None
    """None: the asset's own file"""


@dataclass(frozen=True, slots=True)
class Source:
    """The picture in one format, for a `<source>`."""

    type: str
    """ "image/avif" """
    candidates: tuple[Candidate, ...]

    @property
    def srcset(self) -> str:
        """ "/.../x.webp 400w, /.../y.webp 800w" """
        return ", ".join(f"{each.url} {each.width}w" for each in self.candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePicture:
    """A picture as a page shows it. Rendered, it is the `<picture>` element; its attributes are for other markup."""

    asset: MediaAsset
    sources: tuple[Source, ...]
    """the better formats first; the last one is of the `<img>`, which every browser shows"""
    src: str
    sizes: str
    width: int
    """pixels, as `height`: they give the element its proportions before the file is there"""
    height: int
    alt: str
    loading: str
    decoding: str
    fetchpriority: str
    css_class: str
    focus: tuple[float, float]
    """fractions from the left and the top: where the picture may not be cut away"""

    @property
    def srcset(self) -> str:
        """Of the `<img>`; "" when there is one file only."""
        own = self.sources[-1]
        return own.srcset if len(own.candidates) > 1 else ""

    @property
    def color(self) -> str:
        """#rrggbb, the picture's mean colour; "" until a size of it was made."""
        return self.asset.color

    @property
    def object_position(self) -> str:
        """For a site's own style: "30% 50%"."""
        return " ".join(f"{round(part * 100)}%" for part in self.focus)

    @property
    def classes(self) -> str:
        """The site's class, and those of mediagen/picture.css for the focal point and the colour: a page may forbid
        style attributes."""
        names = ["mediagen-picture", *self.css_class.split()]
        if self.focus != (0.5, 0.5):
            names += [
                f"mediagen-{axis}-{round(part * _STEPS) * 100 // _STEPS}"
                for axis, part in zip("xy", self.focus, strict=True)
            ]
        if self.color:
            names += [f"mediagen-{part}-{self.color[i]}" for part, i in (("r", 1), ("g", 3), ("b", 5))]
        return " ".join(names)

    def __html__(self) -> SafeString:
        own = self.sources[-1]
        sources = format_html_join(
            "",
            '<source type="{}" srcset="{}" sizes="{}">',
            ((each.type, each.srcset, self.sizes) for each in self.sources[:-1]),
        )
        many = format_html(' srcset="{}" sizes="{}"', own.srcset, self.sizes) if self.srcset else ""
        priority = format_html(' fetchpriority="{}"', self.fetchpriority) if self.fetchpriority else ""
        image = format_html(
            '<img src="{}"{} width="{}" height="{}" alt="{}" class="{}" loading="{}" decoding="{}"{}>',
            self.src,
            many,
            str(self.width),  # text: no language puts a separator between its digits
            str(self.height),
            self.alt,
            self.classes,
            self.loading,
            self.decoding,
            priority,
        )
        return format_html("<picture>{}{}</picture>", sources, image) if sources else mark_safe(image)  # noqa: S308

    def __str__(self) -> str:
        return self.__html__()


def page_picture(
    asset: MediaAsset | None,
    *,
    set: str = "",
    sizes: str | None = None,
    widths: Any = None,
    formats: Any = None,
    ratio: Any = None,
    fit: str | None = None,
    quality: Any = None,
    alt: str | None = None,
    css_class: str = "",
    loading: str = "lazy",
    decoding: str = "async",
    fetchpriority: str = "",
    focus: Any = None,
) -> PagePicture | None:
    """The picture for a page; None for no asset, and for one without a file or without an address. No query, but with
    SERVE_FILES = "storage": one, unless `renditions` was prefetched.

    `widths` are pixels ("400,800" or a list), `formats` go before the fallback ("avif,webp"; those that this site
    cannot write are left out), `ratio` is "16:9", "4/3" or a number, and cuts around the focal point unless
    `fit="inside"`. Nothing is enlarged: wider than the picture it is offered in its own width. `alt` None: the asset's
    alt text, else its name; "" says that it is decoration. `set` names options in MEDIAGEN["PICTURES"]; what is given
    beside it goes before. `focus`: of this use, as (x, y) or "0.3,0.5". What a `MediaCropField` says of the use counts
    where neither these nor the set say something. `InvalidRequest` for what cannot be.
    """
    if asset is None or not asset.file:
        return None
    named = named_set(set) if set else {}
    use = crop_of(asset)
    sizes = sizes or named.get("sizes") or "100vw"
    plan = Plan.checked(
        widths=named.get("widths") if widths is None else widths,
        formats=named.get("formats") if formats is None else formats,
        ratio=_first(ratio, named.get("ratio"), use.ratio if use is not None and fit != "inside" else None),
        fit=fit or named.get("fit"),
        quality=named.get("quality") if quality is None else quality,
        focus=use.focus if use is not None and focus in (None, "") else focus,
    )
    for name, value, legal in (
        ("loading", loading, LOADING),
        ("decoding", decoding, DECODING),
        ("fetchpriority", fetchpriority, PRIORITIES),
    ):
        if value not in legal:
            raise InvalidRequest(
                _(
                    "%(name)s can be %(filter)s, not %(value)s.",
                    name=name,
                    filter=", ".join(filter(None, legal)),
                    value=f"{value!r:.40}",
                ),
                field=name,
            )
    sources = _sources(asset, plan)
    if not sources:
        return None
    largest = sources[-1].candidates[-1]
    return PagePicture(
        asset=asset,
        sources=sources,
        # Browsers without srcset are old and small: the middle one.
        src=sources[-1].candidates[len(sources[-1].candidates) // 2].url,
        sizes=sizes,
        width=largest.width,
        height=largest.height,
        alt=default_alt(asset) if alt is None else str(alt),
        loading=loading,
        decoding=decoding,
        fetchpriority=fetchpriority,
        css_class=str(css_class),
        focus=plan.focus or (asset.focal_x, asset.focal_y),
    )


def crop_of(asset: MediaAsset) -> Crop | None:
    """How the field that gave the asset has it cut there; see `mediagen.fields.MediaCropField`."""
    return getattr(asset, "crop_of_use", None)


def _first(*values: Any) -> Any:
    return next((value for value in values if value not in (None, "")), None)


def page_picture_src(
    asset: MediaAsset | None,
    *,
    width: Any = None,
    ratio: Any = None,
    format: Any = None,
    fit: str | None = None,
    quality: Any = None,
    focus: Any = None,
) -> str:
    """The address of one file, for whoever has it: at most `width` pixels wide, in the asset's own format unless
    another is named. "" for no picture."""
    if asset is None or not asset.file:
        return ""
    widths = [width] if width else [MAX_SIDE_PX]
    use = crop_of(asset)
    plan = Plan.checked(
        widths=widths,
        formats=[format or _fallback(asset)],
        ratio=_first(ratio, use.ratio if use is not None and fit != "inside" else None),
        fit=fit,
        quality=quality,
        focus=use.focus if use is not None and focus in (None, "") else focus,
    )
    sources = _sources(asset, plan)
    return sources[0].candidates[-1].url if sources else ""


def default_alt(asset: MediaAsset) -> str:
    """What the picture shows. Never the prompt: it may say what is nobody's business."""
    return asset.shown_alt_text or asset.name


@dataclass(frozen=True, slots=True)
class Plan:
    """In which sizes and formats a picture is offered, whichever picture it is."""

    widths: tuple[int, ...]
    formats: tuple[str, ...]
    ratio: Fraction | None
    fit: str
    quality: int | None
    focus: tuple[float, float] | None

    @classmethod
    def checked(
        cls,
        *,
        widths: Any = None,
        formats: Any = None,
        ratio: Any = None,
        fit: Any = None,
        quality: Any = None,
        focus: Any = None,
    ) -> Plan:
        """`InvalidRequest` with the `field` that is wrong."""
        pixels = sorted({_width(each) for each in _listed(widths)}) or list(WIDTHS)
        names = [str(each).strip().lower().replace("jpg", "jpeg") for each in _listed(formats)] or list(FORMATS)
        if wrong := [name for name in names if name not in scale.FORMATS]:
            raise InvalidRequest(
                _(
                    "formats can be %(formats)s, not %(wrong)s.",
                    formats=", ".join(scale.FORMATS),
                    wrong=f"{wrong[0]!r:.40}",
                ),
                field="formats",
            )
        proportion = _ratio(ratio)
        how = fit or ("cover" if proportion else "inside")
        if how not in ("cover", "inside") or (how == "cover" and proportion is None):
            raise InvalidRequest(_('fit can be "inside", or "cover" together with a ratio.'), field="fit")
        level = None if quality is None else Spec.checked(1, None, "jpeg", quality=quality).quality
        # A <source> whose format this site cannot write would leave a page without its picture.
        able = [name for name in names if name != "avif" or images.can_write(name)]
        return cls(tuple(pixels), tuple(dict.fromkeys(able)), proportion, how, level, checked_focus(focus))

    def specs(self, asset: MediaAsset, format: str) -> list[tuple[Spec, int, int]]:
        """Of each size its spec and its sides, the smallest first."""
        own_width, own_height = asset.width, asset.height
        if not (own_width and own_height):
            return []
        ratio = Fraction(own_width, own_height)
        is_cut = self.ratio is not None and self.fit == "cover"
        if is_cut and self.ratio is not None:
            ratio = self.ratio
        widest = min(own_width, int(own_height * ratio) or 1) if is_cut else own_width
        widest = max(1, min(widest, MAX_SIDE_PX, int(MAX_SIDE_PX * ratio) or 1))
        longest = min(scale.LONGEST_SIDE_PX[format], MAX_SIDE_PX)
        found = []
        for width in dict.fromkeys(min(width, widest, longest) for width in self.widths):
            height = max(1, min(round(width / ratio), own_height if is_cut else MAX_SIDE_PX))
            spec = Spec(
                width,
                height if is_cut else None,
                format,
                "cover" if is_cut else "inside",
                scale.QUALITY[format] if self.quality is None or format == "png" else self.quality,
                (self.focus or (asset.focal_x, asset.focal_y)) if is_cut else None,
            )
            found.append((spec, width, height))
        return found


def named_set(name: str) -> Mapping[str, Any]:
    """The options of MEDIAGEN["PICTURES"][name]. `ConfigurationError` for none of that name, or for other options."""
    sets = conf.get("PICTURES")
    if name not in sets:
        known = ", ".join(sorted(sets)) or "none"
        raise ConfigurationError(f"MEDIAGEN['PICTURES'] has no {name!r:.80}. There are: {known}.")
    options: Mapping[str, Any] = sets[name]
    if unknown := set(options) - OPTIONS:
        raise ConfigurationError(
            f"MEDIAGEN['PICTURES'][{name!r}] has {', '.join(sorted(unknown))}; there is {', '.join(sorted(OPTIONS))}."
        )
    return options


def specs_of(asset: MediaAsset, plan: Plan) -> list[Spec]:
    """All that a page with this plan can ask for; nothing for a picture that is shown as it is."""
    if _is_shown_whole(asset):
        return []
    formats = dict.fromkeys((*plan.formats, _fallback(asset)))
    return [spec for format in formats for spec, _, _ in plan.specs(asset, format)]


def _sources(asset: MediaAsset, plan: Plan) -> tuple[Source, ...]:
    if _is_shown_whole(asset):
        url = links.page_url(asset, None)
        own = Candidate(url, asset.width, asset.height, None)
        return (Source("image/gif", (own,)),) if url else ()
    made = links.stored_renditions(asset)
    sources = []
    for format in dict.fromkeys((*plan.formats, _fallback(asset))):
        candidates = [
            Candidate(made.get(spec.key(asset)) or links.page_url(asset, spec), width, height, spec)
            for spec, width, height in plan.specs(asset, format)
        ]
        if candidates and all(each.url for each in candidates):
            sources.append(Source(_MIME[format], tuple(candidates)))
    if not sources and (url := links.picture_url(asset)):
        # A site without our pages and our API: the storage's address of the whole file.
        own = Candidate(url, asset.width, asset.height, None)
        return (Source(_MIME.get(asset.format, "image/webp"), (own,)),)
    return tuple(sources)


def _is_shown_whole(asset: MediaAsset) -> bool:
    """A GIF moves, and a rendition of it is its first frame."""
    return asset.format == "gif"


def _fallback(asset: MediaAsset) -> str:
    """What every browser shows, and loses nothing of the picture: no JPEG for what may be transparent."""
    return asset.format if asset.format in ("jpeg", "png", "webp") else "webp"


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [part for part in value.replace(" ", ",").split(",") if part]
    return list(value) if isinstance(value, Iterable) else [value]


def _width(value: Any) -> int:
    text = str(value).strip()
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6] or 0) <= MAX_SIDE_PX):
        raise InvalidRequest(
            _(
                "widths are whole numbers from 1 to %(max_side_px)s, not %(text)s.",
                max_side_px=MAX_SIDE_PX,
                text=f"{text!r:.40}",
            ),
            field="widths",
        )
    return int(text)


def _ratio(value: Any) -> Fraction | None:
    if value is None or value == "":
        return None
    width, __, height = str(value).replace(":", "/").replace("x", "/").partition("/")
    try:
        ratio = Fraction(width) / Fraction(height or 1)
    except (ValueError, ZeroDivisionError):
        ratio = Fraction(0)
    if not Fraction(1, 50) <= ratio <= 50:
        raise InvalidRequest(
            _("ratio is written as 16:9, 4/3 or 1.5, not %(value)s.", value=f"{str(value)!r:.40}"), field="ratio"
        )
    return ratio.limit_denominator(10_000)
