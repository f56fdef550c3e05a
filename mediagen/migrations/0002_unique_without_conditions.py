"""Unique constraints without a condition: MariaDB and MySQL do not make those with one. No key is NULL now."""

from typing import Any

from django.db import migrations, models


def empty_to_null(apps: Any, schema_editor: Any) -> None:
    assets = apps.get_model("mediagen", "MediaAsset").objects.using(schema_editor.connection.alias)
    assets.filter(idempotency_key="").update(idempotency_key=None)


def null_to_empty(apps: Any, schema_editor: Any) -> None:
    assets = apps.get_model("mediagen", "MediaAsset").objects.using(schema_editor.connection.alias)
    assets.filter(idempotency_key=None).update(idempotency_key="")


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0001_squashed_0008_asset_counted")]

    operations = [
        migrations.RemoveConstraint(model_name="mediaasset", name="mediagen_asset_batch_row"),
        migrations.RemoveConstraint(model_name="mediaasset", name="mediagen_asset_idempotency"),
        migrations.AlterField(
            model_name="mediaasset",
            name="idempotency_key",
            field=models.CharField(
                blank=True, editable=False, help_text="NULL, never empty, without one.", max_length=255, null=True
            ),
        ),
        migrations.RunPython(empty_to_null, null_to_empty),
        migrations.AddConstraint(
            model_name="mediaasset",
            constraint=models.UniqueConstraint(fields=("batch", "row_key"), name="mediagen_asset_batch_row"),
        ),
        migrations.AddConstraint(
            model_name="mediaasset",
            constraint=models.UniqueConstraint(
                fields=("library", "idempotency_key"), name="mediagen_asset_idempotency"
            ),
        ),
    ]
