"""All tables, and the seven providers in the order in which a new site tries them.

One migration in place of the eight of the time before the first release. A database that has all eight counts as having
this one; one that stopped between them has to reach 0008 with the code of that time first.
"""

import django.core.validators
import django.db.models.deletion
import mediagen.models.asset
import mediagen.models.fields
import mediagen.models.provider
import mediagen.types
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models

PROVIDERS = ("sdxl", "openai_images", "flux", "replicate_sdxl", "figma_api", "canva_api", "noop_media")
REPLACED = (
    "0001_initial",
    "0002_seven_providers",
    "0003_rooms",
    "0004_cancel_requested",
    "0005_attempt_started",
    "0006_canva_client",
    "0007_dashboard",
    "0008_asset_counted",
)


def add_providers(apps, schema_editor):
    configs = apps.get_model("mediagen", "ProviderConfig").objects.using(schema_editor.connection.alias)
    for position, name in enumerate(PROVIDERS, start=1):
        configs.get_or_create(name=name, defaults={"adapter": name, "position": position})


class Migration(migrations.Migration):

    initial = True

    replaces = [("mediagen", name) for name in REPLACED]

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='GenerationAttempt',
            fields=[
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('provider_name', models.CharField(max_length=100)),
                ('model_name', models.CharField(blank=True, max_length=200)),
                ('operation', models.CharField(max_length=64)),
                ('position', models.PositiveIntegerField(help_text='1 for the first attempt of its run.')),
                ('state', models.CharField(choices=[('planned', 'planned'), ('submitted', 'submitted'), ('succeeded', 'succeeded'), ('failed', 'failed'), ('unknown', 'unknown'), ('adopted', 'adopted'), ('skipped', 'skipped')], default='planned', max_length=10)),
                ('outcome', models.CharField(blank=True, choices=[('succeeded', 'succeeded'), ('unavailable', 'unavailable'), ('unknown', 'unknown'), ('rate_limited', 'rate limited'), ('misconfigured', 'misconfigured'), ('refused', 'refused'), ('unsupported', 'unsupported'), ('bad_response', 'bad response'), ('skipped', 'skipped'), ('error', 'error')], max_length=16)),
                ('http_status', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('message', models.TextField(blank=True, help_text='Scrubbed of secrets.')),
                ('provider_job_id', models.CharField(blank=True, max_length=255)),
                ('provider_job', models.JSONField(blank=True, default=dict, help_text='What the adapter needs to find the job again; never a credential.')),
                ('request_digest', models.CharField(blank=True, max_length=64)),
                ('dry_run', models.BooleanField(default=False)),
                ('billable', models.BooleanField(default=True)),
                ('cost_held', models.DecimalField(blank=True, decimal_places=6, help_text='USD it may cost; known before it is sent.', max_digits=12, null=True)),
                ('cost', models.DecimalField(blank=True, decimal_places=6, help_text='USD it did cost; empty: not known.', max_digits=12, null=True)),
                ('accounts', models.JSONField(blank=True, default=list, editable=False, help_text='Where cost_held is held.')),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('latency_s', models.FloatField(blank=True, null=True)),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='MediaTag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('key', models.CharField(editable=False, max_length=100, unique=True)),
            ],
            options={
                'ordering': ('key',),
            },
        ),
        migrations.CreateModel(
            name='Dashboard',
            fields=[
            ],
            options={
                'verbose_name': 'dashboard',
                'verbose_name_plural': 'dashboard',
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('mediagen.generationattempt',),
        ),
        migrations.CreateModel(
            name='GenerationBatch',
            fields=[
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('fingerprint', models.CharField(editable=False, help_text='SHA-256 of manifest, options and library.', max_length=64, unique=True)),
                ('file_name', models.CharField(blank=True, max_length=500)),
                ('file_digest', models.CharField(blank=True, help_text='SHA-256 of the manifest, hex.', max_length=64)),
                ('options', models.JSONField(blank=True, default=dict, help_text='What every line has in common.')),
                ('state', models.CharField(choices=[('loading', 'loading'), ('running', 'running'), ('paused', 'paused'), ('finished', 'finished'), ('cancelled', 'cancelled')], default='loading', max_length=10)),
                ('state_reason', models.TextField(blank=True)),
                ('total', models.PositiveIntegerField(default=0, help_text='Assets; 0 until the manifest is loaded.')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='media_batches', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'batch',
                'verbose_name_plural': 'batches',
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='IdempotentRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=255)),
                ('digest', models.CharField(help_text='SHA-256 of method, address and body, hex.', max_length=64)),
                ('result', models.JSONField(default=dict, help_text='Ids of what it made.')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-pk',),
            },
        ),
        migrations.CreateModel(
            name='MediaAsset',
            fields=[
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(blank=True, max_length=255)),
                ('description', models.TextField(blank=True)),
                ('alt_text', models.TextField(blank=True)),
                ('media_type', models.CharField(choices=[('image', 'image')], default='image', max_length=16)),
                ('source', models.CharField(choices=[('generated', 'generated'), ('uploaded', 'uploaded'), ('variant', 'made from another asset'), ('imported', 'imported')], default='generated', max_length=10)),
                ('original_name', models.CharField(blank=True, help_text='Of an uploaded file.', max_length=255)),
                ('file', models.FileField(blank=True, max_length=500, storage=mediagen.models.asset.SiteStorage(), upload_to='')),
                ('format', models.CharField(blank=True, max_length=16)),
                ('width', models.PositiveIntegerField(default=0, help_text='Pixels of the file; 0 until there is one.')),
                ('height', models.PositiveIntegerField(default=0)),
                ('file_size', models.PositiveBigIntegerField(default=0, help_text='Bytes.')),
                ('content_hash', models.CharField(blank=True, help_text='SHA-256 of the file, hex.', max_length=64)),
                ('prompt', models.TextField(blank=True)),
                ('negative_prompt', models.TextField(blank=True)),
                ('seed', models.BigIntegerField(blank=True, null=True)),
                ('parameters', models.JSONField(blank=True, default=dict, help_text='What was asked beside the prompt: width, height, options.')),
                ('provider_name', models.CharField(blank=True, max_length=100)),
                ('model_name', models.CharField(blank=True, max_length=200)),
                ('cost', models.DecimalField(blank=True, decimal_places=6, help_text='USD; empty: not known, which is not nothing.', max_digits=12, null=True)),
                ('fit_report', models.JSONField(blank=True, default=dict, help_text='What the provider could not honour.')),
                ('is_placeholder', models.BooleanField(default=False)),
                ('dry_run', models.BooleanField(default=False)),
                ('generation_state', models.CharField(choices=[('pending', 'pending'), ('running', 'running'), ('ready', 'ready'), ('failed', 'failed'), ('cancelled', 'cancelled')], default='pending', max_length=10)),
                ('failure', models.TextField(blank=True, help_text='Why there is no picture.')),
                ('lease_worker', models.CharField(blank=True, editable=False, max_length=100)),
                ('lease_token', models.PositiveBigIntegerField(default=0, editable=False)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('tries', models.PositiveSmallIntegerField(default=0, editable=False, help_text='Runs that were put off.')),
                ('row_key', models.CharField(blank=True, help_text="Its line in the batch's manifest.", max_length=200)),
                ('kicked_at', models.DateTimeField(blank=True, editable=False, help_text='When a task engine was last told of it.', null=True)),
                ('cancel_requested_at', models.DateTimeField(blank=True, editable=False, help_text='Nothing more is bought for it; what is under way still ends.', null=True)),
                ('idempotency_key', models.CharField(blank=True, editable=False, max_length=255)),
                ('generation_id', models.UUIDField(blank=True, editable=False, help_text='Assets asked for by one request have the same.', null=True)),
                ('status', models.CharField(choices=[('draft', 'draft'), ('approved', 'approved'), ('published', 'published'), ('archived', 'archived'), ('deleted', 'deleted')], default='draft', max_length=10)),
                ('reviewed_at', models.DateTimeField(blank=True, null=True)),
                ('review_notes', models.TextField(blank=True)),
                ('status_before', models.CharField(blank=True, editable=False, help_text="What a deleted asset's status goes back to.", max_length=10)),
                ('deleted_at', models.DateTimeField(blank=True, null=True)),
                ('focal_x', models.FloatField(default=0.5, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)])),
                ('focal_y', models.FloatField(default=0.5, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)])),
                ('usage_count', models.PositiveIntegerField(default=0)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('generated_at', models.DateTimeField(blank=True, null=True)),
                ('batch', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='assets', to='mediagen.generationbatch')),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='media_assets', to=settings.AUTH_USER_MODEL)),
                ('deleted_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='children', to='mediagen.mediaasset')),
                ('reviewed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-id',),
                'permissions': (('approve_mediaasset', 'Can approve, publish, archive and restore media assets'),),
            },
        ),
        migrations.AddField(
            model_name='generationattempt',
            name='asset',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='attempts', to='mediagen.mediaasset'),
        ),
        migrations.CreateModel(
            name='AssetUsage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('campaign', models.CharField(max_length=200)),
                ('channel', models.CharField(blank=True, max_length=100)),
                ('url', models.URLField(blank=True, help_text='Where it can be seen.', max_length=1000)),
                ('impressions', models.PositiveBigIntegerField(default=0)),
                ('clicks', models.PositiveBigIntegerField(default=0)),
                ('engagements', models.PositiveBigIntegerField(default=0)),
                ('conversions', models.PositiveBigIntegerField(default=0)),
                ('shares', models.PositiveBigIntegerField(default=0)),
                ('comments', models.PositiveBigIntegerField(default=0)),
                ('first_used_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('ended_at', models.DateTimeField(blank=True, help_text='Empty: in use.', null=True)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='usages', to='mediagen.mediaasset')),
            ],
            options={
                'verbose_name': 'usage',
                'ordering': ('-updated_at', '-pk'),
            },
        ),
        migrations.CreateModel(
            name='AssetExport',
            fields=[
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('target', models.CharField(choices=[('figma', 'Figma'), ('canva', 'Canva')], max_length=10)),
                ('state', models.CharField(choices=[('pending', 'pending'), ('running', 'running'), ('waiting', 'waiting for the plugin'), ('placed', 'placed'), ('failed', 'failed'), ('expired', 'expired'), ('cancelled', 'cancelled')], default='pending', max_length=10)),
                ('message', models.TextField(blank=True, help_text='What went wrong, or what somebody has to do.')),
                ('provider_name', models.CharField(blank=True, max_length=100)),
                ('dry_run', models.BooleanField(default=False)),
                ('file_key', models.CharField(blank=True, help_text='Figma: the file. Canva: the folder.', max_length=200)),
                ('page_id', models.CharField(blank=True, max_length=100)),
                ('frame_name', models.CharField(blank=True, help_text='Figma: name of the frame. Canva: title.', max_length=255)),
                ('x', models.FloatField(blank=True, null=True)),
                ('y', models.FloatField(blank=True, null=True)),
                ('options', models.JSONField(blank=True, default=dict)),
                ('external_id', models.CharField(blank=True, help_text='Figma: id of the node. Canva: id of the uploaded asset.', max_length=200)),
                ('design_id', models.CharField(blank=True, help_text='Canva: the design made with it.', max_length=200)),
                ('url', models.TextField(blank=True, help_text='Where a person opens it.')),
                ('comment_id', models.CharField(blank=True, max_length=100)),
                ('job_id', models.CharField(blank=True, help_text="The other side's job, while it runs.", max_length=255)),
                ('lease_worker', models.CharField(blank=True, editable=False, max_length=100)),
                ('lease_token', models.PositiveBigIntegerField(default=0, editable=False)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('placed_at', models.DateTimeField(blank=True, null=True)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='exports', to='mediagen.mediaasset')),
            ],
            options={
                'verbose_name': 'export',
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='MediaLibrary',
            fields=[
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=200, unique=True)),
                ('slug', models.SlugField(blank=True, help_text='Left empty: made from the name.', max_length=200, unique=True)),
                ('description', models.TextField(blank=True)),
                ('budget_limit', models.DecimalField(blank=True, decimal_places=4, help_text='USD; empty: no limit.', max_digits=12, null=True)),
                ('budget_period', models.CharField(choices=[('day', 'per day'), ('month', 'per month'), ('total', 'in all')], default='month', max_length=8)),
                ('budget_warning', models.DecimalField(blank=True, decimal_places=4, help_text='USD spent in the period that warn.', max_digits=12, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('editor_groups', models.ManyToManyField(blank=True, related_name='editable_media_libraries', to='auth.group')),
                ('owner', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='media_libraries', to=settings.AUTH_USER_MODEL)),
                ('viewer_groups', models.ManyToManyField(blank=True, related_name='viewable_media_libraries', to='auth.group')),
                ('default_tags', models.ManyToManyField(blank=True, help_text='Given to every new asset.', related_name='default_in', to='mediagen.mediatag')),
            ],
            options={
                'verbose_name_plural': 'media libraries',
                'ordering': ('name',),
                'permissions': (('view_all_libraries', 'Can see and use every media library'),),
            },
        ),
        migrations.AddField(
            model_name='mediaasset',
            name='library',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assets', to='mediagen.medialibrary'),
        ),
        migrations.AddField(
            model_name='generationattempt',
            name='library',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='mediagen.medialibrary'),
        ),
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('hint', models.CharField(editable=False, help_text='Its last characters.', max_length=8)),
                ('scopes', models.JSONField(default=list, help_text='read, generate, change, approve, figma')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='media_api_tokens', to=settings.AUTH_USER_MODEL)),
                ('library', models.ForeignKey(blank=True, help_text='Only this library; empty: all that its user may use.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='mediagen.medialibrary')),
            ],
            options={
                'verbose_name': 'API token',
                'ordering': ('-id',),
            },
        ),
        migrations.AddField(
            model_name='mediaasset',
            name='tags',
            field=models.ManyToManyField(blank=True, related_name='assets', to='mediagen.mediatag'),
        ),
        migrations.CreateModel(
            name='ProviderConfig',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='As it appears in attempts, assets and tags.', max_length=100, unique=True)),
                ('adapter', models.CharField(choices=mediagen.models.provider.provider_choices, max_length=100)),
                ('position', models.PositiveIntegerField(default=0, help_text='Its place in the chain; the smallest is tried first.')),
                ('enabled', models.BooleanField(default=True)),
                ('credentials', mediagen.models.fields.CredentialField(blank=True, default='', help_text="Encrypted. Empty: the adapter's environment variable is used.")),
                ('base_url', models.CharField(blank=True, help_text="Empty: the vendor's own address.", max_length=500)),
                ('model', models.CharField(blank=True, help_text="Empty: the adapter's default.", max_length=200)),
                ('options', models.JSONField(blank=True, default=dict)),
                ('prices', models.JSONField(blank=True, default=dict, help_text='USD a picture, {"model": "0.03"}; goes before the built-in table.')),
                ('timeout_s', models.FloatField(blank=True, help_text="Seconds for one picture; empty: the adapter's default.", null=True, validators=[django.core.validators.MinValueValidator(0.1), django.core.validators.MaxValueValidator(86400)])),
                ('max_concurrency', models.PositiveIntegerField(blank=True, help_text='Requests at once; empty: no limit.', null=True)),
                ('rate_per_minute', models.PositiveIntegerField(blank=True, help_text='Requests; empty: no limit.', null=True)),
                ('dry_run', models.BooleanField(blank=True, help_text="Empty: as the site's settings say.", null=True)),
                ('after_unknown', models.CharField(choices=[('next', 'ask the next provider'), ('stop', 'stop')], default='next', help_text='When no answer came and the picture may have been bought.', max_length=4)),
                ('after_refusal', models.CharField(choices=[('next', 'ask the next provider'), ('stop', 'stop')], default='stop', help_text='When its moderation refuses the prompt.', max_length=4)),
                ('budget_limit', models.DecimalField(blank=True, decimal_places=4, help_text='USD; empty: no limit.', max_digits=12, null=True)),
                ('budget_period', models.CharField(choices=[('day', 'per day'), ('month', 'per month'), ('total', 'in all')], default='month', max_length=8)),
                ('budget_warning', models.DecimalField(blank=True, decimal_places=4, help_text='USD spent in the period that warn.', max_digits=12, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'verbose_name': 'provider',
                'ordering': ('position', 'pk'),
                'constraints': [models.CheckConstraint(condition=models.Q(('timeout_s__isnull', True), ('timeout_s__gt', 0), _connector='OR'), name='mediagen_provider_timeout_positive'), models.CheckConstraint(condition=models.Q(models.Q(('budget_limit__isnull', True), ('budget_limit__gte', 0), _connector='OR'), models.Q(('budget_warning__isnull', True), ('budget_warning__gte', 0), _connector='OR')), name='mediagen_provider_budget_positive'), models.CheckConstraint(condition=models.Q(('after_unknown__in', ['next', 'stop']), ('after_refusal__in', ['next', 'stop']), ('budget_period__in', ['day', 'month', 'total'])), name='mediagen_provider_rules_legal')],
            },
        ),
        migrations.CreateModel(
            name='CanvaConnection',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('client_id', models.CharField(blank=True, help_text="Of the integration in Canva's portal.", max_length=255)),
                ('client_secret', mediagen.models.fields.CredentialField(blank=True, default='', help_text="Encrypted. Empty: the environment's is used.")),
                ('base_url', models.CharField(blank=True, editable=False, help_text='Where secret and tokens belong; nobody else gets them.', max_length=500)),
                ('access_token', mediagen.models.fields.CredentialField(blank=True, default='')),
                ('refresh_token', mediagen.models.fields.CredentialField(blank=True, default='')),
                ('scopes', models.TextField(blank=True)),
                ('account', models.CharField(blank=True, help_text='Whose it is, as Canva names them.', max_length=255)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('refreshed_at', models.DateTimeField(blank=True, null=True)),
                ('version', models.PositiveBigIntegerField(default=0, editable=False, help_text='Grows with every claim and change of the tokens.')),
                ('refreshing_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('broken', models.TextField(blank=True, help_text='Why it has to be connected again; empty: it works.')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('connected_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('provider', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='canva_connection', to='mediagen.providerconfig')),
            ],
            options={
                'verbose_name': 'Canva connection',
            },
        ),
        migrations.CreateModel(
            name='ProviderHealth',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider_name', models.CharField(max_length=100)),
                ('model_name', models.CharField(blank=True, max_length=200)),
                ('operation', models.CharField(max_length=64)),
                ('state', models.CharField(choices=[('closed', 'closed'), ('open', 'open'), ('half_open', 'half open')], default='closed', max_length=10)),
                ('failures', models.PositiveIntegerField(default=0, help_text='Counted failures in a row.')),
                ('openings', models.PositiveIntegerField(default=0, help_text='Times opened since the last success.')),
                ('open_until', models.DateTimeField(blank=True, help_text='Empty while open: until the configuration changes.', null=True)),
                ('probe_until', models.DateTimeField(blank=True, null=True)),
                ('outcome', models.CharField(blank=True, max_length=16)),
                ('reason', models.TextField(blank=True, help_text='Scrubbed of secrets.')),
                ('config_digest', models.CharField(blank=True, editable=False, max_length=64)),
                ('last_failure_at', models.DateTimeField(blank=True, null=True)),
                ('last_success_at', models.DateTimeField(blank=True, null=True)),
                ('version', models.PositiveBigIntegerField(default=0, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
            ],
            options={
                'verbose_name': 'provider health',
                'verbose_name_plural': 'provider health',
                'ordering': ('provider_name', 'model_name', 'operation'),
                'constraints': [models.UniqueConstraint(fields=('provider_name', 'model_name', 'operation'), name='mediagen_health_circuit_unique'), models.CheckConstraint(condition=models.Q(('state__in', ['closed', 'open', 'half_open'])), name='mediagen_health_state_legal')],
            },
        ),
        migrations.CreateModel(
            name='Rendition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(help_text="w400-h0-inside-webp-q80-<first 16 of the source's hash>", max_length=150)),
                ('file', models.FileField(max_length=500, storage=mediagen.models.asset.SiteStorage(), upload_to='')),
                ('format', models.CharField(max_length=16)),
                ('width', models.PositiveIntegerField(help_text='Pixels.')),
                ('height', models.PositiveIntegerField()),
                ('file_size', models.PositiveBigIntegerField(help_text='Bytes.')),
                ('content_hash', models.CharField(help_text='SHA-256 of the file, hex.', max_length=64)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='renditions', to='mediagen.mediaasset')),
            ],
            options={
                'ordering': ('-pk',),
            },
        ),
        migrations.CreateModel(
            name='SpendAccount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.CharField(help_text='batch:<id>, library:<id> or provider:<name>', max_length=120)),
                ('period', models.CharField(blank=True, help_text='2026-11-22, 2026-11, or empty for all time.', max_length=10)),
                ('limit', models.DecimalField(blank=True, decimal_places=6, max_digits=14, null=True)),
                ('held', models.DecimalField(decimal_places=6, default=Decimal('0'), max_digits=14)),
                ('spent', models.DecimalField(decimal_places=6, default=Decimal('0'), max_digits=14)),
            ],
            options={
                'ordering': ('owner', 'period'),
                'constraints': [models.UniqueConstraint(fields=('owner', 'period'), name='mediagen_account_unique'), models.CheckConstraint(condition=models.Q(('spent__gte', 0), models.Q(('limit__isnull', True), ('limit__gte', 0), _connector='OR')), name='mediagen_account_positive')],
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider_name', models.CharField(max_length=100)),
                ('delivery_id', models.CharField(help_text="The provider's own; a repeated delivery has the same.", max_length=200)),
                ('job_id', models.CharField(max_length=255)),
                ('payload', models.JSONField()),
                ('received_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'verbose_name_plural': 'webhook deliveries',
                'ordering': ('-pk',),
                'indexes': [models.Index(fields=['provider_name', 'job_id'], name='mediagen_webhook_job')],
                'constraints': [models.UniqueConstraint(fields=('provider_name', 'delivery_id'), name='mediagen_webhook_once')],
            },
        ),
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('url', models.URLField(max_length=1000)),
                ('secret', mediagen.models.fields.CredentialField(blank=True, default='', help_text='Encrypted. Signs every message; shown once when it is made.')),
                ('events', models.JSONField(blank=True, default=list, help_text='Empty: all of them.')),
                ('enabled', models.BooleanField(default=True)),
                ('disabled_reason', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('library', models.ForeignKey(blank=True, help_text='Only of this library; empty: of all.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='mediagen.medialibrary')),
            ],
            options={
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='WebhookMessage',
            fields=[
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('event', models.CharField(max_length=40)),
                ('payload', models.JSONField()),
                ('state', models.CharField(choices=[('pending', 'pending'), ('delivered', 'delivered'), ('failed', 'given up')], default='pending', max_length=10)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('next_try_at', models.DateTimeField(blank=True, null=True)),
                ('http_status', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('message', models.TextField(blank=True, help_text='Why the last try failed.')),
                ('lease_token', models.PositiveBigIntegerField(default=0, editable=False)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('delivered_at', models.DateTimeField(blank=True, null=True)),
                ('endpoint', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='mediagen.webhookendpoint')),
            ],
            options={
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='BackgroundJob',
            fields=[
                ('id', models.UUIDField(default=mediagen.types.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=40)),
                ('arguments', models.JSONField(blank=True, default=dict)),
                ('state', models.CharField(choices=[('pending', 'pending'), ('running', 'running'), ('done', 'done'), ('failed', 'failed'), ('cancelled', 'cancelled')], default='pending', max_length=10)),
                ('total', models.PositiveIntegerField(default=0)),
                ('done', models.PositiveIntegerField(default=0)),
                ('failed', models.PositiveIntegerField(default=0)),
                ('message', models.TextField(blank=True)),
                ('result', models.JSONField(blank=True, default=dict)),
                ('file', models.FileField(blank=True, help_text='What it made: a zip, say.', max_length=500, storage=mediagen.models.asset.SiteStorage(), upload_to='')),
                ('lease_worker', models.CharField(blank=True, editable=False, max_length=100)),
                ('lease_token', models.PositiveBigIntegerField(default=0, editable=False)),
                ('lease_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('expires_at', models.DateTimeField(blank=True, help_text='When its file goes.', null=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(condition=models.Q(('state__in', ('pending', 'running'))), fields=['state', 'id'], name='mediagen_job_work')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'running', 'done', 'failed', 'cancelled'])), name='mediagen_job_state_legal')],
            },
        ),
        migrations.AddIndex(
            model_name='generationbatch',
            index=models.Index(fields=['state', '-id'], name='mediagen_batch_state'),
        ),
        migrations.AddConstraint(
            model_name='generationbatch',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['loading', 'running', 'paused', 'finished', 'cancelled'])), name='mediagen_batch_state_legal'),
        ),
        migrations.AddIndex(
            model_name='idempotentrequest',
            index=models.Index(fields=['created_at'], name='mediagen_idempotent_age'),
        ),
        migrations.AddConstraint(
            model_name='idempotentrequest',
            constraint=models.UniqueConstraint(fields=('user', 'key'), name='mediagen_idempotent_once'),
        ),
        migrations.AddIndex(
            model_name='assetusage',
            index=models.Index(fields=['campaign', 'channel'], name='mediagen_usage_campaign'),
        ),
        migrations.AddConstraint(
            model_name='assetusage',
            constraint=models.UniqueConstraint(fields=('asset', 'campaign', 'channel'), name='mediagen_usage_unique'),
        ),
        migrations.AddConstraint(
            model_name='assetusage',
            constraint=models.CheckConstraint(condition=models.Q(('campaign', ''), _negated=True), name='mediagen_usage_named'),
        ),
        migrations.AddIndex(
            model_name='assetexport',
            index=models.Index(fields=['target', 'state', '-id'], name='mediagen_export_state'),
        ),
        migrations.AddConstraint(
            model_name='assetexport',
            constraint=models.CheckConstraint(condition=models.Q(('target__in', ['figma', 'canva'])), name='mediagen_export_target_legal'),
        ),
        migrations.AddConstraint(
            model_name='assetexport',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'running', 'waiting', 'placed', 'failed', 'expired', 'cancelled'])), name='mediagen_export_state_legal'),
        ),
        migrations.AddIndex(
            model_name='generationattempt',
            index=models.Index(fields=['started_at'], name='mediagen_attempt_started'),
        ),
        migrations.AddIndex(
            model_name='generationattempt',
            index=models.Index(fields=['provider_name', '-started_at'], name='mediagen_attempt_provider'),
        ),
        migrations.AddIndex(
            model_name='generationattempt',
            index=models.Index(fields=['library', '-started_at'], name='mediagen_attempt_library'),
        ),
        migrations.AddIndex(
            model_name='generationattempt',
            index=models.Index(fields=['outcome', '-started_at'], name='mediagen_attempt_outcome'),
        ),
        migrations.AddIndex(
            model_name='generationattempt',
            index=models.Index(condition=models.Q(('provider_job_id', ''), _negated=True), fields=['provider_name', 'provider_job_id'], name='mediagen_attempt_job'),
        ),
        migrations.AddIndex(
            model_name='generationattempt',
            index=models.Index(condition=models.Q(('state__in', ('planned', 'submitted'))), fields=['started_at'], name='mediagen_attempt_open'),
        ),
        migrations.AddConstraint(
            model_name='generationattempt',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['planned', 'submitted', 'succeeded', 'failed', 'unknown', 'adopted', 'skipped'])), name='mediagen_attempt_state_legal'),
        ),
        migrations.AddConstraint(
            model_name='generationattempt',
            constraint=models.CheckConstraint(condition=models.Q(('outcome__in', ['', 'succeeded', 'unavailable', 'unknown', 'rate_limited', 'misconfigured', 'refused', 'unsupported', 'bad_response', 'skipped', 'error'])), name='mediagen_attempt_outcome_legal'),
        ),
        migrations.AddConstraint(
            model_name='generationattempt',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cost__isnull', True), ('cost__gte', 0), _connector='OR'), models.Q(('cost_held__isnull', True), ('cost_held__gte', 0), _connector='OR')), name='mediagen_attempt_money_positive'),
        ),
        migrations.AddConstraint(
            model_name='medialibrary',
            constraint=models.CheckConstraint(condition=models.Q(('budget_limit__isnull', True), ('budget_limit__gte', 0), _connector='OR'), name='mediagen_library_budget_positive'),
        ),
        migrations.AddConstraint(
            model_name='medialibrary',
            constraint=models.CheckConstraint(condition=models.Q(('budget_warning__isnull', True), ('budget_warning__gte', 0), _connector='OR'), name='mediagen_library_warning_positive'),
        ),
        migrations.AddConstraint(
            model_name='medialibrary',
            constraint=models.CheckConstraint(condition=models.Q(('budget_period__in', ['day', 'month', 'total'])), name='mediagen_library_period_legal'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(fields=['library', '-id'], name='mediagen_asset_library'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(fields=['status', '-id'], name='mediagen_asset_status'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(fields=['provider_name', '-id'], name='mediagen_asset_provider'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(fields=['created_at'], name='mediagen_asset_created'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(fields=['batch', 'generation_state', 'id'], name='mediagen_asset_batch'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(fields=['library', 'generation_state', 'status', 'file_size'], name='mediagen_asset_counted'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(fields=['content_hash'], name='mediagen_asset_hash'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(condition=models.Q(('generation_id__isnull', False)), fields=['generation_id'], name='mediagen_asset_generation'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(condition=models.Q(('deleted_at__isnull', False)), fields=['deleted_at'], name='mediagen_asset_deleted'),
        ),
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(condition=models.Q(('generation_state', 'ready'), _negated=True), fields=['generation_state', 'lease_until'], name='mediagen_asset_work'),
        ),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.CheckConstraint(condition=models.Q(('generation_state__in', ['pending', 'running', 'ready', 'failed', 'cancelled'])), name='mediagen_asset_state_legal'),
        ),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['draft', 'approved', 'published', 'archived', 'deleted'])), name='mediagen_asset_status_legal'),
        ),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.CheckConstraint(condition=models.Q(('source__in', ['generated', 'uploaded', 'variant', 'imported'])), name='mediagen_asset_source_legal'),
        ),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.CheckConstraint(condition=models.Q(('cost__isnull', True), ('cost__gte', 0), _connector='OR'), name='mediagen_asset_cost_positive'),
        ),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('generation_state', 'ready'), _negated=True), models.Q(models.Q(('file', ''), _negated=True), models.Q(('content_hash', ''), _negated=True)), _connector='OR'), name='mediagen_asset_ready_has_file'),
        ),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.CheckConstraint(condition=models.Q(('focal_x__gte', 0), ('focal_x__lte', 1), ('focal_y__gte', 0), ('focal_y__lte', 1)), name='mediagen_asset_focal_inside'),
        ),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.UniqueConstraint(condition=models.Q(('batch__isnull', False)), fields=('batch', 'row_key'), name='mediagen_asset_batch_row'),
        ),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.UniqueConstraint(condition=models.Q(('idempotency_key', ''), _negated=True), fields=('library', 'idempotency_key'), name='mediagen_asset_idempotency'),
        ),
        migrations.AddConstraint(
            model_name='rendition',
            constraint=models.UniqueConstraint(fields=('asset', 'key'), name='mediagen_rendition_unique'),
        ),
        migrations.AddIndex(
            model_name='webhookmessage',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['next_try_at'], name='mediagen_message_due'),
        ),
        migrations.AddConstraint(
            model_name='webhookmessage',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'delivered', 'failed'])), name='mediagen_message_state_legal'),
        ),
        # Backwards there is nothing to do: the table goes too.
        migrations.RunPython(add_providers, migrations.RunPython.noop),
    ]
