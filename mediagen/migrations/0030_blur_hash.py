"""A picture's blur, for its place on a page."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0029_attempt_sums")]

    operations = [
        migrations.AddField(
            model_name="mediaasset",
            name="blur_hash",
            field=models.CharField(
                blank=True,
                default="",
                editable=False,
                help_text="Its blur (BlurHash); empty until a size of the whole was made.",
                max_length=40,
            ),
            preserve_default=False,
        ),
    ]
