"""Builds the wheel and uses it as a site owner would: python tests/packaging/check_wheel.py

In an empty environment with the wheel's own dependencies and nothing else, in a new project outside the checkout:
one INSTALLED_APPS line, one include(), migrate, generate_assets. Needs hatchling (requirements/dev.txt).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = ROOT / "templates" / "mediagen"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mediagen-wheel-") as folder:
        work = Path(folder)
        wheel = build(work / "dist")
        check_contents(wheel)
        python = install(wheel, work)
        site = start_site(python, work)
        use_it(python, site)
    print(f"{wheel.name}: built, installed and used in an empty project.")


def build(dist: Path) -> Path:
    """The wheel, made from the source archive: so both are whole."""
    run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(dist)], cwd=ROOT)
    source = only(dist.glob("*.tar.gz"))
    with tarfile.open(source) as archive:
        archive.extractall(dist / "source", filter="data")
    unpacked = only((dist / "source").iterdir())
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)], cwd=unpacked)
    return only(dist.glob("*.whl"))


def check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mediagen").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    pages = {f"mediagen/templates/mediagen/{p.relative_to(TEMPLATES).as_posix()}" for p in TEMPLATES.rglob("*.*")}
    pages.add("mediagen/templates/admin/mediagen/app_index.html")
    missing = sorted((package | pages) - inside)
    if missing:
        sys.exit(f"The wheel lacks {', '.join(missing)}.")
    if not pages or not any(name.startswith("mediagen/migrations/0001_") for name in inside):
        sys.exit("The wheel has no templates, or no first migration.")
    expected = {"mediagen", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    foreign = sorted(name for name in inside if name.split("/")[0] not in expected)
    tests = sorted(name for name in inside if re.search(r"(^|/)(tests?|conftest\.py)(/|$)", name))
    if foreign or tests:
        sys.exit(f"The wheel has what is none of a site's business: {', '.join(foreign + tests)}.")
    print(f"{wheel.name}: {len(inside)} files, {wheel.stat().st_size // 1024} KiB; templates and migrations are in it.")


def install(wheel: Path, work: Path) -> Path:
    """An environment with the wheel and what it asks for; at the locked versions, so that the check repeats."""
    run([sys.executable, "-m", "venv", str(work / "venv")], cwd=work)
    python = work / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    text = (ROOT / "requirements" / "base.txt").read_text()
    pins = [
        f"{name}{pin}" for name, pin in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?(==[^\\\n]+)", text, re.MULTILINE)
    ]
    constraints = work / "constraints.txt"
    constraints.write_text("\n".join(pins) + "\n")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    run([*pip, "install", "--constraint", str(constraints), str(wheel)], cwd=work)
    run([*pip, "check"], cwd=work)
    print(f"installed with: {' '.join(run([*pip, 'freeze', '--exclude', 'mediagen'], cwd=work).split())}")
    return python


def start_site(python: Path, work: Path) -> Path:
    site = work / "site"
    site.mkdir()
    run([str(python), "-m", "django", "startproject", "host", str(site)], cwd=work)
    settings, urls = site / "host" / "settings.py", site / "host" / "urls.py"
    replace(settings, "INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "mediagen",')
    replace(urls, "from django.urls import path", "from django.urls import include, path")
    replace(urls, "urlpatterns = [", 'urlpatterns = [\n    path("mediagen/", include("mediagen.urls")),')
    # A host's own choice, and no reason for our models to want a migration there.
    own = 'DEFAULT_AUTO_FIELD = "django.db.models.AutoField"\nMEDIA_ROOT = BASE_DIR / "media"\n'
    settings.write_text(f"{settings.read_text()}\n{own}")
    return site


def use_it(python: Path, site: Path) -> None:
    manage = [str(python), "-W", "error::DeprecationWarning:mediagen", "manage.py"]
    run([*manage, "check", "--fail-level", "WARNING"], cwd=site)
    run([*manage, "migrate", "--verbosity", "0"], cwd=site)
    run([*manage, "makemigrations", "--check", "--dry-run"], cwd=site)
    names = sorted(f"mediagen/{path.relative_to(TEMPLATES).as_posix()}" for path in TEMPLATES.rglob("*.html"))
    load = f"from django.template.loader import get_template; [get_template(name) for name in {names!r}]"
    run([*manage, "shell", "-c", load], cwd=site)
    before = set(site.rglob("*"))
    print(run([*manage, "generate_assets", "a lighthouse"], cwd=site).strip())
    pictures = [path for path in set(site.rglob("*")) - before if path.suffix in {".png", ".jpg", ".jpeg", ".webp"}]
    if not pictures or not pictures[0].stat().st_size:
        sys.exit("generate_assets ended well and left no picture.")


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    if text.count(old) != 1:
        sys.exit(f"Django's project template changed: {old!r} does not stand exactly once in {file.name}.")
    file.write_text(text.replace(old, new))


def run(command: list[str], *, cwd: Path) -> str:
    # Nothing of this checkout or of somebody's keys: the site has only what it installed.
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT"}}
    kept |= {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_"))}
    done = subprocess.run(
        command, cwd=cwd, env=kept, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def only(paths: object) -> Path:
    found = sorted(paths)  # type: ignore[call-overload]
    if len(found) != 1:
        sys.exit(f"Expected one result and got {found}.")
    return Path(found[0])


if __name__ == "__main__":
    main()
