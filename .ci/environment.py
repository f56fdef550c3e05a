"""Makes a virtual environment and brings it to a lock: python3 .ci/environment.py .venv requirements/base.txt

Does nothing when the environment already stands at that lock. Starts anew when the environment was made by another
Python, or when a lock that is in it has changed, so that nothing stays behind that no lock names. Two runs at the
same time wait for each other. An environment made by hand is used, but never deleted.
"""

import sys

# First, and nothing in this file that Python 3.6 could not at least read.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "mediagen needs Python 3.11 or newer; %s is Python %d.%d. Name a newer one: make PYTHON=python3.12 ..."
        % (sys.executable, sys.version_info[0], sys.version_info[1])
    )

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

STAMP = "mediagen-locks.json"
# A build would take the newest tools of the day. Who has to (no wheel for the machine): PIP_ONLY_BINARY=:none: make ...
ONLY_WHEELS = {"PIP_ONLY_BINARY": ":all:"}


def main(arguments: list[str]) -> None:
    if len(arguments) < 2:
        sys.exit("usage: environment.py FOLDER LOCK...")
    folder = Path(arguments[0]).absolute()
    locks = [Path(name) for name in arguments[1:]]
    for lock in locks:
        if not lock.is_file():
            sys.exit(f"There is no {lock}. Run `make lock`, or restore it from git.")
    wanted = {lock.name: hashlib.sha256(lock.read_bytes()).hexdigest() for lock in locks}
    if stands_at(folder, wanted):
        return
    with one_at_a_time(folder):
        if not stands_at(folder, wanted):  # the other run may have done it
            prepare(folder, wanted, locks)


def stands_at(folder: Path, wanted: dict[str, str]) -> bool:
    stamp = read_stamp(folder)
    return made_by_this_python(folder, stamp) and wanted.items() <= stamp["locks"].items()


def read_stamp(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / STAMP).read_text()))
    except (OSError, ValueError):
        return {}


def made_by_this_python(folder: Path, stamp: dict[str, Any]) -> bool:
    # The interpreter is a link, and dangles when the Python it was made from is gone.
    return stamp.get("python") == [sys.version, sys.base_prefix] and python_in(folder).exists()


def python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows; there one has to wait oneself
        yield
        return
    # Outside the folder, which may be deleted meanwhile; the system releases the lock with the process.
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"mediagen-{os.getuid()}-{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare(folder: Path, wanted: dict[str, str], locks: list[Path]) -> None:
    stamp = read_stamp(folder)
    if folder.exists():
        if stamp.get("made_here"):
            reason = why_anew(folder, stamp, wanted)
            if reason:
                say(f"Making {folder.name} anew: {reason}.")
                shutil.rmtree(folder)
        elif not usable(folder):
            sys.exit(
                f"{folder} was not made by this program and does not work with Python {sys.version.split()[0]}. "
                "Move it away, or choose another place: make VENV=.venv-mediagen ..."
            )
    if not folder.exists():
        create(folder)
        stamp = read_stamp(folder)
    names = ", ".join(str(lock) for lock in locks)
    how_long = "" if stamp.get("locks") else " (about a minute the first time)"
    say(f"Installing the {count(locks)} libraries of {names} into {folder.name}{how_long} ...")
    # The locks are whole, so nothing is looked for: no library that a locked one asks for, no newer release, and no
    # tools to build one. pip only fetches what the lock names and compares it; on any day, with any pip.
    command = [*pip_in(folder), "install", "--require-hashes", "--no-deps"]
    for lock in locks:
        command += ["-r", str(lock)]
    run(command, "The libraries could not be installed. Is the package index reachable?", ONLY_WHEELS | os.environ)
    if stamp.get("made_here"):
        run([*pip_in(folder), "check"], f"What is in {folder} does not go together. Delete the folder and try again.")
    write_stamp(folder, {**stamp.get("locks", {}), **wanted}, made_here=stamp.get("made_here", False))


def count(locks: list[Path]) -> int:
    """The libraries in the locks; one for other systems only (Windows) is among them."""
    lines = [line for lock in locks for line in lock.read_text().splitlines()]
    return len({re.split(r"[\[=]", line)[0] for line in lines if re.match(r"[A-Za-z0-9]", line)})


def pip_in(folder: Path) -> list[str]:
    return [str(python_in(folder)), "-m", "pip", "--disable-pip-version-check", "--no-input"]


def why_anew(folder: Path, stamp: dict[str, Any], wanted: dict[str, str]) -> str:
    if not made_by_this_python(folder, stamp):
        return f"it was made by Python {stamp['python'][0].split()[0]}, and now it is {sys.version.split()[0]}"
    changed = sorted(name for name in wanted if stamp["locks"].get(name, wanted[name]) != wanted[name])
    if changed:
        return f"{', '.join(changed)} changed"
    if not usable(folder):
        return "it was left unfinished"
    return ""


def usable(folder: Path) -> bool:
    """Whether the environment runs, with this very Python, and has pip."""
    python = str(python_in(folder))
    for command in (
        [python, "-m", "pip", "--version"],
        [python, "-c", "import sys; print([sys.version, sys.base_prefix])"],
    ):
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return False
    return answer.stdout.strip() == str([sys.version, sys.base_prefix])


def create(folder: Path) -> None:
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as exc:
        sys.exit(
            f"{sys.executable} cannot make virtual environments ({exc}). On Debian and Ubuntu: "
            "apt-get install python3-venv; elsewhere use another Python: make PYTHON=python3.12 ..."
        )
    say(f"Making {folder.name} with Python {sys.version.split()[0]} ...")
    folder.mkdir()
    # Marked as ours before there is anything in it: an interrupted run is then cleaned up by the next one.
    write_stamp(folder, {}, made_here=True)
    run([sys.executable, "-m", "venv", str(folder)], "The virtual environment could not be made.")


def write_stamp(folder: Path, locks: dict[str, str], made_here: bool) -> None:
    stamp = {"python": [sys.version, sys.base_prefix], "locks": locks, "made_here": made_here}
    draft = folder / f"{STAMP}.new"
    draft.write_text(json.dumps(stamp, indent=1))
    draft.replace(folder / STAMP)


def run(command: list[str], failed: str, environment: Mapping[str, str] | None = None) -> None:
    """Quiet when it works; everything it said, and `failed`, when it does not."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, text=True, check=False, env=environment, **pipes)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{failed} (command: {' '.join(command)})")


def say(text: str) -> None:
    print(text, flush=True)


main(sys.argv[1:])
