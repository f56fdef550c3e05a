"""The Django app."""

from typing import Any

from django.apps import AppConfig


class MediagenConfig(AppConfig):
    name = "mediagen"
    verbose_name = "Media generation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mediagen import checks  # noqa: F401 - registers the system checks
        from mediagen.engine.dispatch.waiting import batch_waits

        batch_waits.connect(_work_on_batch, dispatch_uid="mediagen.work")


def _work_on_batch(batch_id: Any, **_: Any) -> None:
    from mediagen.engine.work import in_server  # with it come the HTTP library and the chain: not at start

    in_server.work_on_batch_soon(batch_id)
