"""Tokens that make placeholders only, and which token made which."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0026_presets")]

    operations = [
        migrations.AddField(
            model_name="apitoken",
            name="is_test",
            field=models.BooleanField(
                default=False,
                help_text="Makes placeholders only, and sends nothing to anybody.",
                verbose_name="for tests",
            ),
        ),
        migrations.AddField(
            model_name="apitoken",
            name="made_by",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                help_text="The token with which it was made; it ends with that one.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="mediagen.apitoken",
            ),
        ),
        migrations.AlterModelOptions(
            name="mediaasset",
            options={
                "ordering": ("-id",),
                "permissions": (
                    ("approve_mediaasset", "Can approve, publish, archive and restore media assets"),
                    ("import_mediaasset", "Can import from the site's Figma and Canva accounts by the API"),
                ),
            },
        ),
        migrations.AlterField(
            model_name="apitoken",
            name="scopes",
            field=models.JSONField(default=list, help_text="read, generate, change, approve, figma, manage"),
        ),
    ]
