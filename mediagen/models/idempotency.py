"""Requests that a client may send twice without getting two pictures."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mediagen.models.writer import WriterQuerySet


class IdempotentRequest(models.Model):
    """An `Idempotency-Key` of a user's token or session, what it was sent with, and the assets it made. Kept for a
    day."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    caller = models.CharField(
        max_length=36, blank=True, default="", help_text=_("Id of the token that sent it; empty: a session.")
    )
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64, help_text=_("SHA-256 of method, address and body, hex."))
    result = models.JSONField(default=dict, help_text=_("Ids of what it made."))
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WriterQuerySet["IdempotentRequest"].as_manager()

    class Meta:
        ordering = ("-pk",)
        indexes = (models.Index(fields=("created_at",), name="mediagen_idempotent_age"),)
        constraints = (models.UniqueConstraint(fields=("user", "caller", "key"), name="mediagen_idempotent_caller"),)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.key}"
