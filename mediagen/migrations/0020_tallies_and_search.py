"""What each library holds, in a table of its own, and lists of states, models and formats in their order."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from mediagen.models import kept_by_database


def forget(apps: Any, schema_editor: Any) -> None:
    """The triggers go before the table into which they write. They are made after `migrate`."""
    kept_by_database.forget(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0016_references")]

    operations = [
        migrations.CreateModel(
            name="LibraryTally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slot", models.PositiveSmallIntegerField(editable=False)),
                ("assets", models.BigIntegerField(editable=False)),
                ("bytes", models.BigIntegerField(editable=False)),
                (
                    "library",
                    models.ForeignKey(
                        db_constraint=False,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tallies",
                        to="mediagen.medialibrary",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("library", "slot"), name="mediagen_tally_slot")],
            },
        ),
        migrations.AddIndex(
            model_name="mediaasset",
            index=models.Index(fields=["model_name", "-id"], name="mediagen_asset_model"),
        ),
        migrations.AddIndex(
            model_name="mediaasset",
            index=models.Index(fields=["format", "-id"], name="mediagen_asset_format"),
        ),
        migrations.AddIndex(
            model_name="mediaasset",
            index=models.Index(fields=["generation_state", "-id"], name="mediagen_asset_state"),
        ),
        migrations.AddIndex(
            model_name="mediaasset",
            index=models.Index(
                fields=["status", "created_at", "source", "is_placeholder", "library"], name="mediagen_asset_approved"
            ),
        ),
        migrations.AddIndex(
            model_name="mediaasset",
            index=models.Index(
                condition=models.Q(("generation_id__isnull", False)),
                fields=["created_by", "-id"],
                name="mediagen_asset_asked",
            ),
        ),
        migrations.RunPython(migrations.RunPython.noop, forget),
    ]
