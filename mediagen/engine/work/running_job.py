"""A job in the hands of a process: what the function of its kind is given, and where its file lies."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from mediagen import conf
from mediagen.engine.library import Access
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import ApiToken, BackgroundJob
from mediagen.models.clock import db_now
from mediagen.wording import say as _

LEASE_S = 300.0
STORING_S = 1800.0
"""how long one step may take, and how long the storage may take for a file"""
SAY_EVERY_S = 0.5
MAX_ERRORS = 100

Handler = Callable[["Running"], None]


class JobLost(MediagenError):
    """Somebody has cancelled the job, or another worker has taken it over. What this one does must stop."""


class JobPutBack(MediagenError):
    """The worker leaves; the job waits for another one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job. `check` gives the arguments as they are kept, or raises `InvalidRequest`."""

    run: Handler
    check: Callable[[dict[str, Any]], dict[str, Any]] = lambda arguments: arguments


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
            raise InvalidRequest(_("Whoever began the job is gone."))
        token = None
        if "token" in self.job.arguments:
            token = ApiToken.objects.valid().filter(pk=self.job.arguments["token"]).select_related("library").first()
            if token is None:
                raise InvalidRequest(_("The token with which the job was begun has ended."))
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


def file_name(job: BackgroundJob) -> str:
    """Where the file of this job, made by this worker, lies."""
    return f"{conf.get('UPLOAD_TO').strip('/')}/jobs/{job.pk.hex}-{job.lease_token}.zip".lstrip("/")


def expires_at() -> Any:
    return db_now() + timedelta(hours=conf.get("KEEP_ZIPS_H"))
