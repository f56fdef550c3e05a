"""Every billable attempt has a key of its own, made before its request leaves."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0012_gemini_and_unknown_prices")]

    operations = [
        migrations.AddField(
            model_name="generationattempt",
            name="purchase_key",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Made before the request left; services may be asked by it.",
                max_length=36,
            ),
        ),
    ]
