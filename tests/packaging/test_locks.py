"""pyproject.toml says what is wanted, requirements/*.txt what is installed: they must not drift apart."""

import re
import tomllib
from importlib.metadata import distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
# As .ci/lock.sh makes them: extras and dependency groups besides the core.
LOCKS = {
    "base": (["cli"], "demo"),
    "test": (["cli"], "test"),
    "dev": (["cli"], "dev"),
    "fast": (["fast"], None),
    "prod": (["cli", "prod", "s3"], None),
    "brokers": ([], "brokers"),
    "outside": ([], "outside"),
    "mariadb": ([], "mariadb"),
    "docs": (["cli"], "docs"),
}


def group(name):
    for entry in PYPROJECT["dependency-groups"][name]:
        if isinstance(entry, dict):
            yield from group(entry["include-group"])
        else:
            yield Requirement(entry)


def wanted(lock):
    extras, group_name = LOCKS[lock]
    yield from map(Requirement, PYPROJECT["project"]["dependencies"])
    for extra in extras:
        yield from map(Requirement, EXTRAS[extra])
    if group_name:
        yield from group(group_name)


def entries(lock):
    """[(name, version, text with marker and hashes), ...]; one name may stand there for several Pythons."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    return [
        (canonicalize_name(match[1]), match[2], block)
        for block in blocks
        if (match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s\\;]+)", block))
    ]


def test_every_lock_is_known_here():
    assert {path.stem for path in (ROOT / "requirements").glob("*.txt")} == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_what_pyproject_wants(lock):
    pinned = {}
    for name, version, _ in entries(lock):
        pinned.setdefault(name, []).append(version)

    for requirement in wanted(lock):
        versions = pinned.get(canonicalize_name(requirement.name))
        assert versions, f"{lock}.txt lacks {requirement.name}: run `make lock`"
        for version in versions:
            assert requirement.specifier.contains(version, prereleases=True), (
                f"{requirement} got {version}: `make lock`"
            )


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_hashed_and_no_address_is_written_down(lock):
    for name, _, block in entries(lock):
        assert "--hash=sha256:" in block, name
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(--(extra-)?index-url|-i|--find-links|-f|--trusted-host)\b", text, re.MULTILINE)


@pytest.mark.parametrize("lock", ["base", "test", "fast"])
def test_one_environment_can_grow_from_lock_to_lock(lock):
    dev = {(name, version) for name, version, _ in entries("dev")}
    names = {name for name, _ in dev}

    assert {(name, version) for name, version, _ in entries(lock) if name in names} <= dev


@pytest.mark.parametrize("lock", LOCKS)
def test_django_has_a_line_for_every_python(lock):
    lines = {
        version.split(".")[0]: block.partition("\\")[0] for name, version, block in entries(lock) if name == "django"
    }

    assert "python_full_version < '3.12'" in lines["5"]
    assert "python_full_version >= '3.12'" in lines["6"]


def test_a_build_takes_what_is_locked():
    pinned = {name: version for name, version, _ in entries("dev")}
    build = [Requirement(text) for text in PYPROJECT["build-system"]["requires"]]

    assert {r.name: str(r.specifier) for r in build} == {r.name: f"=={pinned[r.name]}" for r in build}
    names = {r.name for r in build}
    needs = {
        canonicalize_name(needed.name)
        for name in names & {d.name for d in distributions()}
        for needed in map(Requirement, requires(name) or [])
        if not needed.marker or needed.marker.evaluate({"extra": ""})
    }
    assert needs <= names


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_the_extras_that_pyproject_wants(lock):
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()

    for requirement in wanted(lock):
        for extra in requirement.extras:
            assert re.search(rf"^{requirement.name.lower()}\[[^]]*\b{extra}\b", text, re.MULTILINE), requirement


def test_the_core_sets_no_upper_bounds_and_stays_small():
    core = [Requirement(text) for text in PYPROJECT["project"]["dependencies"]]

    assert all(spec.operator == ">=" for requirement in core for spec in requirement.specifier)
    assert {canonicalize_name(requirement.name) for requirement in core} == {
        "asgiref",
        "cryptography",
        "defusedxml",
        "django",
        "django-storages",
        "djangorestframework",
        "httpx",
        "pillow",
    }
