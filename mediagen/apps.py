"""The Django app."""

from collections.abc import Callable, Coroutine
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_migrate, post_save
from django.utils.translation import gettext_lazy

from mediagen import conf


class MediagenConfig(AppConfig):
    name = "mediagen"
    verbose_name = gettext_lazy("Media generation")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mediagen import checks  # noqa: F401 - registers the system checks
        from mediagen.engine.dispatch import batch_waits, export_wanted, look_wanted, server_wanted, task_wanted
        from mediagen.models import kept_by_database, mariadb, words
        from mediagen.models.writer import read_relations_from_writer

        for model in self.get_models(include_auto_created=True):
            read_relations_from_writer(model)
            mariadb.let_any_case_be_found(model)
            words.speak(model)
        post_migrate.connect(mariadb.tell_texts_apart, sender=self, dispatch_uid="mediagen.mariadb")
        post_migrate.connect(kept_by_database.keep, sender=self, dispatch_uid="mediagen.kept")
        batch_waits.connect(_work_on_batch, dispatch_uid="mediagen.work")
        server_wanted.connect(_run_in_server, dispatch_uid="mediagen.work")
        task_wanted.connect(_give_to_task_engine, dispatch_uid="mediagen.tasks")
        export_wanted.connect(_export, dispatch_uid="mediagen.exports")
        look_wanted.connect(_look_for_alerts, dispatch_uid="mediagen.alerts")
        # Of all models, for the setting that says of which is read when something happens.
        post_save.connect(_row_saved, dispatch_uid="mediagen.references.saved")
        post_delete.connect(_row_deleted, dispatch_uid="mediagen.references.deleted")


# The imports are not at the top: the HTTP library and the chain come with the worker, and a site's start has no use for
# them; a task is checked against the site's engine, which is an extra, when it is made.


def _work_on_batch(batch_id: Any, **_: Any) -> None:
    from mediagen.engine.work import in_server

    in_server.work_on_batch_soon(batch_id)


def _run_in_server(run: Callable[[], Coroutine[Any, Any, Any]], **_: Any) -> None:
    from mediagen.engine.work import in_server

    in_server.run_soon(run)


def _give_to_task_engine(name: str, args: tuple[Any, ...], **_: Any) -> None:
    from mediagen import tasks
    from mediagen.engine.dispatch import task_engine

    task = getattr(tasks, name)
    task.using(backend=conf.get("TASK_BACKEND"), queue_name=task_engine.queue_name()).enqueue(*args)


def _export(asset: Any, arguments: dict[str, Any], by: Any, since: Any, **_: Any) -> Any:
    from mediagen.engine.exports import requests

    return requests.place_once(asset, arguments, by=by, since=since)


def _look_for_alerts(**_: Any) -> Coroutine[Any, Any, Any]:
    from mediagen.engine.insight import alerts

    return alerts.look_and_tell()


def _row_saved(instance: Any, **_: Any) -> None:
    if conf.get("RICH_TEXT_FIELDS"):
        from mediagen.engine.library import references

        references.remember(instance)


def _row_deleted(instance: Any, **_: Any) -> None:
    if conf.get("RICH_TEXT_FIELDS"):
        from mediagen.engine.library import references

        references.forget(instance)
