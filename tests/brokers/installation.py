"""A site of its own: a database, folders, provider servers for services, and the commands of docs/workers.md."""

from __future__ import annotations

import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.docs import pages
from tests.factories import moved_to
from tests.servers import ProviderServer

PAGE = "docs/workers.md"
ELSEWHERE = """
import os
from functools import partial

def readlink(original, path, **how):
    return "pid:[1]" if str(path) == "/proc/self/ns/pid" else original(path, **how)

os.readlink = partial(readlink, os.readlink)
"""
POSTGRESQL = os.environ.get("MEDIAGEN_CI_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


@dataclass(frozen=True)
class Commands:
    """What the page says for one engine: exports, the worker, the sweep, the batch."""

    environment: dict[str, str]
    lines: tuple[str, ...]

    @classmethod
    def of(cls, engine: str) -> Commands:
        [block] = [block for block in pages.blocks(PAGE) if block.language == "sh" and block.engine == engine]
        lines = [line for line in block.text.splitlines() if line.strip()]
        exports = [word for line in lines if line.startswith("export ") for word in shlex.split(line)[1:]]
        return cls(
            dict(word.split("=", 1) for word in exports),
            tuple(line for line in lines if not line.startswith("export ")),
        )

    def line(self, word: str) -> str:
        [found] = [line for line in self.lines if word in line]
        return found


@dataclass
class Process:
    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def family(self) -> list[int]:
        """Its process id and those of all its descendants."""
        parents: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except (OSError, IndexError):
                    continue
                parents.setdefault(parent, []).append(int(entry.name))
        found = [self.popen.pid]
        for pid in found:
            found += parents.get(pid, [])
        return found

    def text(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class Installation:
    """Processes of this checkout that share a PostgreSQL database."""

    folder: Path
    database: str
    environment: dict[str, str]
    processes: list[Process] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, environment: dict[str, str], **settings: Any) -> Installation:
        """`settings` go into MEDIAGEN."""
        name = f"mediagen_brokers_{os.getpid()}_{time.monotonic_ns() % 10**9}"
        with psycopg.connect(POSTGRESQL, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = f"{POSTGRESQL.rpartition('/')[0]}/{name}"
        (folder / "site_settings.py").write_text(
            f"from config.settings.dev import *\nfrom config.settings.dev import MEDIAGEN\nMEDIAGEN |= {settings!r}\n"
        )
        kept = {word: os.environ[word] for word in ("HOME", "LANG", "TMPDIR") if word in os.environ}
        made = cls(
            folder,
            url,
            {
                **kept,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": f"{pages.ROOT}:{folder}",
                "PYTHONUNBUFFERED": "1",
                "DJANGO_SETTINGS_MODULE": "site_settings",
                "DEBUG": "false",
                "SECRET_KEY": "only-for-tests-" + "0" * 40,
                "MEDIAGEN_DATA_DIR": str(folder / "data"),
                "DATABASE_URL": url,
                **environment,
            },
        )
        made.run("python manage.py migrate --verbosity 0")
        return made

    def arguments(self, line: str) -> list[str]:
        """A line of the page, with this interpreter and checkout."""
        words = shlex.split(line)
        if words[0] == "celery":
            return [sys.executable, "-m", "celery", *words[1:]]
        assert words[:2] == ["python", "manage.py"], line
        return [sys.executable, str(pages.ROOT / "manage.py"), *words[2:]]

    def run(self, line: str) -> str:
        done = subprocess.run(
            self.arguments(line), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def python(self, program: str) -> str:
        """Standard output of a program in this installation."""
        file = self.folder / "program.py"
        file.write_text(program)
        done = subprocess.run(
            [sys.executable, str(file)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def add_settings(self, lines: str) -> None:
        with (self.folder / "site_settings.py").open("a") as file:
            file.write(f"{lines}\n")

    def start(self, name: str, line: str, *, elsewhere: bool = False) -> Process:
        """`elsewhere`: it finds itself on another machine, whose processes the others cannot see."""
        environment = self.environment
        if elsewhere:
            (self.folder / "elsewhere").mkdir(exist_ok=True)
            (self.folder / "elsewhere" / "sitecustomize.py").write_text(ELSEWHERE)
            environment = {**environment, "PYTHONPATH": f"{self.folder / 'elsewhere'}:{environment['PYTHONPATH']}"}
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            popen = subprocess.Popen(
                self.arguments(line),
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def sell(self, *servers: ProviderServer) -> None:
        """These providers alone, in this order, at these servers, with their keys in the environment."""
        names = [server.name for server in servers]
        with psycopg.connect(self.database) as connection:
            connection.execute("UPDATE mediagen_providerconfig SET enabled = name = ANY(%s)", [names])
            for position, server in enumerate(servers):
                connection.execute(
                    "UPDATE mediagen_providerconfig SET base_url = %s, key_consent = %s, position = %s WHERE name = %s",
                    [*moved_to(server.name, server.base_url).values(), position, server.name],
                )
        self.environment |= {server.env_key: server.key for server in servers}

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(query, values).fetchall()

    def states(self) -> dict[str, int]:
        return dict(self.rows("SELECT generation_state, count(*) FROM mediagen_mediaasset GROUP BY 1"))

    def held_by(self, process: Process, family: Sequence[int] = ()) -> set[str]:
        """Prompts of the rows that a process or a child of it works on; `family` when it is dead already."""
        pids = {str(pid) for pid in family or process.family()}
        running = self.rows("SELECT prompt, lease_worker FROM mediagen_mediaasset WHERE generation_state = 'running'")
        return {prompt for prompt, worker in running if worker.split(":")[2] in pids}

    def until(self, what: str, condition: Callable[[], Any], *, within_s: float) -> Any:
        """What `condition` answers, when it first answers something true. Fails with all logs after `within_s`."""
        give_up_at = time.monotonic() + within_s
        while not (answer := condition()):
            assert time.monotonic() < give_up_at, f"not in {within_s} s: {what}; {self.states()}\n{self.logs()}"
            time.sleep(0.1)
        return answer

    def logs(self) -> str:
        return "\n".join(f"--- {process.name}\n{process.text()[-3000:]}" for process in self.processes)

    def end(self) -> None:
        """SIGTERM to all, SIGKILL to those that stay, and the database is dropped."""
        alive = [process for process in self.processes if process.popen.poll() is None]
        for process in alive:
            process.popen.send_signal(signal.SIGTERM)
        for process in alive:
            family = process.family()
            try:
                process.popen.wait(20)
            except subprocess.TimeoutExpired:
                kill(*family)
                process.popen.wait()
        with psycopg.connect(POSTGRESQL, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {self.database.rpartition('/')[2]} WITH (FORCE)")


def kill(*pids: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def manifest(path: Path, count: int) -> list[str]:
    """A manifest of `count` small pictures; their prompts."""
    prompts = [f"Picture number {number:03d}" for number in range(count)]
    path.write_text("prompt\n" + "".join(f"{prompt}\n" for prompt in prompts))
    return prompts


def purchases(*servers: ProviderServer, within_s: float = math.inf) -> Iterator[str]:
    """The prompt of everything that was bought, within the last so many seconds."""
    since = time.monotonic() - within_s
    for server in servers:
        yield from (made.prompt for made in list(server.purchases) if made.request.received_at >= since)
