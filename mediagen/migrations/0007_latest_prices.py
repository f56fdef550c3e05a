"""What pictures of a kind cost of late is asked whenever one is bought under a budget."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0006_batch_of_attempts")]

    operations = [
        migrations.AddIndex(
            model_name="generationattempt",
            index=models.Index(fields=["provider_name", "listed_price", "-started_at"], name="mediagen_attempt_kind"),
        ),
    ]
