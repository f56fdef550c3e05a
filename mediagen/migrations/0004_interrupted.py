"""A state for pictures that wait for whoever asked for them, and that no worker takes."""

from django.db import migrations, models

BEFORE = ["pending", "running", "ready", "failed", "cancelled"]
NOW = [*BEFORE, "interrupted"]
LEGAL = "mediagen_asset_state_legal"


def to_cancelled(apps, schema_editor):
    """For code that does not know the state: made again when somebody asks, as before."""
    assets = apps.get_model("mediagen", "MediaAsset").objects.using(schema_editor.connection.alias)
    assets.filter(generation_state="interrupted").update(generation_state="cancelled")


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0003_keys")]

    operations = [
        migrations.RemoveConstraint(model_name="mediaasset", name=LEGAL),
        migrations.AlterField(
            model_name="mediaasset",
            name="generation_state",
            field=models.CharField(choices=[(state, state) for state in NOW], default="pending", max_length=16),
        ),
        migrations.AddConstraint(model_name="mediaasset", constraint=models.CheckConstraint(condition=models.Q(generation_state__in=NOW), name=LEGAL)),
        migrations.RunPython(migrations.RunPython.noop, to_cancelled),
    ]
