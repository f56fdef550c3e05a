"""What an attempt counts for stays with it, so that accounts follow when it changes; budgets get a permission."""

import django.db.models.deletion
from django.db import migrations, models

PERIODS = [("day", "per day"), ("month", "per month"), ("total", "in all")]
STATES = ["planned", "submitted", "succeeded", "failed", "unknown", "adopted", "skipped", "settled"]


HELP = "Days and months begin at midnight in the site's time zone (the setting TIME_ZONE)."


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0004_interrupted")]

    operations = [
        migrations.AlterModelOptions(
            name="generationattempt",
            options={
                "ordering": ("-id",),
                "permissions": (("settle_generationattempt", "Can say what attempts of unknown outcome cost"),),
            },
        ),
        migrations.AlterModelOptions(
            name="medialibrary",
            options={
                "ordering": ("name",),
                "permissions": (
                    ("view_all_libraries", "Can see and use every media library"),
                    ("change_budget", "Can change the budgets of media libraries"),
                ),
                "verbose_name_plural": "media libraries",
            },
        ),
        migrations.RemoveConstraint(model_name="generationattempt", name="mediagen_attempt_state_legal"),
        migrations.AddField(
            model_name="generationattempt",
            name="batch",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="mediagen.generationbatch",
            ),
        ),
        migrations.AddField(
            model_name="generationattempt",
            name="booked",
            field=models.DecimalField(
                blank=True,
                decimal_places=6,
                editable=False,
                help_text="USD for which it counts as spent in its accounts; empty: cost_held counts as held.",
                max_digits=12,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="generationattempt",
            name="listed_price",
            field=models.DecimalField(
                blank=True,
                decimal_places=6,
                editable=False,
                help_text="USD, as the price table says.",
                max_digits=12,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="generationattempt",
            name="settled_at",
            field=models.DateTimeField(blank=True, help_text="When a person said what it cost.", null=True),
        ),
        migrations.AddField(
            model_name="generationattempt",
            name="settled_by",
            field=models.CharField(blank=True, help_text="Who said so.", max_length=200),
        ),
        migrations.AlterField(
            model_name="generationattempt",
            name="accounts",
            field=models.JSONField(
                blank=True, default=list, editable=False, help_text="Keys of the SpendAccounts in which it counts."
            ),
        ),
        migrations.AlterField(
            model_name="generationattempt",
            name="state",
            field=models.CharField(choices=[(state, state) for state in STATES], default="planned", max_length=10),
        ),
        migrations.AlterField(
            model_name="medialibrary",
            name="budget_period",
            field=models.CharField(choices=PERIODS, default="month", help_text=HELP, max_length=8),
        ),
        migrations.AlterField(
            model_name="providerconfig",
            name="budget_period",
            field=models.CharField(choices=PERIODS, default="month", help_text=HELP, max_length=8),
        ),
        migrations.AddConstraint(
            model_name="generationattempt",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", STATES)), name="mediagen_attempt_state_legal"
            ),
        ),
    ]
