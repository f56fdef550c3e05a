"""The kick: a site's task engine is told that assets wait, and runs this.

The truth is the rows; a kick that is lost, repeated or late changes nothing but the time at which work begins.

Celery, huey and others import the `tasks` of every app when they start, also on sites that use no `django.tasks`: so
`generate` and the others are tasks only where MEDIAGEN["TASK_BACKEND"] names the engine, and plain functions elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync

from mediagen import conf
from mediagen.engine.dispatch import task_engine
from mediagen.engine.events import delivery
from mediagen.engine.exports import sending
from mediagen.engine.work import jobs, task_runs
from mediagen.errors import ConfigurationError


def _for_the_engine(function: Callable[..., int]) -> Any:
    """The function as a task of the site's engine.

    It is checked at once against the engine's entry in the site's TASKS, not against "default", which may be another
    engine with other queues.
    """
    alias = conf.get("TASK_BACKEND")
    if alias is None:
        return function
    try:
        from django.tasks import task
    except ImportError:  # before Django 6
        try:
            from django_tasks import task  # type: ignore[no-redef]
        except ImportError:
            raise ConfigurationError(
                f"MEDIAGEN['TASK_BACKEND'] is {alias!r}, and this Django has no django.tasks. Install django-tasks and "
                "a backend of it (see docs/workers.md), or leave TASK_BACKEND out."
            ) from None
    return task(backend=alias, queue_name=task_engine.queue_name())(function)


@_for_the_engine
def generate(asset_ids: list[str]) -> int:
    """Fill those of these assets that nobody has taken; how many were begun. Sync: not every engine runs coroutines."""
    return task_runs.work_off(asset_ids)


@_for_the_engine
def deliver_webhooks() -> int:
    """Send the webhooks that are due; how many were sent."""
    return async_to_sync(delivery.deliver_for)(task_runs.BEGIN_FOR_S)


@_for_the_engine
def send_exports(export_ids: list[str]) -> int:
    """Send those of these exports that wait; how many."""
    return sending.work_off(export_ids)


@_for_the_engine
def work_on_jobs() -> int:
    """Work on long actions that wait, such as zips; how many were begun."""
    return jobs.work_off()
