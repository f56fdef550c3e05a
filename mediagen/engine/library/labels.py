"""What a page says of a picture's making: the label, and whom it names."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext as _

from mediagen.images import origin
from mediagen.models import LabelPolicy, LabelRule, MediaAsset, ReviewStatus

SCHEMA_TYPES = {
    origin.BY_MODEL: "https://schema.org/TrainedAlgorithmicMediaDigitalSource",
    origin.PARTLY_BY_MODEL: "https://schema.org/CompositeWithTrainedAlgorithmicMediaDigitalSource",
    origin.BY_PROGRAM: "https://schema.org/AlgorithmicMediaDigitalSource",
}


@dataclass(frozen=True, slots=True)
class Label:
    """What stands beside a picture that a model made."""

    text: str
    """in the language of the page"""
    source_type: str
    """the IPTC's word"""

    @property
    def iptc_url(self) -> str:
        return f"{origin.VOCABULARY}{self.source_type}"

    @property
    def schema_url(self) -> str:
        """ "" for a word that schema.org does not have."""
        return SCHEMA_TYPES.get(self.source_type, "")


def is_by_model(asset: MediaAsset) -> bool:
    """Whether a model made the picture, or a part of it. What a file says of itself counts, also of an uploaded one."""
    return asset.digital_source_type in origin.MADE_BY_MODEL


def label_of(asset: MediaAsset) -> Label | None:
    """The label that a page shows with the picture; None for a picture without one.

    A placeholder says that it is one, always. Otherwise the asset's own rule goes before its library's. Reads
    `asset.library`.
    """
    if asset.is_placeholder:
        return Label(_("Placeholder"), asset.digital_source_type or origin.BY_PROGRAM)
    if not is_by_model(asset) or not _is_shown(asset):
        return None
    is_whole = asset.digital_source_type == origin.BY_MODEL
    return Label(_("Made with AI") if is_whole else _("Edited with AI"), asset.digital_source_type)


def _is_shown(asset: MediaAsset) -> bool:
    if asset.ai_label:
        return asset.ai_label == LabelRule.SHOW
    policy = asset.library.ai_label
    return policy == LabelPolicy.ALWAYS or (policy == LabelPolicy.PUBLISHED and asset.status == ReviewStatus.PUBLISHED)


def unlabelled() -> Q:
    """A model made it, it is published, and pages show no label with it."""
    hidden = Q(ai_label=LabelRule.HIDE) | Q(ai_label="", library__ai_label=LabelPolicy.NEVER)
    by_model = Q(digital_source_type__in=origin.MADE_BY_MODEL, is_placeholder=False)
    return by_model & Q(status=ReviewStatus.PUBLISHED) & hidden


def credit_of(asset: MediaAsset) -> str:
    """Whom a page names: what stands in `credit`, else the model that made it; "" for a picture of somebody's own."""
    if asset.credit or not is_by_model(asset):
        return asset.credit
    maker = asset.model_name or asset.provider_name
    return _("Made with %(model)s") % {"model": maker} if maker else ""
