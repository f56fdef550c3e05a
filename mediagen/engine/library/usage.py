"""Where assets are used and how they do there: written by whoever publishes them, read to choose the next picture.

Whether somebody may touch an asset is asked before, at the edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db.models import Count, Exists, ExpressionWrapper, F, FloatField, OuterRef, Q, Sum
from django.db.models.functions import Cast

import mediagen.engine.library.elsewhere as elsewhere
from mediagen.engine.database import as_uuid
from mediagen.engine.library.suggestions import Suggestion, suggestions
from mediagen.errors import InvalidRequest
from mediagen.models import AssetUsage, GenerationState, MediaAsset, ReviewStatus
from mediagen.models.asset import MediaAssetQuerySet
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.models.usage import METRICS
from mediagen.types import checked_text
from mediagen.wording import say as _

__all__ = [
    "Performance",
    "Suggestion",
    "best_assets",
    "end_usage",
    "in_use",
    "record_metrics",
    "record_usage",
    "set_address",
    "suggestions",
    "unused",
]

MAX_COUNT = 2**63 - 1
RATES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "click_rate": (("clicks",), "impressions"),
    "engagement_rate": (("engagements", "shares", "comments"), "impressions"),
    "conversion_rate": (("conversions",), "clicks"),
}
"""what is counted, and per what"""


@atomic()
def record_usage(asset: Any, campaign: str, channel: str = "", url: str = "") -> AssetUsage:
    """The row that says: this asset is used in this campaign on this channel, at this address; made or found.

    `asset` is an instance or an id. Said again, nothing is counted twice: a new `url` replaces the old one, and an
    ended use is under way again. Writes the asset's `usage_count` (places it was used in) and `last_used_at`.
    `InvalidRequest` for an asset that is not there or has no picture, and for texts that do not fit.
    """
    row = _locked(asset)
    if row.generation_state != GenerationState.READY:
        raise InvalidRequest(_("Asset %(pk)s has no picture yet, so it cannot be in use.", pk=row.pk), field="asset_id")
    key = _place(campaign, channel)
    url = _checked_url(url)
    usage, is_new = AssetUsage.objects.get_or_create(asset=row, **key, defaults={"url": url})
    if not is_new:
        usage.url = url or usage.url
        usage.ended_at = None
        usage.save(update_fields=["url", "ended_at", "updated_at"])
    _keep_count(row)
    return usage


@atomic()
def record_metrics(
    asset: Any,
    campaign: str,
    channel: str = "",
    *,
    totals: Mapping[str, int] | None = None,
    add: Mapping[str, int] | None = None,
) -> AssetUsage:
    """Write what was counted for this asset in this campaign on this channel; the row is made when it is missing.

    `totals` replace what stands there: saying them twice changes nothing, so take them where the source has them.
    `add` is added in the database, so that two who count at once lose nothing. Both are {metric: whole number from
    0}; the metrics are impressions, clicks, engagements, conversions, shares, comments. `InvalidRequest` otherwise.
    """
    totals, add = _counts(totals or {}), _counts(add or {})
    if both := sorted(set(totals) & set(add)):
        raise InvalidRequest(
            _("%(both)s stands in totals and in add. Give it in one of them.", both=", ".join(both)), field="add"
        )
    row = _locked(asset)
    key = _place(campaign, channel)
    usage = AssetUsage.objects.filter(asset=row, **key).first() or record_usage(row, **key)
    # Counted at the same time as another sum, each keeps the other: the rows are added to where they are.
    fits = Q(pk=usage.pk, **{f"{name}__lte": MAX_COUNT - number for name, number in add.items()})
    values: dict[str, Any] = {**totals, **{name: F(name) + number for name, number in add.items()}}
    now = db_now()
    if not AssetUsage.objects.filter(fits).update(**values, updated_at=now):
        raise InvalidRequest(_("That is more than can be counted."), field="add")
    MediaAsset.objects.filter(pk=row.pk).update(last_used_at=now)
    usage.refresh_from_db()
    return usage


@atomic()
def end_usage(asset: Any, campaign: str, channel: str = "") -> AssetUsage:
    """The asset is no longer used there; its figures stay. Saying it again changes nothing. `InvalidRequest` where it
    was never used."""
    pk, key = _id(asset), _place(campaign, channel)
    usage = AssetUsage.objects.select_for_update().filter(asset=pk, **key).first()
    if usage is None:
        raise InvalidRequest(
            _("Asset %(pk)s was not used in %(key)s.", pk=pk, key=f"{key['campaign']!r:.80}"), field="campaign"
        )
    if usage.ended_at is None:
        usage.ended_at = db_now()
        usage.save(update_fields=["ended_at", "updated_at"])
    return usage


@atomic()
def set_address(asset: Any, campaign: str, channel: str, url: str) -> None:
    """Correct where the asset can be seen there; "" for nowhere. An ended use stays ended. `InvalidRequest` where it
    was never used."""
    pk, key = _id(asset), _place(campaign, channel)
    changed = AssetUsage.objects.filter(asset=pk, **key).update(url=_checked_url(url), updated_at=db_now())
    if not changed:
        raise InvalidRequest(
            _("Asset %(pk)s was not used in %(key)s.", pk=pk, key=f"{key['campaign']!r:.80}"), field="campaign"
        )


def in_use(asset_ids: Any) -> list[AssetUsage]:
    """Uses that have not ended, of these assets. One query."""
    running = AssetUsage.objects.filter(asset__in=asset_ids, ended_at__isnull=True)
    return list(running.select_related("asset").order_by("asset", "campaign", "channel"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How one asset does in one campaign, all its channels together."""

    asset: MediaAsset
    impressions: int
    clicks: int
    engagements: int
    conversions: int
    shares: int
    comments: int
    click_rate: float | None
    """clicks per impression"""
    engagement_rate: float | None
    """engagements, shares and comments per impression"""
    conversion_rate: float | None
    """conversions per click"""


def best_assets(
    campaign: str,
    by: str = "click_rate",
    *,
    min_impressions: int = 100,
    channel: str | None = None,
    assets: MediaAssetQuerySet | None = None,
    limit: int = 10,
) -> list[Performance]:
    """The assets that do best in the campaign, the best first; deleted ones left out. Two queries.

    `by` is a rate (click_rate, engagement_rate, conversion_rate) or a metric (impressions, clicks ...). Assets with
    fewer than `min_impressions` are left out: one click of two says nothing. `assets` narrows to those that somebody
    may see. `InvalidRequest` for another `by`.
    """
    if by not in (*RATES, *METRICS):
        raise InvalidRequest(
            _("by must be one of %(value)s, not %(by)s.", value=", ".join((*RATES, *METRICS)), by=f"{by!r:.40}"),
            field="by",
        )
    rows = AssetUsage.objects.filter(campaign=_place(campaign, "")["campaign"])
    if channel is not None:
        rows = rows.filter(channel=_place(campaign, channel)["channel"])
    among = MediaAsset.objects.kept() if assets is None else assets.kept()
    # Asset by asset, so that the campaign's rows are read and not all assets that may be seen.
    summed: Any = rows.filter(Exists(among.order_by().filter(pk=OuterRef("asset")))).order_by().values("asset")
    summed = summed.annotate(**{f"sum_{name}": Sum(name) for name in METRICS})
    summed = summed.filter(sum_impressions__gte=max(min_impressions, 0))
    if by in RATES:
        parts, whole = RATES[by]
        part = sum((Cast(f"sum_{name}", FloatField()) for name in parts[1:]), Cast(f"sum_{parts[0]}", FloatField()))
        summed = summed.filter(**{f"sum_{whole}__gt": 0})
        summed = summed.annotate(rank=ExpressionWrapper(part / F(f"sum_{whole}"), output_field=FloatField()))
    else:
        summed = summed.annotate(rank=F(f"sum_{by}"))
    found = list(summed.order_by("-rank", "-asset")[: max(limit, 0)])
    known = MediaAsset.objects.select_related("library").in_bulk([row["asset"] for row in found])
    return [_performance(known[row["asset"]], row) for row in found if row["asset"] in known]


def unused(since: datetime | None = None, assets: MediaAssetQuerySet | None = None) -> MediaAssetQuerySet:
    """Ready assets that nobody uses: never used at all; with `since`, made before then and neither used after it nor
    in use now. What a row of another app uses is in use. Deleted and archived ones are left out."""
    found: Any = MediaAsset.objects.all() if assets is None else assets
    found = elsewhere.without_uses(found.ready().exclude(status__in=(ReviewStatus.DELETED, ReviewStatus.ARCHIVED)))
    if since is None:
        return found.filter(usage_count=0)  # type: ignore[no-any-return]
    running = AssetUsage.objects.filter(ended_at__isnull=True).values("asset")
    idle = Q(last_used_at__isnull=True) | Q(last_used_at__lt=since)
    return found.filter(idle, created_at__lt=since).exclude(pk__in=running)  # type: ignore[no-any-return]


def _performance(asset: MediaAsset, row: Mapping[str, Any]) -> Performance:
    counts = {name: int(row[f"sum_{name}"]) for name in METRICS}
    rates = {
        rate: sum(counts[name] for name in parts) / counts[whole] if counts[whole] else None
        for rate, (parts, whole) in RATES.items()
    }
    return Performance(asset=asset, **counts, **rates)  # type: ignore[arg-type]


def _id(asset: Any) -> Any:
    pk = as_uuid(asset, "asset_id")
    if pk is None:
        raise InvalidRequest(_("Say which asset."), field="asset_id")
    return pk


def _locked(asset: Any) -> MediaAsset:
    """The asset's row, held to the end of the transaction: its count is then right whoever else counts."""
    pk = _id(asset)
    row = MediaAsset.objects.select_for_update().filter(pk=pk).first()
    if row is None or row.status == ReviewStatus.DELETED:
        raise InvalidRequest(_("There is no asset %(pk)s.", pk=pk), field="asset_id")
    return row


def _keep_count(asset: MediaAsset) -> None:
    number = AssetUsage.objects.filter(asset=asset).aggregate(number=Count("pk"))["number"]
    MediaAsset.objects.filter(pk=asset.pk).update(usage_count=number, last_used_at=db_now())


def _place(campaign: str, channel: str) -> dict[str, str]:
    texts = {
        "campaign": checked_text(campaign, "campaign").strip(),
        "channel": checked_text(channel, "channel").strip(),
    }
    if not texts["campaign"]:
        raise InvalidRequest(_("A use needs the name of its campaign."), field="campaign")
    for name, limit in (("campaign", 200), ("channel", 100)):
        if len(texts[name]) > limit:
            raise InvalidRequest(
                _(
                    "%(name)s has %(number)s characters; at most %(limit)s fit.",
                    name=name,
                    number=len(texts[name]),
                    limit=limit,
                ),
                field=name,
            )
    return texts


def _checked_url(url: str) -> str:
    text = checked_text(url, "url").strip()
    if not text:
        return ""
    if len(text) > 1000:
        raise InvalidRequest(_("url has %(number)s characters; at most 1,000 fit.", number=len(text)), field="url")
    try:
        URLValidator(schemes=["http", "https"])(text)
    except ValidationError:
        raise InvalidRequest(
            _("url must be an http or https address, not %(text)s.", text=f"{text!r:.80}"), field="url"
        ) from None
    return text


def _counts(given: Mapping[str, int]) -> dict[str, int]:
    for name, number in given.items():
        if name not in METRICS:
            raise InvalidRequest(
                _(
                    "There is no metric %(name)s. There are: %(metrics)s.",
                    name=f"{name!r:.40}",
                    metrics=", ".join(METRICS),
                ),
                field="metrics",
            )
        if type(number) is not int or not 0 <= number <= MAX_COUNT:
            raise InvalidRequest(
                _("%(name)s must be a whole number from 0, not %(number)s.", name=name, number=f"{number!r:.40}"),
                field=name,
            )
    return dict(given)
