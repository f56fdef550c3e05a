"""What models say of pictures, apart from the alt texts that people accept."""

import django.db.models.deletion
import mediagen.types
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('mediagen', '0027_test_tokens'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AssetDescription',
            fields=[
                ('lease_worker', models.CharField(blank=True, editable=False, max_length=100)),
                ('lease_token', models.PositiveBigIntegerField(default=0, editable=False)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('state', models.CharField(choices=[('pending', 'pending'), ('running', 'running'), ('ready', 'ready'), ('failed', 'failed')], default='pending', max_length=10)),
                ('language', models.CharField(help_text='As in HTML: en, pt-br.', max_length=40)),
                ('max_chars', models.PositiveIntegerField()),
                ('options', models.JSONField(blank=True, default=dict, help_text='Who was to be asked, and whether in dry run.')),
                ('text', models.TextField(blank=True)),
                ('provider_name', models.CharField(blank=True, max_length=100)),
                ('model_name', models.CharField(blank=True, max_length=200)),
                ('cost', models.DecimalField(blank=True, decimal_places=6, help_text='USD; empty: not known, which is not nothing.', max_digits=12, null=True)),
                ('dry_run', models.BooleanField(default=False)),
                ('fit_report', models.JSONField(blank=True, default=dict)),
                ('failure', models.TextField(blank=True, help_text='Why there is no text.')),
                ('failure_code', models.CharField(blank=True, max_length=16)),
                ('answer', models.CharField(blank=True, choices=[('suggested', 'suggested'), ('rehearsed', 'suggested in a dry run'), ('accepted', 'accepted'), ('changed', 'changed'), ('rejected', 'rejected')], help_text='What a person made of it; empty: nothing yet.', max_length=10)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'description',
                'ordering': ('-id',),
            },
        ),
        migrations.AddField(
            model_name='generationattempt',
            name='description_id',
            field=models.UUIDField(blank=True, editable=False, help_text='Of the AssetDescription that it was made for.', null=True),
        ),
        migrations.AddField(
            model_name='mediaasset',
            name='alt_text_state',
            field=models.CharField(blank=True, choices=[('suggested', 'suggested'), ('rehearsed', 'suggested in a dry run'), ('accepted', 'accepted'), ('changed', 'changed'), ('rejected', 'rejected')], default='', editable=False, max_length=10),
        ),
        migrations.AddField(
            model_name='mediaasset',
            name='alt_text_suggestion',
            field=models.TextField(blank=True, default='', editable=False, help_text='By a model; no page shows it before a person accepts it.'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(condition=models.Q(('alt_text_state', ''), _negated=True), fields=['alt_text_state', '-id'], name='mediagen_asset_suggested'),
        ),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.CheckConstraint(condition=models.Q(('alt_text_state__in', ['', 'suggested', 'rehearsed', 'accepted', 'changed', 'rejected'])), name='mediagen_asset_alt_text_state'),
        ),
        migrations.AddField(
            model_name='assetdescription',
            name='answered_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='assetdescription',
            name='asset',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='descriptions', to='mediagen.mediaasset'),
        ),
        migrations.AddField(
            model_name='assetdescription',
            name='created_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='assetdescription',
            index=models.Index(fields=['asset', '-id'], name='mediagen_description_asset'),
        ),
        migrations.AddIndex(
            model_name='assetdescription',
            index=models.Index(condition=models.Q(('state__in', ('pending', 'running'))), fields=['state', 'lease_until'], name='mediagen_description_work'),
        ),
        migrations.AddConstraint(
            model_name='assetdescription',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'running', 'ready', 'failed'])), name='mediagen_description_state'),
        ),
        migrations.AddConstraint(
            model_name='assetdescription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'ready'), _negated=True), models.Q(('text', ''), _negated=True), _connector='OR'), name='mediagen_description_text'),
        ),
    ]
