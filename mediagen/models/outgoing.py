"""Webhooks out: who is told of what, and every message with its fate."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mediagen.models.clock import db_now
from mediagen.models.fields import CredentialField
from mediagen.models.library import MediaLibrary
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7

EVENTS = (
    "asset.ready",
    "asset.failed",
    "batch.finished",
    "export.placed",
    "export.failed",
    "alert.raised",
    "alert.over",
)
TEST_EVENT = "webhook.test"
"""sent to one endpoint, when somebody asks for it"""


class MessageState(models.TextChoices):
    PENDING = "pending", _("pending")
    DELIVERED = "delivered", _("delivered")
    FAILED = "failed", _("given up")


class WebhookEndpointQuerySet(WriterQuerySet["WebhookEndpoint"]):
    def visible_to(self, user: Any) -> Self:
        """Those of libraries that the user may look into; those of all libraries only for who sees all of them."""
        if user.is_active and (user.is_superuser or user.has_perm("mediagen.view_all_libraries")):
            return self.all()
        return self.filter(library__in=MediaLibrary.objects.visible_to(user))


class WebhookEndpoint(models.Model):
    """An address of somebody else's that is told of events, signed as Standard Webhooks says."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    url = models.URLField(max_length=1000)
    secret = CredentialField(help_text=_("Encrypted. Signs every message; shown once when it is made."))
    events = models.JSONField(default=list, blank=True, help_text=_("Empty: all of them."))
    library = models.ForeignKey(
        MediaLibrary,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text=_("Only of this library; empty: of all."),
    )
    enabled = models.BooleanField(default=True)
    disabled_reason = models.TextField(blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class WebhookMessageQuerySet(WriterQuerySet["WebhookMessage"]):
    def due(self) -> Self:
        """Those to be sent now, that nobody sends: their time has come, and their endpoint is on."""
        now = db_now()
        free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
        return self.filter(free, state=MessageState.PENDING, endpoint__enabled=True, next_try_at__lte=now)

    def visible_to(self, user: Any) -> Self:
        return self.filter(endpoint__in=WebhookEndpoint.objects.visible_to(user))


class WebhookMessage(models.Model):
    """One event for one endpoint. Its id is the `webhook-id`, the same in every try."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="messages")
    event = models.CharField(max_length=40)
    payload = models.JSONField()
    state = models.CharField(max_length=10, choices=MessageState.choices, default=MessageState.PENDING)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    message = models.TextField(blank=True, help_text=_("Why the last try failed."))
    lease_token = models.PositiveBigIntegerField(default=0, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    objects = WebhookMessageQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("next_try_at",), name="mediagen_message_due", condition=Q(state="pending")),)
        constraints = (
            models.CheckConstraint(name="mediagen_message_state_legal", condition=Q(state__in=MessageState.values)),
        )

    def __str__(self) -> str:
        return f"{self.event} {self.state}"
