"""Why there is no picture, as a word for programs; and the way to one's own assets."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mediagen", "0010_key_consent")]

    operations = [
        migrations.AddField(
            model_name="mediaasset",
            name="failure_code",
            field=models.CharField(
                blank=True, default="", editable=False, help_text="The same as a word; of failed ones.", max_length=16
            ),
        ),
        migrations.AddIndex(
            model_name="mediaasset",
            index=models.Index(fields=["created_by", "-id"], name="mediagen_asset_creator"),
        ),
    ]
