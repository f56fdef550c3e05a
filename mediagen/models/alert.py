"""What somebody has to do something about, and what was said of it when; and the workers that said they are there."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from mediagen.models.writer import WriterQuerySet


class AlertQuerySet(WriterQuerySet["Alert"]):
    def open(self) -> Self:
        """Those that are still so, the gravest first."""
        return self.filter(over_at__isnull=True).order_by("level", "since", "pk")


class Alert(models.Model):
    """One condition of one thing: that a provider refuses the key, that a library's budget is used up.

    The same row each time it happens again. Processes that look at the same time tell of it once: whoever moves
    `told_at`, or `mailed_at`, does.
    """

    code = models.CharField(max_length=40)
    about = models.CharField(
        max_length=200, blank=True, help_text=_('Which thing: "provider:flux", "library:<id>"; empty: the site.')
    )
    level = models.CharField(max_length=8, choices=[("error", _("error")), ("warning", _("warning"))])
    what = models.TextField(help_text=_("What is so, for people. Scrubbed of secrets."))
    next_step = models.TextField(blank=True)
    command = models.TextField(blank=True)
    since = models.DateTimeField()
    over_at = models.DateTimeField(null=True, blank=True, help_text=_("Empty: it is still so."))
    told_at = models.DateTimeField(null=True, blank=True, help_text=_("When signals and webhooks last said so."))
    mailed_at = models.DateTimeField(null=True, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ("-since", "-pk")
        constraints = (models.UniqueConstraint(fields=("code", "about"), name="mediagen_alert_unique"),)
        indexes = (models.Index(fields=("over_at",), name="mediagen_alert_open"),)

    def __str__(self) -> str:
        return self.what

    @property
    def is_open(self) -> bool:
        return self.over_at is None

    UNTOLD = Q(told_at__isnull=True) | Q(told_at__lt=F("since"))
    UNMAILED = Q(mailed_at__isnull=True) | Q(mailed_at__lt=F("since"))


class WorkerPresence(models.Model):
    """A `generate_worker` that runs, by its own word. One that ends in order takes its row away."""

    name = models.CharField(max_length=100, unique=True)
    host = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    objects = WriterQuerySet["WorkerPresence"].as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
