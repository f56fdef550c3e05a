"""One provider asked once for one asset. The row is there before the request leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mediagen.errors import Outcome
from mediagen.models.writer import WriterQuerySet
from mediagen.types import ARE_BOUGHT, AttemptState, ProviderJob, uuid7

if TYPE_CHECKING:
    from mediagen.models.asset import MediaAsset

STATES = [(state.value, _(state.value)) for state in AttemptState]
OUTCOMES = [(outcome.value, _(outcome.value.replace("_", " "))) for outcome in Outcome]  # in words.py


UNDER_WAY = (AttemptState.PLANNED, AttemptState.SUBMITTED)
IS_OPEN = Q(state__in=UNDER_WAY)
# Ended so that the provider may want money, where it has not said what.
MAY_BE_BILLED_STATES = (AttemptState.SUCCEEDED, AttemptState.ADOPTED, AttemptState.UNKNOWN)
MAY_BE_BILLED_OUTCOMES = (Outcome.BAD_RESPONSE, Outcome.ERROR)
MAY_BE_BILLED = Q(state__in=MAY_BE_BILLED_STATES) | Q(outcome__in=MAY_BE_BILLED_OUTCOMES)
UNSETTLED = MAY_BE_BILLED & Q(billable=True, cost__isnull=True, operation__in=tuple(ARE_BOUGHT))
TO_SETTLE = UNSETTLED | Q(state=AttemptState.UNKNOWN, billable=True, operation__in=tuple(ARE_BOUGHT))


class GenerationAttemptQuerySet(WriterQuerySet["GenerationAttempt"]):
    def open(self) -> Self:
        """Begun and not ended: in flight, or left behind by a process that died."""
        return self.filter(IS_OPEN)

    def unsettled(self) -> Self:
        """Ended, perhaps billed, and nobody knows how much."""
        return self.filter(UNSETTLED)

    def to_settle(self) -> Self:
        """Of these a person may say what came of them: the unsettled ones, and those whose end nobody saw."""
        return self.filter(TO_SETTLE)

    def of(self, asset: MediaAsset) -> Self:
        """In the order in which they were made."""
        return self.filter(asset=asset).order_by("started_at", "position", "id")


class GenerationAttempt(models.Model):
    """What was asked of whom, and what came of it. Outlives its asset, because the money does."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    asset = models.ForeignKey("mediagen.MediaAsset", null=True, on_delete=models.SET_NULL, related_name="attempts")
    library = models.ForeignKey("mediagen.MediaLibrary", null=True, on_delete=models.SET_NULL, related_name="+")
    batch = models.ForeignKey("mediagen.GenerationBatch", null=True, on_delete=models.SET_NULL, related_name="+")
    provider_name = models.CharField(max_length=100)
    model_name = models.CharField(max_length=200, blank=True)
    operation = models.CharField(max_length=64)
    position = models.PositiveIntegerField(help_text=_("1 for the first attempt of its run."))
    state = models.CharField(max_length=10, choices=STATES, default=AttemptState.PLANNED.value)
    outcome = models.CharField(max_length=16, choices=OUTCOMES, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    message = models.TextField(blank=True, help_text=_("Scrubbed of secrets."))
    provider_job_id = models.CharField(max_length=255, blank=True)
    provider_job = models.JSONField(
        default=dict, blank=True, help_text=_("What the adapter needs to find the job again; never a credential.")
    )
    request_digest = models.CharField(max_length=64, blank=True)
    purchase_key = models.CharField(
        max_length=36, blank=True, default="", help_text=_("Made before the request left; services may be asked by it.")
    )
    dry_run = models.BooleanField(default=False)
    billable = models.BooleanField(default=True)
    cost_held = models.DecimalField(
        max_digits=12, decimal_places=6, null=True, blank=True, help_text=_("USD it may cost; known before it is sent.")
    )
    cost = models.DecimalField(
        max_digits=12, decimal_places=6, null=True, blank=True, help_text=_("USD it did cost; empty: not known.")
    )
    listed_price = models.DecimalField(
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        editable=False,
        help_text=_("USD, as the price table says."),
    )
    accounts = models.JSONField(
        default=list, blank=True, editable=False, help_text=_("Keys of the SpendAccounts in which it counts.")
    )
    booked = models.DecimalField(
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        editable=False,
        help_text=_("USD for which it counts as spent in its accounts; empty: cost_held counts as held."),
    )
    settled_at = models.DateTimeField(null=True, blank=True, help_text=_("When a person said what it cost."))
    settled_by = models.CharField(max_length=200, blank=True, help_text=_("Who said so."))
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    latency_s = models.FloatField(null=True, blank=True)

    description_id = models.UUIDField(
        null=True, blank=True, editable=False, help_text=_("Of the AssetDescription that it was made for.")
    )

    lease_token: int | None = None
    """no column: the token of the asset's lease under which this object is written. None: without a lease"""

    objects = GenerationAttemptQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("started_at",), name="mediagen_attempt_started"),
            models.Index(fields=("provider_name", "-started_at"), name="mediagen_attempt_provider"),
            models.Index(fields=("library", "-started_at"), name="mediagen_attempt_library"),
            models.Index(fields=("provider_name", "listed_price", "-started_at"), name="mediagen_attempt_kind"),
            models.Index(fields=("outcome", "-started_at"), name="mediagen_attempt_outcome"),
            models.Index(
                fields=("provider_name", "provider_job_id"),
                name="mediagen_attempt_job",
                condition=~Q(provider_job_id=""),
            ),
            models.Index(
                fields=("started_at",), name="mediagen_attempt_open", condition=Q(state__in=("planned", "submitted"))
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="mediagen_attempt_state_legal", condition=Q(state__in=[value for value, _ in STATES])
            ),
            models.CheckConstraint(
                name="mediagen_attempt_outcome_legal", condition=Q(outcome__in=["", *(value for value, _ in OUTCOMES)])
            ),
            models.CheckConstraint(
                name="mediagen_attempt_money_positive",
                condition=(Q(cost__isnull=True) | Q(cost__gte=0)) & (Q(cost_held__isnull=True) | Q(cost_held__gte=0)),
            ),
        )
        permissions = (("settle_generationattempt", "Can say what attempts of unknown outcome cost"),)

    def __str__(self) -> str:
        return f"{self.position}. {self.provider_name}: {self.outcome or self.state}"

    @property
    def job(self) -> ProviderJob | None:
        """The provider's job, when it named one."""
        return ProviderJob(self.provider_job_id, self.provider_job, self.cost) if self.provider_job_id else None
