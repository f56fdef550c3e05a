"""The seven providers, in the order in which a new site tries them."""

from django.db import migrations

NAMES = ("sdxl", "openai_images", "flux", "replicate_sdxl", "figma_api", "canva_api", "noop_media")


def forwards(apps, schema_editor):
    configs = apps.get_model("mediagen", "ProviderConfig").objects.using(schema_editor.connection.alias)
    for position, name in enumerate(NAMES, start=1):
        configs.get_or_create(name=name, defaults={"adapter": name, "position": position})


def backwards(apps, schema_editor):
    # Rows an operator has given a key or an address are theirs; the table goes with 0001 anyway.
    configs = apps.get_model("mediagen", "ProviderConfig").objects.using(schema_editor.connection.alias)
    configs.filter(name__in=NAMES, credentials="", base_url="", model="").delete()


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0001_initial")]

    operations = [migrations.RunPython(forwards, backwards)]
