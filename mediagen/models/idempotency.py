"""Requests that a client may send twice without getting two pictures."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class IdempotentRequest(models.Model):
    """An `Idempotency-Key` of a user, what it was sent with, and the assets it made. Kept for a day."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64, help_text="SHA-256 of method, address and body, hex.")
    result = models.JSONField(default=dict, help_text="Ids of what it made.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)
        indexes = (models.Index(fields=("created_at",), name="mediagen_idempotent_age"),)
        constraints = (models.UniqueConstraint(fields=("user", "key"), name="mediagen_idempotent_once"),)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.key}"
