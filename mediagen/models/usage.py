"""Where an asset is used, and how it does there."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mediagen.models.writer import WriterQuerySet

METRICS = ("impressions", "clicks", "engagements", "conversions", "shares", "comments")


class AssetUsage(models.Model):
    """An asset in one campaign on one channel, with what has been counted there so far."""

    asset = models.ForeignKey("mediagen.MediaAsset", on_delete=models.CASCADE, related_name="usages")
    campaign = models.CharField(max_length=200)
    channel = models.CharField(max_length=100, blank=True)
    url = models.URLField(max_length=1000, blank=True, help_text=_("Where it can be seen."))
    impressions = models.PositiveBigIntegerField(default=0)
    clicks = models.PositiveBigIntegerField(default=0)
    engagements = models.PositiveBigIntegerField(default=0)
    conversions = models.PositiveBigIntegerField(default=0)
    shares = models.PositiveBigIntegerField(default=0)
    comments = models.PositiveBigIntegerField(default=0)
    first_used_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    ended_at = models.DateTimeField(null=True, blank=True, help_text=_("Empty: in use."))

    objects = WriterQuerySet["AssetUsage"].as_manager()

    class Meta:
        ordering = ("-updated_at", "-pk")
        verbose_name = _("usage")
        indexes = (models.Index(fields=("campaign", "channel"), name="mediagen_usage_campaign"),)
        constraints = (
            models.UniqueConstraint(fields=("asset", "campaign", "channel"), name="mediagen_usage_unique"),
            models.CheckConstraint(name="mediagen_usage_named", condition=~Q(campaign="")),
        )

    def __str__(self) -> str:
        return f"{self.campaign} ({self.channel})" if self.channel else self.campaign

    @property
    def click_rate(self) -> float | None:
        """Clicks per impression, 0 to 1 as a rule; None without impressions."""
        return self._per(self.clicks, self.impressions)

    @property
    def engagement_rate(self) -> float | None:
        """Engagements, shares and comments per impression; None without impressions."""
        return self._per(self.engagements + self.shares + self.comments, self.impressions)

    @property
    def conversion_rate(self) -> float | None:
        """Conversions per click; None without clicks."""
        return self._per(self.conversions, self.clicks)

    @staticmethod
    def _per(part: Any, whole: Any) -> float | None:
        return part / whole if whole else None
