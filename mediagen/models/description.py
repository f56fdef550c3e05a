"""What a model was asked to say of a picture, and what it said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from mediagen.models.asset import AltTextState, MediaAsset
from mediagen.models.leased import Leased
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7


class DescriptionState(models.TextChoices):
    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    READY = "ready", _("ready")
    FAILED = "failed", _("failed")


class AssetDescriptionQuerySet(WriterQuerySet["AssetDescription"]):
    def take(self, pk: Any, *, worker: str, lease_s: float) -> bool:
        """Claim it, if it waits or its holder's lease is over. One conditional UPDATE; the token only grows."""
        left = Q(state=DescriptionState.RUNNING, lease_until__lt=Now())
        taken = self.filter(Q(state=DescriptionState.PENDING) | left, pk=pk).update(
            state=DescriptionState.RUNNING,
            lease_token=F("lease_token") + 1,
            lease_worker=worker[:100],
            lease_until=Now() + timedelta(seconds=lease_s),
            updated_at=Now(),
        )
        return bool(taken)

    def held(self, description: AssetDescription) -> Self:
        """The row, as long as nobody else has taken it."""
        return self.filter(pk=description.pk, lease_token=description.lease_token, state=DescriptionState.RUNNING)


class AssetDescription(Leased):
    """One picture described once, in one language. The text is written here in the transaction that ends its attempt,
    before anybody sees it; what pages show is the asset's own `alt_text`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    asset = models.ForeignKey(MediaAsset, on_delete=models.CASCADE, related_name="descriptions")
    state = models.CharField(max_length=10, choices=DescriptionState.choices, default=DescriptionState.PENDING)
    language = models.CharField(max_length=40, help_text=_("As in HTML: en, pt-br."))
    max_chars = models.PositiveIntegerField()
    options = models.JSONField(default=dict, blank=True, help_text=_("Who was to be asked, and whether in dry run."))

    text = models.TextField(blank=True)
    provider_name = models.CharField(max_length=100, blank=True)
    model_name = models.CharField(max_length=200, blank=True)
    cost = models.DecimalField(
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        help_text=_("USD; empty: not known, which is not nothing."),
    )
    dry_run = models.BooleanField(default=False)
    fit_report = models.JSONField(default=dict, blank=True)
    failure = models.TextField(blank=True, help_text=_("Why there is no text."))
    failure_code = models.CharField(max_length=16, blank=True)

    answer = models.CharField(
        max_length=10,
        choices=AltTextState.choices,
        blank=True,
        help_text=_("What a person made of it; empty: nothing yet."),
    )
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = AssetDescriptionQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = _("description")
        indexes = (
            models.Index(fields=("asset", "-id"), name="mediagen_description_asset"),
            models.Index(
                fields=("state", "lease_until"),
                name="mediagen_description_work",
                condition=Q(state__in=("pending", "running")),
            ),
        )
        constraints = (
            models.CheckConstraint(name="mediagen_description_state", condition=Q(state__in=DescriptionState.values)),
            models.CheckConstraint(name="mediagen_description_text", condition=~Q(state="ready") | ~Q(text="")),
        )

    def __str__(self) -> str:
        return self.text[:60] or f"{self.language} {self.state}"

    @property
    def is_over(self) -> bool:
        return self.state in (DescriptionState.READY, DescriptionState.FAILED)
