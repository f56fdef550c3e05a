from django.apps import AppConfig


class HarbourConfig(AppConfig):
    name = "tests.outside.wagtail_host"
    label = "harbour"
    default_auto_field = "django.db.models.BigAutoField"
