"""The Django app."""

from django.apps import AppConfig


class MediagenConfig(AppConfig):
    name = "mediagen"
    verbose_name = "Media generation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mediagen import checks  # noqa: F401 - registers the system checks
