"""What a budget is, for everything that has one."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class BudgetPeriod(models.TextChoices):
    DAY = "day", _("per day")
    MONTH = "month", _("per month")
    TOTAL = "total", _("in all")


PERIOD_HELP = _("Days and months begin at midnight in the site's time zone (the setting TIME_ZONE).")


class BudgetFields(models.Model):
    """A limit of USD a period, and what of it warns."""

    budget_limit = models.DecimalField(
        max_digits=12, decimal_places=4, null=True, blank=True, help_text=_("USD; empty: no limit.")
    )
    budget_period = models.CharField(
        max_length=8,
        choices=BudgetPeriod.choices,
        default=BudgetPeriod.MONTH,
        help_text=PERIOD_HELP,
    )
    budget_warning = models.DecimalField(
        max_digits=12, decimal_places=4, null=True, blank=True, help_text=_("USD spent in the period that warn.")
    )

    class Meta:
        abstract = True


BUDGET_FIELDS = tuple(field.name for field in BudgetFields._meta.fields)
