"""The environment that `make` builds. The locks here are empty: what is tested is when it is built anew."""

import hashlib
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = getattr(sys, "_base_executable", sys.executable)


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "base.txt"
    path.write_text("# nothing\n")
    return path


def prepare(folder, *locks, **environment):
    return subprocess.run(
        [PYTHON, str(ROOT / ".ci" / "environment.py"), str(folder), *map(str, locks)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.whole  # four environments
def test_it_is_built_once_and_anew_when_a_lock_changes(tmp_path, lock):
    folder = tmp_path / "env"
    first = prepare(folder, lock)
    assert first.returncode == 0, first.stderr
    assert "Making env with Python" in first.stdout
    assert (folder / "bin" / "python").exists()

    assert prepare(folder, lock).stdout == ""

    other = tmp_path / "test.txt"
    other.write_text("# more\n")
    assert "Making" not in prepare(folder, other).stdout  # grows
    assert prepare(folder, lock, other).stdout == ""

    left_over = folder / "left-over"
    left_over.touch()
    lock.write_text("# changed\n")
    assert "Making env anew: base.txt changed." in prepare(folder, lock).stdout
    assert not left_over.exists()


@pytest.mark.whole  # two environments
def test_an_interrupted_one_is_built_anew(tmp_path, lock):
    folder = tmp_path / "env"
    assert prepare(folder, lock).returncode == 0
    stamp = folder / "mediagen-locks.json"
    stamp.write_text(stamp.read_text().replace("base.txt", "other.txt"))
    for pip in folder.glob("lib/python*/site-packages/pip/__init__.py"):
        pip.unlink()

    assert "Making env anew: it was left unfinished." in prepare(folder, lock).stdout


def test_what_somebody_else_made_is_never_deleted(tmp_path, lock):
    folder = tmp_path / "env"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")

    result = prepare(folder, lock)

    assert result.returncode == 1
    assert "was not made by this program" in result.stderr
    assert (folder / "thesis.txt").read_text() == "precious"


def test_a_python_without_venv_says_what_to_install(tmp_path, lock):
    (tmp_path / "ensurepip.py").write_text("raise ImportError('No module named ensurepip')")

    result = prepare(tmp_path / "env", lock, PYTHONPATH=str(tmp_path))

    assert result.returncode == 1
    assert "python3-venv" in result.stderr
    assert not (tmp_path / "env").exists()


def test_a_missing_lock_is_named(tmp_path):
    result = prepare(tmp_path / "env", tmp_path / "none.txt")

    assert result.returncode == 1
    assert "none.txt" in result.stderr


def wheel(folder, name, version, *lines):
    """A wheel of metadata only; the line of a lock for it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        head = ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}")
        archive.writestr(f"{info}/METADATA", "\n".join([*head, *lines, ""]))
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def from_folder(folder):
    return {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


@pytest.mark.whole
def test_what_was_published_since_the_lock_changes_nothing(tmp_path, lock):
    lines = wheel(tmp_path, "alpha", "1", "Requires-Dist: beta[more]>=1")
    lines += wheel(tmp_path, "beta", "1", "Provides-Extra: more")
    wheel(tmp_path, "beta", "2", "Provides-Extra: more")
    lock.write_text(lines)

    result = prepare(tmp_path / "env", lock, **from_folder(tmp_path))

    assert result.returncode == 0, result.stderr
    assert "Installing the 2 libraries" in result.stdout
    assert {path.name for path in (tmp_path / "env").glob("lib/*/site-packages/beta*")} == {"beta-1.dist-info"}


@pytest.mark.whole
def test_a_lock_that_is_not_whole_is_refused(tmp_path, lock):
    lock.write_text(wheel(tmp_path, "alpha", "1", "Requires-Dist: beta"))
    wheel(tmp_path, "beta", "1")

    result = prepare(tmp_path / "env", lock, **from_folder(tmp_path))

    assert result.returncode == 1
    assert "beta" in result.stderr


def test_a_checkout_shows_the_app_what_the_wheel_carries():
    force = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source, inside in force["force-include"].items():
        assert (ROOT / inside).resolve() == (ROOT / source).resolve()
