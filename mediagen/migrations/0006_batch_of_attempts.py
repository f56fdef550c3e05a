"""Attempts know their batch, also when their asset is gone. Apart from its column, for PostgreSQL's sake."""

from django.db import migrations
from django.db.models import OuterRef, Subquery


def from_assets(apps, schema_editor):
    alias = schema_editor.connection.alias
    assets = apps.get_model("mediagen", "MediaAsset").objects.using(alias)
    attempts = apps.get_model("mediagen", "GenerationAttempt").objects.using(alias)
    batch = assets.filter(pk=OuterRef("asset_id")).values("batch_id")[:1]
    attempts.filter(asset__in=assets.filter(batch__isnull=False)).update(batch_id=Subquery(batch))


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0005_money_moves_with_attempts")]

    operations = [migrations.RunPython(from_assets, migrations.RunPython.noop)]
