"""A breaker knows the status of the answer that opened it: a health check proves other things then."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('mediagen', '0008_kept_answers'),
    ]

    operations = [
        migrations.AddField(
            model_name='providerhealth',
            name='http_status',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Of the answer that opened it; empty: there was none.', null=True),
        ),
    ]
