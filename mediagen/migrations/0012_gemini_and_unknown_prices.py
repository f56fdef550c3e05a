"""One more provider, behind those that are there: no row of theirs changes. And what a budget holds for pictures whose
price nobody knows."""

from typing import Any

import django.core.validators
from django.db import migrations, models
from django.db.models import Max


def add_provider(apps: Any, schema_editor: Any) -> None:
    configs = apps.get_model("mediagen", "ProviderConfig").objects.using(schema_editor.connection.alias)
    last = configs.aggregate(last=Max("position"))["last"]
    if last is not None:  # an emptied table means the default chain, with this provider in it
        configs.get_or_create(name="gemini", defaults={"adapter": "gemini", "position": last + 1})


def remove_provider(apps: Any, schema_editor: Any) -> None:
    configs = apps.get_model("mediagen", "ProviderConfig").objects.using(schema_editor.connection.alias)
    configs.filter(name="gemini", adapter="gemini").delete()


class Migration(migrations.Migration):
    # Backwards a row is deleted before the column goes, which PostgreSQL does not do in one transaction.
    atomic = False

    dependencies = [("mediagen", "0011_failure_code")]

    operations = [
        migrations.AddField(
            model_name="providerconfig",
            name="price_when_unknown",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text=(
                    "USD that budgets hold for a picture of unknown price; empty: a budget passes it over."
                ),
                max_digits=12,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.RunPython(add_provider, remove_provider, atomic=True),
    ]
