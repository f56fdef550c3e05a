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
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, close_old_connections
from django.db.models.functions import Now

from mediagen import conf
from mediagen.engine.database.ids import as_uuid
from mediagen.engine.dispatch import periodic, task_engine
from mediagen.engine.files import storage
from mediagen.engine.generation import leases
from mediagen.engine.library.access import Access
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import ApiToken, BackgroundJob, JobState, asset_storage
from mediagen.models.clock import db_now
from mediagen.models.routing import on_commit

logger = logging.getLogger("mediagen.engine")

MAX_ASSETS = 10_000
MAX_TRIES = 10
"""A job that took so many workers with it is not given to another one."""
LEASE_S = 300.0
STORING_S = 1800.0
"""how long one step may take, and how long the storage may take for a file"""
SAY_EVERY_S = 0.5
LOOK_EVERY_S = 2.0
MAX_ERRORS = 100
KEPT_FOR = timedelta(days=30)

Handler = Callable[["Running"], None]
NAME = re.compile(r"(?P<id>[0-9a-f]{32})-(?P<token>[0-9]+)(?:_[A-Za-z0-9]+)?\.zip")
"""of a file that a job has made"""


class JobLost(MediagenError):
    """Somebody has cancelled the job, or another worker has taken it over. What this one does must stop."""


class JobPutBack(MediagenError):
    """The worker leaves; the job waits for another one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job. `check` gives the arguments as they are kept, or raises `InvalidRequest`."""

    run: Handler
    check: Callable[[dict[str, Any]], dict[str, Any]] = lambda arguments: arguments


def kinds() -> Mapping[str, Kind]:
    """All there are. Not imported above: they need this module."""
    found: Mapping[str, Kind] = import_module("mediagen.engine.work.job_kinds").KINDS
    return found


# ---------------------------------------------------------------- beginning and ending


def start(
    kind: str, arguments: Mapping[str, Any], *, by: Any, total: int | None = None, token: ApiToken | None = None
) -> BackgroundJob:
    """The job, pending, and told to whoever works when the transaction is committed.

    Every kind takes `asset_ids`, at most 10,000; see `job_kinds` for what else each one takes. `by` is the user whose
    access counts, within what `token` allows when one is given. `total` is how many steps it has, the assets' number
    if not said. `InvalidRequest` with `field` for a kind that there is not, and for arguments that cannot be.
    """
    if kind not in kinds():
        raise InvalidRequest(f"There is no kind of job {kind!r:.40}. There are: {', '.join(kinds())}.", field="kind")
    if getattr(by, "pk", None) is None:
        raise InvalidRequest("A job is begun by somebody: give a user.", field="by")
    ids = checked_ids(arguments.get("asset_ids"))
    rest = {name: value for name, value in arguments.items() if name != "asset_ids"}
    kept = {**kinds()[kind].check(rest), "asset_ids": ids}
    if token is not None:
        kept["token"] = str(token.pk)
    job = BackgroundJob.objects.create(
        kind=kind, arguments=kept, created_by=by, total=len(ids) if total is None else total
    )
    on_commit(soon)
    return job


def checked_ids(ids: Any) -> list[str]:
    """Each id once, as text; `InvalidRequest` for none, too many, and what is no id."""
    if isinstance(ids, str | bytes | Mapping) or not isinstance(ids, Iterable):
        raise InvalidRequest("asset_ids must be a list of ids.", field="asset_ids")
    found = list(dict.fromkeys(str(pk) for each in ids if (pk := as_uuid(each, "asset_ids")) is not None))
    if not 1 <= len(found) <= MAX_ASSETS:
        raise InvalidRequest(f"Name 1 to {MAX_ASSETS:,} assets, not {len(found):,}.", field="asset_ids")
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
            import_module("mediagen.engine.work.in_server").run_soon(work_off_soon)
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
        kinds()[job.kind].run(running)
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


@dataclass(slots=True)
class Running:
    """A job in the hands of this process: what its kind's function is given."""

    job: BackgroundJob
    should_stop: Callable[[], bool] = lambda: False
    _said_at: float = field(default_factory=time.monotonic)

    @property
    def access(self) -> Access:
        """What the person who began it may do now. `InvalidRequest` when he, or his token, is gone."""
        if self.job.created_by is None:
            raise InvalidRequest("Whoever began the job is gone.")
        token = None
        if "token" in self.job.arguments:
            token = ApiToken.objects.valid().filter(pk=self.job.arguments["token"]).select_related("library").first()
            if token is None:
                raise InvalidRequest("The token with which the job was begun has ended.")
        return Access(self.job.created_by, token)

    @property
    def asset_ids(self) -> list[uuid.UUID]:
        return [uuid.UUID(pk) for pk in self.job.arguments["asset_ids"]]

    @property
    def left(self) -> list[uuid.UUID]:
        """Those that are still to be done: an earlier worker may have done the first ones."""
        return self.asset_ids[self.job.done + self.job.failed :]

    def did(self, count: int = 1, *, made: Iterable[Any] = ()) -> None:
        """So many more are done; `made` are ids of new assets. Raises `JobLost` or `JobPutBack` when it is to stop."""
        self.job.done += count
        if made:
            self.job.result.setdefault("made", []).extend(str(pk) for pk in made)
        self._say()

    def could_not(self, asset_id: Any, why: str) -> None:
        """One that failed, and why; the others go on."""
        self.job.failed += 1
        errors = self.job.result.setdefault("errors", [])
        if len(errors) < MAX_ERRORS:
            errors.append({"asset_id": str(asset_id), "message": why})
        self._say()

    def _say(self) -> None:
        if self.should_stop():
            self.save()
            raise JobPutBack("the worker leaves")
        if time.monotonic() - self._said_at > SAY_EVERY_S:
            self.save()

    def save(self, *, lease_s: float = LEASE_S, **values: Any) -> None:
        """Write how far it is, and hold it for longer. `JobLost` when it is not ours any more."""
        self._said_at = time.monotonic()
        kept: dict[str, Any] = {
            "done": self.job.done,
            "failed": self.job.failed,
            "result": self.job.result,
            "lease_until": Now() + timedelta(seconds=lease_s),
            "updated_at": db_now(),
        }
        if not BackgroundJob.objects.held(self.job.pk, self.job.lease_token).update(**kept | values):
            raise JobLost(f"job {self.job.pk} was cancelled or taken over.")


# ---------------------------------------------------------------- files, and what is over


def file_name(job: BackgroundJob) -> str:
    """Where the file of this job, made by this worker, lies."""
    return f"{conf.get('UPLOAD_TO').strip('/')}/jobs/{job.pk.hex}-{job.lease_token}.zip".lstrip("/")


def expires_at() -> Any:
    return db_now() + timedelta(hours=conf.get("KEEP_ZIPS_H"))


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
