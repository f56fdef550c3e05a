"""What people write about pictures, and what a library wants before one is published."""

import django.core.validators
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('mediagen', '0021_alerts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='mediaasset',
            name='expires_on',
            field=models.DateField(blank=True, help_text='The last day on which it may be used.', null=True),
        ),
        migrations.AddField(
            model_name='mediaasset',
            name='licence',
            field=models.CharField(blank=True, help_text='Under which terms it may be used.', max_length=255),
        ),
        migrations.AddField(
            model_name='mediaasset',
            name='rating',
            field=models.PositiveSmallIntegerField(blank=True, help_text='1 to 5.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(5)]),
        ),
        migrations.AddField(
            model_name='medialibrary',
            name='alt_text_required',
            field=models.BooleanField(default=False, help_text='Nothing is published that has no alt text.', verbose_name='alt text before publishing'),
        ),
        migrations.AlterField(
            model_name='mediaasset',
            name='failure_code',
            field=models.CharField(blank=True, default='', editable=False, help_text='The same as a word; why a placeholder is one.', max_length=16),
        ),
        migrations.AddConstraint(
            model_name='mediaasset',
            constraint=models.CheckConstraint(condition=models.Q(('rating__isnull', True), models.Q(('rating__gte', 1), ('rating__lte', 5)), _connector='OR'), name='mediagen_asset_rating_legal'),
        ),
    ]
