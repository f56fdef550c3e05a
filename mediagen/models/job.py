"""Work too long for a request: a zip of a thousand pictures, variants of a hundred."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from mediagen.models.asset import SiteStorage
from mediagen.models.leased import Leased
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7


class JobState(models.TextChoices):
    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


class BackgroundJobQuerySet(WriterQuerySet["BackgroundJob"]):
    def takeable(self) -> Self:
        """Waiting for a worker, or left by one whose lease is over; the database's clock decides."""
        return self.filter(
            Q(state=JobState.PENDING) | Q(state=JobState.RUNNING, lease_until__lt=Now()),
        )

    def visible_to(self, user: Any) -> Self:
        """Those that the user started."""
        return self.filter(created_by=user.pk) if user.is_authenticated else self.none()

    def held(self, pk: Any, token: int) -> Self:
        """The job, as long as `token` is still the last one given out."""
        return self.filter(pk=pk, lease_token=token, state=JobState.RUNNING)

    def take(self, pk: Any, *, worker: str, until: Any) -> bool:
        """Claim the job if it is still to be had. One conditional UPDATE; the token only grows."""
        taken = (
            self.takeable()
            .filter(pk=pk)
            .update(
                state=JobState.RUNNING, lease_worker=worker[:100], lease_token=F("lease_token") + 1, lease_until=until
            )
        )
        return bool(taken)


class BackgroundJob(Leased):
    """One long action: what is to be done, how far it is, what came of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=40)
    arguments = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.PENDING)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    message = models.TextField(blank=True)
    result = models.JSONField(default=dict, blank=True)
    file = models.FileField(storage=SiteStorage(), blank=True, max_length=500, help_text=_("What it made: a zip, say."))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text=_("When its file goes."))

    objects = BackgroundJobQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(
                fields=("state", "id"), name="mediagen_job_work", condition=Q(state__in=("pending", "running"))
            ),
        )
        constraints = (models.CheckConstraint(name="mediagen_job_state_legal", condition=Q(state__in=JobState.values)),)

    def __str__(self) -> str:
        return f"{self.kind} {self.state} {self.done}/{self.total}"
