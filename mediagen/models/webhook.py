"""What providers push to us: each delivery once."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mediagen.models.writer import WriterQuerySet


class WebhookDelivery(models.Model):
    """A verified answer about a job, as the provider sent it. Kept until maintenance removes it after some days."""

    provider_name = models.CharField(max_length=100)
    delivery_id = models.CharField(max_length=200, help_text=_("The provider's own; a repeated delivery has the same."))
    job_id = models.CharField(max_length=255)
    payload = models.JSONField()
    received_at = models.DateTimeField(auto_now_add=True)

    objects = WriterQuerySet["WebhookDelivery"].as_manager()

    class Meta:
        ordering = ("-pk",)
        verbose_name_plural = _("webhook deliveries")
        indexes = (models.Index(fields=("provider_name", "job_id"), name="mediagen_webhook_job"),)
        constraints = (models.UniqueConstraint(fields=("provider_name", "delivery_id"), name="mediagen_webhook_once"),)

    def __str__(self) -> str:
        return f"{self.provider_name} {self.job_id}"
