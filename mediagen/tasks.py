"""The kick: a site's task engine is told that assets wait. Imported only where MEDIAGEN["TASK_BACKEND"] is set.

The truth is the rows; a kick that is lost, repeated or late changes nothing but the time at which work begins.
"""

from __future__ import annotations

from asgiref.sync import async_to_sync

try:
    from django.tasks import task
except ImportError:  # Django 5.2
    from django_tasks import task

from mediagen.engine.worker import Until, Worker


# Plain @task(): its arguments would be checked at import against the site's TASKS, and stop the site from starting.
# The body is sync, for engines that cannot run coroutines.
@task()
def generate(asset_ids: list[str]) -> int:
    """Fill those of these assets that nobody has taken; how many were begun."""
    worker = Worker(asset_ids=asset_ids, concurrency=len(asset_ids))
    async_to_sync(worker.run)(Until.IDLE)
    return worker.begun
