"""What has to hold from the start: files that both have stay, and assets know who uses them."""

from django.apps import AppConfig


class WagtailConfig(AppConfig):
    name = "mediagen.contrib.wagtail"
    label = "mediagen_wagtail"
    verbose_name = "mediagen: Wagtail"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.db.models.signals import post_delete, post_save
        from wagtail.images import get_image_model

        from mediagen.contrib.wagtail import images, references, storage
        from mediagen.engine.files import storage as files
        from mediagen.engine.library import elsewhere
        from mediagen.signals import asset_ready

        storage.guard()
        files.KEEPERS.append(images.has_file)
        elsewhere.INDEXES.append(references.WagtailIndex())
        asset_ready.connect(images.asset_is_ready, dispatch_uid="mediagen.wagtail")
        post_save.connect(images.image_is_saved, sender=get_image_model(), dispatch_uid="mediagen.wagtail")
        post_delete.connect(images.image_is_deleted, sender=get_image_model(), dispatch_uid="mediagen.wagtail")
