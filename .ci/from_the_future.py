"""Sets up `make demo` and `make test` from a package index of the future: python3 .ci/from_the_future.py

That index holds the files that the locks name and, of every library in them, one newer release, which is made up and
empty. Tried with the oldest pip that came with each Python, and with Debian's python3 as it is. What is then installed
must be what is locked, to the version; the first Python also runs both commands. Needs make, and a real index (or
pip's cache) to fetch the locked files from.
"""

import concurrent.futures
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("base", "test", "prod")
FUTURE = "9999"
# What X.Y.0 brought, hashed as all that is installed; a later X.Y.Z may bring a newer one.
OLDEST_PIP = {
    "3.11": ("22.3", "1daab4b8d3b97d1d763caeb01a4640a2250a0ea899e257b1e44b9eded91e15ab"),
    "3.12": ("23.2.1", "7ccf472345f20d35bdc9d1841ff5f313260c2c33fe417f48c30ac46cccabf5be"),
    "3.13": ("24.2", "2cd581cf58ab7fcfca4ce8efa6dcacd0de5bf8d0a3eb9ec927e07405f4d9e2a2"),
}
# One quick test: what is asked here is whether the command comes so far.
COMMANDS = {"base": ["demo"], "test": ["test", "PYTEST_ARGS=-q -p no:cacheprovider tests/test_types.py"]}
ABOUT = "import ensurepip, sys, venv; print(sys.executable, *sys.version_info[:3], ensurepip.version(), sep='\\n')"
INSTALLED = "import json, importlib.metadata as m; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"


@dataclasses.dataclass
class Case:
    name: str
    python: str
    pip: tuple[str, str] | None
    """version and hash; None: the pip that this Python brings"""
    folder: Path
    fetched: Path
    """the locked files; Debian's Python takes the same as another of its version"""
    runs: bool = False
    """not only sets up what the commands need, but runs them"""
    locks: tuple[str, ...] = ("base", "test")


def main() -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mediagen-future-") as name:
        work = Path(name)
        cases, left_out = find_cases(work)
        for text in left_out:
            print(text)
        if not cases:
            sys.exit("There is no Python here to try it with.")
        cases[0].runs = True
        cases[-1].locks = LOCKS  # once is enough of what no command needs
        first_of = {case.fetched: case for case in reversed(cases)}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(fetch, first_of.values()))
            index = make_index(work)
            list(pool.map(lambda case: try_out(case, index), cases))
    print(f"What was published since the locks changes nothing ({time.monotonic() - began:.0f} s).")


# --- which Pythons


def find_cases(work: Path) -> tuple[list[Case], list[str]]:
    cases, left_out = [], []
    for version, pip in OLDEST_PIP.items():
        found = find_python(version)
        if not found:
            left_out.append(f"Python {version} with pip {pip[0]}: not run, there is none here")
            continue
        python, full, bundled = found
        own = bundled == pip[0]
        cases.append(
            Case(
                f"Python {full}, pip {pip[0]}", python, None if own else pip, work / version, work / version / "locked"
            )
        )
    found = about("/usr/bin/python3")
    if not Path("/etc/debian_version").exists():
        left_out.append("Debian's python3: not run, this is not Debian")
    elif not found:
        left_out.append("Debian's python3: not run, it is not here, or has no python3-venv")
    elif tuple(map(int, found[1].split(".")[:2])) < (3, 11):
        left_out.append(f"Debian's python3: not run, it is Python {found[1]}")
    else:
        folder = work / ".".join(found[1].split(".")[:2]) / "locked"
        cases.append(Case(f"Debian's Python {found[1]}, pip {found[2]}", found[0], None, work / "debian", folder))
    return cases, left_out


def find_python(version: str) -> tuple[str, str, str] | None:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for candidate in [f"python{version}", *sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python")))]:
        # A pyenv shim exists for every version and fails for those that are not switched on.
        found = about(candidate)
        if found and found[1].startswith(f"{version}."):
            return found
    return None


def about(python: str) -> tuple[str, str, str] | None:
    """The interpreter's path, its version, and that of the pip it brings; None when it cannot make environments."""
    try:
        answer = subprocess.run([python, "-c", ABOUT], capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer[0], ".".join(answer[1:4]), answer[4]


# --- the index


def fetch(case: Case) -> None:
    """The locked files, as this Python takes them, and the old pip; from wherever pip gets its files here."""
    python = case.folder / "fetch" / "bin" / "python"
    run([case.python, "-m", "venv", case.folder / "fetch"], os.environ)
    download = [python, "-m", "pip", "-q", "--disable-pip-version-check", "download", "--no-deps", "--require-hashes"]
    download += ["--only-binary", ":all:", "-d"]
    for lock in LOCKS:
        run([*download, case.fetched, "-r", ROOT / "requirements" / f"{lock}.txt"], os.environ)
    if case.pip:
        version, digest = case.pip
        wish = case.folder / "pip.txt"
        wish.write_text(f"pip=={version} --hash=sha256:{digest}\n")
        run([*download, case.folder / "pip", "-r", wish], os.environ)


def make_index(work: Path) -> str:
    """A folder as PEP 503 wants it, read by pip without a server; returns its address."""
    files: dict[str, set[Path]] = {}
    for path in work.glob("*/locked/*.whl"):
        files.setdefault(re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower(), set()).add(path)
    for name, paths in files.items():
        folder = work / "simple" / name
        folder.mkdir(parents=True)
        newer = empty_wheel(folder, name)
        links = [f'<a href="{path.as_uri()}">{path.name}</a><br>' for path in (*sorted(paths), newer)]
        (folder / "index.html").write_text("<!DOCTYPE html><html><body>\n" + "\n".join(links) + "\n</body></html>\n")
    missing = {name for lock in LOCKS for name, _ in pins(lock) if name not in files}
    print(f"An index with {len(files)} locked libraries and a release {FUTURE} of each.", flush=True)
    if missing:
        print(f"Locked for other systems, and not in it: {', '.join(sorted(missing))}.", flush=True)
    return (work / "simple").as_uri() + "/"


def empty_wheel(folder: Path, name: str) -> Path:
    stem = f"{name.replace('-', '_')}-{FUTURE}"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        info = f"{stem}.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {FUTURE}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: made-up\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def pins(lock: str) -> list[tuple[str, str]]:
    """[(name, version), ...]; a library may stand there once for each Python."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.MULTILINE)


# --- the two commands


def try_out(case: Case, index: str) -> None:
    began = time.monotonic()
    # Nothing of this machine's pip, and no way to another index.
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environment |= {"HOME": str(case.folder), "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index}
    environment |= {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    # Nothing is written into the checkout.
    environment |= {"MEDIAGEN_DATA_DIR": str(case.folder / "data"), "PYTHONDONTWRITEBYTECODE": "1"}
    if not case.runs:
        environment["PIP_NO_COMPILE"] = "1"
    says_the_future(case, environment)
    for lock in case.locks:
        folder = case.folder / lock
        if case.pip:
            bring_old_pip(case, folder, environment)
        make = ["make", "-C", ROOT, f"PYTHON={case.python}", f"VENV={folder}"]
        if lock == "prod":
            run([case.python, ROOT / ".ci" / "environment.py", folder, ROOT / "requirements" / "prod.txt"], environment)
        elif case.runs:
            run([*make, *COMMANDS[lock]], environment)
        else:
            run([*make, f"env-{lock}"], environment)
        compare(folder, lock, environment)
    what = ", ".join(f"make {COMMANDS[lock][0]}" if case.runs else f"env-{lock}" for lock in case.locks)
    print(f"{case.name}: {what} ({time.monotonic() - began:.0f} s)", flush=True)


def says_the_future(case: Case, environment: dict[str, str]) -> None:
    """What no lock holds is the newest: otherwise this program would prove nothing."""
    python, folder = case.fetched.parent / "fetch" / "bin" / "python", case.folder / "newest"
    run([python, "-m", "pip", "-q", "download", "--no-deps", "-d", folder, "django"], environment)
    if [path.name for path in folder.iterdir()] != [f"django-{FUTURE}-py3-none-any.whl"]:
        sys.exit(f"{case.name}: the index does not offer what is newer than the locks.")


def bring_old_pip(case: Case, folder: Path, environment: dict[str, str]) -> None:
    (wheel,) = (case.folder / "pip").glob("*.whl")
    run([case.python, "-m", "venv", "--without-pip", folder], environment)
    python = folder / "bin" / "python"
    run([python, wheel / "pip", "-q", "install", "--no-index", "--no-deps", wheel], environment)


def compare(folder: Path, lock: str, environment: dict[str, str]) -> None:
    python = folder / "bin" / "python"
    run([python, "-m", "pip", "check"], environment)  # nothing that is needed is missing
    locked = set(pins(lock))
    for name, version in json.loads(run([python, "-c", INSTALLED], environment)):
        pin = (re.sub(r"[-_.]+", "-", name).lower(), version)
        if pin not in locked and pin[0] not in {"pip", "setuptools"}:
            sys.exit(
                f"{folder.parent.name}: {name} {version} was installed, which requirements/{lock}.txt does not name."
            )


def run(command: list[str | Path], environment: "os._Environ[str] | dict[str, str]") -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
