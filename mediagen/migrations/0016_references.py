"""Where texts of the site name assets."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('mediagen', '0015_origin'),
    ]

    operations = [
        migrations.CreateModel(
            name='AssetReference',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('model', models.CharField(help_text='blog.post', max_length=150)),
                ('object_id', models.CharField(max_length=200)),
                ('field', models.CharField(max_length=100)),
                ('asset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='references', to='mediagen.mediaasset')),
            ],
            options={
                'ordering': ('pk',),
                'indexes': [models.Index(fields=['model', 'object_id'], name='mediagen_reference_row')],
                'constraints': [models.UniqueConstraint(fields=('asset', 'model', 'object_id', 'field'), name='mediagen_reference_unique')],
            },
        ),
    ]
