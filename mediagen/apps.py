"""The Django app."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save

from mediagen import conf


class MediagenConfig(AppConfig):
    name = "mediagen"
    verbose_name = "Media generation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mediagen import checks  # noqa: F401 - registers the system checks
        from mediagen.engine.dispatch.waiting import batch_waits

        batch_waits.connect(_work_on_batch, dispatch_uid="mediagen.work")
        # Of all models, for the setting that says of which is read when something happens.
        post_save.connect(_row_saved, dispatch_uid="mediagen.references.saved")
        post_delete.connect(_row_deleted, dispatch_uid="mediagen.references.deleted")


def _work_on_batch(batch_id: Any, **_: Any) -> None:
    from mediagen.engine.work import in_server  # with it come the HTTP library and the chain: not at start

    in_server.work_on_batch_soon(batch_id)


def _row_saved(instance: Any, **_: Any) -> None:
    if conf.get("RICH_TEXT_FIELDS"):
        from mediagen.engine.library import references

        references.remember(instance)


def _row_deleted(instance: Any, **_: Any) -> None:
    if conf.get("RICH_TEXT_FIELDS"):
        from mediagen.engine.library import references

        references.forget(instance)
