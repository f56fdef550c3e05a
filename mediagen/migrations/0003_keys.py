"""An `Idempotency-Key` belongs to the token that it came with: two tokens of one user share none."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mediagen", "0002_unique_without_conditions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="idempotentrequest",
            name="caller",
            field=models.CharField(
                blank=True, default="", help_text="Id of the token that sent it; empty: a session.", max_length=36
            ),
        ),
        # First the new one: MariaDB needs an index that begins with the user for the foreign key.
        migrations.AddConstraint(
            model_name="idempotentrequest",
            constraint=models.UniqueConstraint(fields=("user", "caller", "key"), name="mediagen_idempotent_caller"),
        ),
        migrations.RemoveConstraint(model_name="idempotentrequest", name="mediagen_idempotent_once"),
    ]
