"""An index for those who look whether an asset has changed."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('mediagen', '0022_studio'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='mediaasset',
            index=models.Index(fields=['updated_at'], name='mediagen_asset_updated'),
        ),
    ]
