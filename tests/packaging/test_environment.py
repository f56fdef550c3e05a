"""The environment that `make` builds. The locks here are empty: what is tested is when it is built anew."""

import os
import subprocess
import sys
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
