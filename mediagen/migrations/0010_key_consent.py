"""Whom a stored key was typed for, and who has consented to sending one elsewhere."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mediagen", "0009_health_status"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="providerconfig",
            options={
                "ordering": ("position", "pk"),
                "permissions": (
                    ("send_key_elsewhere", "Can have a provider's key sent to another host than its vendor's"),
                ),
                "verbose_name": "provider",
            },
        ),
        migrations.AddField(
            model_name="providerconfig",
            name="credentials_for",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="Whom they were typed for; empty: set by code.",
                max_length=700,
            ),
        ),
        migrations.AddField(
            model_name="providerconfig",
            name="key_consent",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="Where a key may go that belongs elsewhere.",
                max_length=700,
            ),
        ),
        migrations.AddField(
            model_name="providerconfig",
            name="key_consent_by",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="providerconfig",
            name="key_consent_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
