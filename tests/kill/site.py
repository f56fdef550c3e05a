"""A site of its own in a folder: a database, files, and processes of `manage.py` that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from django.db import connections

from mediagen.models import GenerationAttempt, GenerationBatch, MediaAsset, ProviderConfig, SpendAccount
from tests.factories import moved_to
from tests.servers import ProviderServer

ROOT = Path(__file__).resolve().parent.parent.parent
ALIAS = "killed_site"
LONGEST_S = 120.0


class Site:
    """`run()` and `start()` are its processes; the rows are read from here through a connection of our own."""

    def __init__(self, folder: Path, database: Mapping[str, Any], servers: Mapping[str, ProviderServer]) -> None:
        self.folder = folder
        self.database = database
        self.servers = servers
        self.mediagen: dict[str, Any] = {}
        self.pages = 0
        """how large its SQLite database may become; 0: as it likes"""
        self._started: list[subprocess.Popen[str]] = []

    # ------------------------------------------------------------------ processes

    def environment(self, kill_at: str = "") -> dict[str, str]:
        values = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "tests.kill.settings",
            "MEDIAGEN_DATA_DIR": str(self.folder),
            "MEDIAGEN_KILL_SETTINGS": json.dumps(self.mediagen),
            "MEDIAGEN_KILL_AT": kill_at,
            **{server.env_key: server.key for server in self.servers.values()},
        }
        if self.pages:
            values["MEDIAGEN_KILL_PAGES"] = str(self.pages)
        if "URL" in self.database:
            values["DATABASE_URL"] = self.database["URL"]
        return values

    def start(self, *arguments: object, kill_at: str = "", stdin: Any = subprocess.DEVNULL) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment(kill_at),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What is started in a shell's background is deaf to Ctrl-C, and would stay so.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        self._started.append(process)
        return process

    def run(self, *arguments: object, kill_at: str = "", code: int | None = 0) -> str:
        """Run to its end, which must be `code` (None: any); what it wrote, errors at the end."""
        process = self.start(*arguments, kill_at=kill_at)
        return ended(process, -signal.SIGKILL if kill_at else code)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    # ------------------------------------------------------------------ what is in it

    def live(self, *names: str, **values: Any) -> None:
        """These providers alone, live, in this order, each at its server. Keys come by the environment."""
        configs = ProviderConfig.objects.using(ALIAS)
        configs.update(enabled=False)
        for position, name in enumerate(names):
            server = self.servers[name]
            changed = {
                **moved_to(name, server.base_url),
                "dry_run": False,
                "position": position,
                "enabled": True,
                **values,
            }
            configs.filter(name=name).update(**changed)

    def manifest(self, count: int, name: str = "prompts.txt") -> Path:
        path = self.folder / name
        path.write_text("".join(f"{prompt}\n" for prompt in prompts(count)))
        return path

    def assets(self) -> Any:
        return MediaAsset.objects.using(ALIAS).order_by("id")

    def attempts(self) -> Any:
        return GenerationAttempt.objects.using(ALIAS).order_by("id")

    def batch(self) -> GenerationBatch:
        return GenerationBatch.objects.using(ALIAS).get()

    def account(self) -> SpendAccount:
        """The batch's."""
        return SpendAccount.objects.using(ALIAS).get(owner=f"batch:{self.batch().pk}")

    def states(self) -> Counter[str]:
        return Counter(self.assets().values_list("generation_state", flat=True))

    def files(self) -> set[str]:
        media = self.folder / "media"
        return {path.relative_to(media).as_posix() for path in media.rglob("*") if path.is_file()}

    def wait_until(self, what: Any, timeout_s: float = 30.0) -> None:
        """Until `what()` is true of the rows."""
        give_up_at = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < give_up_at, f"not within {timeout_s} s; the rows are {self.states()}"
            time.sleep(0.02)


def prompts(count: int) -> list[str]:
    return [f"a lighthouse, number {number}" for number in range(count)]


def ended(process: subprocess.Popen[str], code: int | None = 0) -> str:
    """What a process wrote, once it has ended with `code`."""
    try:
        out, err = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        raise AssertionError(f"the process did not end:\n{out}\n{err}") from None
    assert code is None or process.returncode == code, f"exit {process.returncode}, not {code}:\n{out}\n{err}"
    return out + err


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


# ---------------------------------------------------------------------- what must hold at the end


def purchases_by_prompt(servers: Iterable[ProviderServer]) -> dict[str, int]:
    """How often each prompt was bought, by the providers' books."""
    bought: dict[str, int] = defaultdict(int)
    for server in servers:
        for purchase in server.purchases:
            bought[purchase.prompt] += 1
    return bought


def check_everything(site: Site, *names: str) -> None:
    """After the last run and `mediagen_maintain`: every row has its picture or a reason, nothing was bought twice
    except what an unknown attempt shows, no file lies about, and the money is right."""
    bought = purchases_by_prompt(site.servers[name] for name in names)
    rows = list(site.assets())
    attempts = defaultdict(list)
    for attempt in site.attempts().filter(billable=True):
        attempts[attempt.asset_id].append(attempt)
    for row in rows:
        assert row.generation_state in ("ready", "failed"), f"{row.prompt} is {row.generation_state}"
        assert row.generation_state == "ready" or row.failure, f"{row.prompt} failed without a reason"
        mine = attempts[row.pk]
        assert not [a for a in mine if a.state in ("planned", "submitted")], f"{row.prompt} has an open attempt"
        unknown = [a for a in mine if a.state == "unknown"]
        served = [a for a in mine if a.state in ("succeeded", "adopted")]
        # What the provider has sold is what we know of: one served attempt, and those whose end nobody saw.
        assert bought[row.prompt] <= len(served) + len(unknown), f"{row.prompt} was bought {bought[row.prompt]} times"
        assert len(served) == (row.generation_state == "ready"), f"{row.prompt}: {[(a.state, a.message) for a in mine]}"
        assert all(a.cost_held is not None for a in unknown), f"{row.prompt}: an unknown attempt without its price"
        assert all(a.cost is not None for a in served)
    check_files(site, rows)
    check_money(site)


def check_files(site: Site, rows: list[MediaAsset]) -> None:
    """Every row's file is there and whole, and there is no other."""
    known = {row.file.name for row in rows if row.file}
    assert site.files() == known
    for row in rows:
        if row.file:
            assert (site.folder / "media" / row.file.name).stat().st_size == row.file_size
    assert not list((site.folder / "rescued").glob("*"))


def check_money(site: Site) -> None:
    """Nothing is held, and what is spent is what the attempts cost, unknown ones at the price they may have had."""
    account = site.account()
    assert account.held == 0
    counted = Decimal(0)
    for attempt in site.attempts().filter(billable=True):
        if attempt.state in ("succeeded", "adopted", "unknown"):
            counted += attempt.cost if attempt.cost is not None else attempt.cost_held
    assert account.spent == counted
    assert account.limit is None or account.spent <= account.limit


# ---------------------------------------------------------------------- databases


@contextmanager
def connected(database: Mapping[str, Any]) -> Iterator[None]:
    """Inside, `using(ALIAS)` reads and writes this database."""
    values = {**connections.settings["default"], **{k: v for k, v in database.items() if k != "URL"}}
    connections.settings[ALIAS] = {**values, "TEST": {**values["TEST"], "MIRROR": None}}
    try:
        yield
    finally:
        if ALIAS in connections:
            connections[ALIAS].close()
            del connections[ALIAS]
        del connections.settings[ALIAS]
