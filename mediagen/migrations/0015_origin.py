"""Who made a picture, whom pages name for it, and whether they show a label."""

from django.conf import settings
from django.db import migrations, models


def say_who_made_them(apps, schema_editor):
    """What was made before says of itself nothing; we know it."""
    assets = apps.get_model("mediagen", "MediaAsset").objects.using(schema_editor.connection.alias)
    ready = assets.filter(generation_state="ready", digital_source_type="")
    drawn = ready.filter(source="generated", is_placeholder=True) | ready.filter(source="generated", dry_run=True)
    drawn.update(digital_source_type="algorithmicMedia")
    ready.filter(source="generated", is_placeholder=False, dry_run=False).update(
        digital_source_type="trainedAlgorithmicMedia"
    )


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('mediagen', '0014_queue_providers'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='mediaasset',
            name='ai_label',
            field=models.CharField(blank=True, choices=[('show', 'show the label'), ('hide', 'show none')], help_text='Empty: as its library says.', max_length=8),
        ),
        migrations.AddField(
            model_name='mediaasset',
            name='ai_label_reason',
            field=models.CharField(blank=True, help_text='Why pages show no label.', max_length=255),
        ),
        migrations.AddField(
            model_name='mediaasset',
            name='color',
            field=models.CharField(blank=True, editable=False, help_text='#rrggbb, its mean; empty until a size of it was made.', max_length=7),
        ),
        migrations.AddField(
            model_name='mediaasset',
            name='credit',
            field=models.CharField(blank=True, help_text='Whom pages name for it.', max_length=255),
        ),
        migrations.AddField(
            model_name='mediaasset',
            name='digital_source_type',
            field=models.CharField(blank=True, help_text="The IPTC's word for where it comes from, as it stands in the file.", max_length=60),
        ),
        migrations.AddField(
            model_name='medialibrary',
            name='ai_label',
            field=models.CharField(choices=[('always', 'always'), ('published', 'when published'), ('never', 'never, with a reason')], default='always', help_text='Whether pages say of its pictures that a model made them.', max_length=10, verbose_name='label on pages'),
        ),
        migrations.AddField(
            model_name='medialibrary',
            name='ai_label_reason',
            field=models.CharField(blank=True, help_text='Why pages show no label.', max_length=255),
        ),
        migrations.RunPython(say_who_made_them, migrations.RunPython.noop, elidable=True),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.CheckConstraint(condition=models.Q(('ai_label__in', ('', 'show')), models.Q(('ai_label', 'hide'), models.Q(('ai_label_reason', ''), _negated=True)), _connector='OR'), name='mediagen_asset_label_explained'),
        ),
        migrations.AddConstraint(
            model_name='medialibrary',
            constraint=models.CheckConstraint(condition=models.Q(('ai_label__in', ('always', 'published')), models.Q(('ai_label', 'never'), models.Q(('ai_label_reason', ''), _negated=True)), _connector='OR'), name='mediagen_library_label_explained'),
        ),
    ]
