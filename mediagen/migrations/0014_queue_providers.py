"""Three more providers, behind those that are there: no row of theirs changes."""

from typing import Any

from django.db import migrations
from django.db.models import Max

NAMES = ("openrouter", "fal", "comfyui")


def add_providers(apps: Any, schema_editor: Any) -> None:
    configs = apps.get_model("mediagen", "ProviderConfig").objects.using(schema_editor.connection.alias)
    for name in NAMES:
        last = configs.aggregate(last=Max("position"))["last"]
        if last is not None:  # an emptied table means the default chain, with these providers in it
            configs.get_or_create(name=name, defaults={"adapter": name, "position": last + 1})


def remove_providers(apps: Any, schema_editor: Any) -> None:
    configs = apps.get_model("mediagen", "ProviderConfig").objects.using(schema_editor.connection.alias)
    for name in NAMES:
        configs.filter(name=name, adapter=name).delete()


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0013_purchase_keys")]

    operations = [migrations.RunPython(add_providers, remove_providers)]
