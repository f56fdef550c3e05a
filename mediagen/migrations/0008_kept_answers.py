"""Answers that were paid for and could not be used, kept to be read again."""

import django.db.models.deletion
import mediagen.models.asset
import mediagen.types
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('mediagen', '0007_latest_prices'),
    ]

    operations = [
        migrations.CreateModel(
            name='KeptAnswer',
            fields=[
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('file', models.FileField(editable=False, max_length=500, storage=mediagen.models.asset.SiteStorage(), upload_to='')),
                ('content_type', models.CharField(blank=True, editable=False, help_text='As the provider said.', max_length=100)),
                ('size_bytes', models.PositiveBigIntegerField(editable=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('tried_at', models.DateTimeField(blank=True, editable=False, help_text='When it was last read again.', null=True)),
                ('trouble', models.TextField(blank=True, editable=False, help_text='Why that was in vain.')),
                ('attempt', models.OneToOneField(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='kept_answer', to='mediagen.generationattempt')),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['created_at'], name='mediagen_answer_created')],
            },
        ),
    ]
