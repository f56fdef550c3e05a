"""Breakers, shared by all processes of a site."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mediagen.models.writer import WriterQuerySet

STATES = [("closed", _("closed")), ("open", _("open")), ("half_open", _("half open"))]


class ProviderHealth(models.Model):
    """The circuit of one provider x model x operation. No row: closed, and nothing ever failed."""

    provider_name = models.CharField(max_length=100)
    model_name = models.CharField(max_length=200, blank=True)
    operation = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=STATES, default="closed")
    failures = models.PositiveIntegerField(default=0, help_text=_("Counted failures in a row."))
    openings = models.PositiveIntegerField(default=0, help_text=_("Times opened since the last success."))
    open_until = models.DateTimeField(
        null=True, blank=True, help_text=_("Empty while open: until the configuration changes.")
    )
    probe_until = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, blank=True)
    http_status = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text=_("Of the answer that opened it; empty: there was none.")
    )
    reason = models.TextField(blank=True, help_text=_("Scrubbed of secrets."))
    config_digest = models.CharField(max_length=64, blank=True, editable=False)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveBigIntegerField(default=0, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = WriterQuerySet["ProviderHealth"].as_manager()

    class Meta:
        ordering = ("provider_name", "model_name", "operation")
        verbose_name = _("provider health")
        verbose_name_plural = _("provider health")
        constraints = (
            models.UniqueConstraint(
                fields=("provider_name", "model_name", "operation"), name="mediagen_health_circuit_unique"
            ),
            models.CheckConstraint(
                name="mediagen_health_state_legal", condition=Q(state__in=[value for value, _ in STATES])
            ),
        )

    def __str__(self) -> str:
        return f"{self.provider_name} {self.model_name} {self.operation}: {self.state}"
