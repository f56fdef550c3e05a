"""The operator's word on a provider: its place in the chain, its key, its options, its money."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, Value, When
from django.utils.translation import gettext_lazy as _

from mediagen import conf
from mediagen.models.budget import BudgetFields, BudgetPeriod
from mediagen.models.fields import CredentialField
from mediagen.models.writer import WriterQuerySet


def provider_choices() -> list[tuple[str, str]]:
    """Every adapter there is. A callable, so that one more provider needs no migration."""
    return [(name, name) for name in conf.adapter_paths()]


class GoOn(models.TextChoices):
    NEXT = "next", _("ask the next provider")
    STOP = "stop", _("stop")


class ProviderConfigQuerySet(WriterQuerySet["ProviderConfig"]):
    def in_chain_order(self) -> Self:
        """The first to be tried first, enabled or not.

        That is by position; but the placeholder, which always delivers, goes behind the providers that a later version
        added, as long as nobody else stands behind it: their rows came after it, and an upgrade moves no row.
        """
        added = [name for name in conf.BUILT_IN_PROVIDERS if name not in conf.FIRST_PROVIDERS]
        behind = ProviderConfig.objects.filter(position__gt=OuterRef("position"))
        is_last = Q(adapter="noop_media") & ~Exists(behind.exclude(adapter__in=[*added, "noop_media"]))
        in_order = self.annotate(goes_last=Case(When(is_last, then=Value(1)), default=Value(0)))
        # With the account that one of them may be connected to: adapters are also built where no query can be made.
        return in_order.order_by("goes_last", "position", "pk").select_related("canva_connection")

    def enabled(self) -> Self:
        return self.filter(enabled=True)


class ProviderConfig(BudgetFields):
    """One entry of the chain."""

    name = models.CharField(max_length=100, unique=True, help_text=_("As it appears in attempts, assets and tags."))
    adapter = models.CharField(max_length=100, choices=provider_choices)
    position = models.PositiveIntegerField(
        default=0,
        help_text=_("Its place in the chain; the smallest is tried first."),
    )
    enabled = models.BooleanField(default=True)
    credentials = CredentialField(help_text=_("Encrypted. Empty: the adapter's environment variable is used."))
    credentials_for = models.CharField(
        max_length=700,
        blank=True,
        default="",
        editable=False,
        help_text=_("Whom they were typed for; empty: set by code."),
    )
    key_consent = models.CharField(
        max_length=700,
        blank=True,
        default="",
        editable=False,
        help_text=_("Where a key may go that belongs elsewhere."),
    )
    key_consent_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    key_consent_at = models.DateTimeField(null=True, blank=True, editable=False)
    # No URLField: its validator refuses the one-word host names of a private network. The adapter checks it.
    base_url = models.CharField(max_length=500, blank=True, help_text=_("Empty: the vendor's own address."))
    model = models.CharField(max_length=200, blank=True, help_text=_("Empty: the adapter's default."))
    options = models.JSONField(default=dict, blank=True)
    prices = models.JSONField(
        default=dict, blank=True, help_text=_('USD a picture, {"model": "0.03"}; goes before the built-in table.')
    )
    price_when_unknown = models.DecimalField(
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("USD that budgets hold for a picture of unknown price; empty: a budget passes it over."),
    )
    timeout_s = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.1), MaxValueValidator(86_400)],
        help_text=_("Seconds for one picture; empty: the adapter's default."),
    )
    max_concurrency = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("Requests at once; empty: no limit."),
    )
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text=_("Requests; empty: no limit."))
    dry_run = models.BooleanField(null=True, blank=True, help_text=_("Empty: as the site's settings say."))
    after_unknown = models.CharField(
        max_length=4,
        choices=GoOn.choices,
        default=GoOn.NEXT,
        help_text=_("When no answer came and the picture may have been bought."),
    )
    after_refusal = models.CharField(
        max_length=4, choices=GoOn.choices, default=GoOn.STOP, help_text=_("When its moderation refuses the prompt.")
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ProviderConfigQuerySet.as_manager()

    class Meta:
        ordering = ("position", "pk")
        verbose_name = _("provider")
        permissions = (("send_key_elsewhere", "Can have a provider's key sent to another host than its vendor's"),)
        constraints = (
            models.CheckConstraint(
                name="mediagen_provider_timeout_positive", condition=Q(timeout_s__isnull=True) | Q(timeout_s__gt=0)
            ),
            models.CheckConstraint(
                name="mediagen_provider_budget_positive",
                condition=(Q(budget_limit__isnull=True) | Q(budget_limit__gte=0))
                & (Q(budget_warning__isnull=True) | Q(budget_warning__gte=0)),
            ),
            models.CheckConstraint(
                name="mediagen_provider_rules_legal",
                condition=Q(after_unknown__in=GoOn.values)
                & Q(after_refusal__in=GoOn.values)
                & Q(budget_period__in=BudgetPeriod.values),
            ),
        )

    def __str__(self) -> str:
        return self.name
