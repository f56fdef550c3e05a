"""Long actions as rows: begun in a request, worked off elsewhere, gone on with after a crash, with their progress.

Who works: the site's task engine, `manage.py generate_worker`, or the server process itself. A job is held by a lease
like an asset. Each kind goes through its assets one by one and keeps how far it is; what it does to one of them may be
done twice without harm, because a process may die between doing it and saying so. Whether the person who began it may
is asked again when it runs, with the access that he has then.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, close_old_connections
from django.db.models.functions import Now

import mediagen.engine.work.in_server as in_server
from mediagen import conf
from mediagen.engine.database import as_uuid
from mediagen.engine.dispatch import periodic, task_engine
from mediagen.engine.files import storage
from mediagen.engine.generation import leases
from mediagen.engine.work.job_kinds import KINDS
from mediagen.engine.work.running_job import LEASE_S, JobLost, JobPutBack, Running
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import ApiToken, BackgroundJob, JobState, asset_storage
from mediagen.models.clock import db_now
from mediagen.models.routing import on_commit
from mediagen.types import uuid7
from mediagen.wording import say as _

logger = logging.getLogger("mediagen.engine")

MAX_ASSETS = 10_000
MAX_TRIES = 10
"""A job that took so many workers with it is not given to another one."""
LOOK_EVERY_S = 2.0
KEPT_FOR = timedelta(days=30)

NAME = re.compile(r"(?P<id>[0-9a-f]{32})-(?P<token>[0-9]+)(?:_[A-Za-z0-9]+)?\.zip")
"""of a file that a job has made"""


# ---------------------------------------------------------------- beginning and ending


def start(
    kind: str,
    arguments: Mapping[str, Any],
    *,
    by: Any,
    total: int | None = None,
    token: ApiToken | None = None,
    pk: uuid.UUID | None = None,
) -> BackgroundJob:
    """The job, pending, and told to whoever works when the transaction is committed.

    Every kind takes `asset_ids`, at most 10,000; see `job_kinds` for what else each one takes. `by` is the user whose
    access counts, within what `token` allows when one is given. `total` is how many steps it has, the assets' number
    if not said. Under a `pk` that there is already, nothing is begun: it is the same form, sent twice. `InvalidRequest`
    with `field` for a kind that there is not, and for arguments that cannot be.
    """
    if kind not in KINDS:
        raise InvalidRequest(
            _("There is no kind of job %(kind)s. There are: %(kinds)s.", kind=f"{kind!r:.40}", kinds=", ".join(KINDS)),
            field="kind",
        )
    if getattr(by, "pk", None) is None:
        raise InvalidRequest(_("A job is begun by somebody: give a user."), field="by")
    ids = checked_ids(arguments.get("asset_ids"))
    rest = {name: value for name, value in arguments.items() if name != "asset_ids"}
    kept = {**KINDS[kind].check(rest), "asset_ids": ids}
    if token is not None:
        kept["token"] = str(token.pk)
    values = {"kind": kind, "arguments": kept, "created_by": by, "total": len(ids) if total is None else total}
    job, is_new = BackgroundJob.objects.get_or_create(pk=pk or uuid7(), defaults=values)
    if is_new:
        on_commit(soon)
    return job


def checked_ids(ids: Any) -> list[str]:
    """Each id once, as text; `InvalidRequest` for none, too many, and what is no id."""
    if isinstance(ids, str | bytes | Mapping) or not isinstance(ids, Iterable):
        raise InvalidRequest(_("asset_ids must be a list of ids."), field="asset_ids")
    found = list(dict.fromkeys(str(pk) for each in ids if (pk := as_uuid(each, "asset_ids")) is not None))
    if not 1 <= len(found) <= MAX_ASSETS:
        raise InvalidRequest(
            _(
                "Name 1 to %(max_assets)s assets, not %(number)s.",
                max_assets=f"{MAX_ASSETS:,}",
                number=f"{len(found):,}",
            ),
            field="asset_ids",
        )
    return found


def cancel(job: BackgroundJob) -> bool:
    """End it before its next step; False when it was over. What it has done so far stays done, but a half zip goes."""
    now = db_now()
    waiting = BackgroundJob.objects.filter(pk=job.pk, state__in=(JobState.PENDING, JobState.RUNNING))
    done = waiting.update(state=JobState.CANCELLED, lease_until=None, finished_at=now, updated_at=now)
    job.refresh_from_db()
    return bool(done)


def soon() -> None:
    """Have waiting jobs worked off now: by the site's task engine, or in this process; else a worker finds them.

    Raises nothing: the jobs are rows, and whoever looks next takes them.
    """
    try:
        if conf.get("TASK_BACKEND") is not None:
            task_engine.send("work_on_jobs")
        else:
            in_server.run_soon(work_off_soon)
    except Exception as exc:
        logger.error("nobody could be told of a waiting job (%s); it waits for a worker.", task_engine.reason(exc))


def tell_again() -> bool:
    """Tell the task engine once more when jobs wait, for a message may be lost; whether it was told."""
    _free_dead_workers()
    if conf.get("TASK_BACKEND") is None or not BackgroundJob.objects.takeable().exists():
        return False
    soon()
    return True


# ---------------------------------------------------------------- working


def work_off(should_stop: Callable[[], bool] = lambda: False) -> int:
    """Work on jobs, one after the other, until none can be taken; how many were begun."""
    count = 0
    while not should_stop() and (job := _take()) is not None:
        count += 1
        _work(Running(job, should_stop=should_stop))
    return count


async def work_off_soon() -> int:
    """As `work_off`, beside a running event loop."""
    return await sync_to_async(_in_own_thread, thread_sensitive=False)(lambda: False)


async def keep_working(stop: asyncio.Event) -> None:
    """Work on jobs until it is told to stop, beside a worker. A job under way is put back then, to be gone on with."""
    work = partial(sync_to_async(_in_own_thread, thread_sensitive=False), stop.is_set)
    await periodic.until_stopped(stop, work, every_s=LOOK_EVERY_S, what="jobs could not be worked on")


def _in_own_thread(should_stop: Callable[[], bool]) -> int:
    try:
        return work_off(should_stop)
    finally:
        close_old_connections()


def _take() -> BackgroundJob | None:
    _free_dead_workers()
    worker = leases.worker_name()
    for pk in BackgroundJob.objects.takeable().order_by("id").values_list("pk", flat=True)[:20]:
        until = Now() + timedelta(seconds=LEASE_S)
        if BackgroundJob.objects.take(pk, worker=worker, until=until):
            job = BackgroundJob.objects.select_related("created_by").get(pk=pk)
            if job.lease_token <= MAX_TRIES:
                return job
            _end(job, JobState.FAILED, "Its workers died, one after the other. The log may say why.")
    return None


def _free_dead_workers() -> None:
    leases.free_dead_workers_of(BackgroundJob.objects.filter(state=JobState.RUNNING))


def _work(running: Running) -> None:
    job = running.job
    try:
        KINDS[job.kind].run(running)
        running.save(state=JobState.DONE, finished_at=db_now(), lease_until=None, lease_worker="")
    except JobLost:
        logger.info("job %s was cancelled or taken over", job.pk)
    except JobPutBack:
        held = BackgroundJob.objects.held(job.pk, job.lease_token)
        held.update(state=JobState.PENDING, lease_until=None, lease_worker="", updated_at=db_now())
    except (OperationalError, InterfaceError):
        # Its lease ends by itself, and it is taken again.
        logger.exception("job %s: the database is away", job.pk)
    except MediagenError as exc:
        _end(job, JobState.FAILED, str(exc))
    except Exception as exc:
        # Its text may hold anything; the log has it.
        logger.exception("job %s (%s) failed", job.pk, job.kind)
        _end(job, JobState.FAILED, f"It ended by an error nobody foresaw ({type(exc).__name__}); the log says more.")


def _end(job: BackgroundJob, state: JobState, message: str) -> None:
    now = db_now()
    BackgroundJob.objects.held(job.pk, job.lease_token).update(
        state=state, message=message, finished_at=now, lease_until=None, lease_worker="", updated_at=now
    )


# ---------------------------------------------------------------- files, and what is over


def remove_expired() -> int:
    """Remove files that are too old, and the rows of jobs that ended a month ago; how many files. Rows first: a file
    that stays behind is one that no row names, which maintenance removes."""
    now = db_now()
    expired = BackgroundJob.objects.exclude(file="").filter(expires_at__lt=now)
    count = 0
    for pk, name in list(expired.values_list("pk", "file")[:1000]):
        if BackgroundJob.objects.filter(pk=pk, file=name).update(file="", updated_at=now):
            storage.remove_file(name)
            count += 1
    over = BackgroundJob.objects.exclude(state__in=(JobState.PENDING, JobState.RUNNING))
    over.filter(finished_at__lt=now - KEPT_FOR, file="").delete()
    return count


def unknown_among(names: list[str]) -> list[str]:
    """Those of these stored files that a job has made, whose row does not name them and that nobody is storing now."""
    ours = {name: match for name in names if (match := NAME.fullmatch(name.rpartition("/")[2]))}
    if not ours:
        return []
    rows = {job.pk: job for job in BackgroundJob.objects.filter(pk__in=[uuid.UUID(m["id"]) for m in ours.values()])}

    def is_known(name: str) -> bool:
        job = rows.get(uuid.UUID(ours[name]["id"]))
        if job is None:
            return False
        is_storing = job.state == JobState.RUNNING and str(job.lease_token) == ours[name]["token"]
        return is_storing or job.file.name == name

    return [name for name in ours if not is_known(name)]


def has_file(job: BackgroundJob) -> bool:
    """Whether it has a file that is still there to be fetched."""
    return job.state == JobState.DONE and bool(job.file) and asset_storage().exists(str(job.file.name))
