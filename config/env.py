"""Settings out of environment variables. What cannot be read is refused, and the variable is named."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def text(name: str, default: str = "") -> str:
    """The variable without surrounding blanks; one that is set but empty counts as not set."""
    return os.environ.get(name, "").strip() or default


def required(name: str, hint: str) -> str:
    value = text(name)
    if not value:
        raise ImproperlyConfigured(f"The environment variable {name} is not set. {hint}")
    return value


def flag(name: str, default: bool) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value not in _TRUE | _FALSE:
        raise ImproperlyConfigured(
            f"The environment variable {name} is {value!r}. Use true or false (also 1, 0, yes, no, on, off)."
        )
    return value in _TRUE


def integer(name: str, default: int, *, minimum: int = 0) -> int:
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        number = minimum - 1
    if number < minimum:
        raise ImproperlyConfigured(
            f"The environment variable {name} is {value!r}. Use a whole number, {minimum} or more."
        )
    return number


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"The environment variable {name} is {value!r}. Use one of {', '.join(choices)}.")
    return value


def need_modules(name: str, *modules: str) -> None:
    """Refuse a variable whose value needs packages that are not installed."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ImproperlyConfigured(
            f"The environment variable {name} is {text(name)!r}, and that needs {', '.join(missing)}, which is not "
            "installed. Install requirements/brokers.txt, or unset it: without it, workers need no task engine."
        )


def names(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """A list written with commas: "example.org, www.example.org"."""
    value = text(name)
    return [part.strip() for part in value.split(",") if part.strip()] if value else list(default)


def json_object(name: str) -> dict[str, Any]:
    """A JSON object such as {"bucket_name": "pictures"}. The value is never repeated in an error: it may hold keys."""
    value = text(name)
    if not value:
        return {}
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError as exc:
        raise ImproperlyConfigured(
            f"The environment variable {name} is no JSON: {exc.msg} at character {exc.pos}. "
            'Write an object such as {"bucket_name": "pictures"}.'
        ) from None
    if not isinstance(parsed, dict):
        raise ImproperlyConfigured(
            f"The environment variable {name} is JSON, but no object. Write an object "
            'such as {"bucket_name": "pictures"}.'
        )
    return parsed


def database(name: str, *, default_path: Path, sqlite_options: dict[str, Any]) -> dict[str, Any]:
    """An entry of DATABASES from a URL; a SQLite file at `default_path` when the variable is not set.

    postgresql://user:password@host:5432/name?sslmode=require or mysql://user:password@host:3306/name (MariaDB too),
    with special characters percent-encoded; what stands after the question mark goes to the driver.
    sqlite:////absolute/path: a relative one would name another file for every working directory.
    """
    url = text(name)
    if not url:
        default_path.parent.mkdir(parents=True, exist_ok=True)
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": default_path, "OPTIONS": sqlite_options}
    scheme = url.partition(":")[0].lower()
    if scheme not in {"postgresql", "postgres", "mysql", "sqlite"}:
        raise ImproperlyConfigured(
            f"The environment variable {name} begins with {scheme!r}. Use postgresql://user:password@host:5432/name, "
            "mysql://user:password@host:3306/name (MariaDB too) or sqlite:////absolute/path."
        )
    try:
        import dj_database_url
    except ImportError:
        raise ImproperlyConfigured(
            f"The environment variable {name} is set, and reading it needs dj-database-url. Install "
            f"requirements/prod.txt, or unset {name} to use SQLite."
        ) from None
    try:
        parsed: dict[str, Any] = {**dj_database_url.parse(url)}
    except Exception as exc:  # whatever its parser trips over; its text may hold the password
        raise ImproperlyConfigured(
            f"The environment variable {name} cannot be read ({type(exc).__name__}). Write "
            "postgresql://user:password@host:5432/name and percent-encode special characters in the password."
        ) from None
    if scheme == "sqlite":
        if not Path(parsed["NAME"]).is_absolute():
            raise ImproperlyConfigured(
                f"The environment variable {name} names no absolute path. Use four slashes: sqlite:////absolute/path."
            )
        parsed["OPTIONS"] = {**sqlite_options, **parsed.get("OPTIONS", {})}
    elif scheme == "mysql":
        use_pymysql()
    if not parsed.get("NAME"):
        raise ImproperlyConfigured(
            f"The environment variable {name} names no database. End it with one: postgresql://user@host:5432/name."
        )
    return parsed


def use_pymysql() -> None:
    """Where mysqlclient, which is compiled, is not installed: PyMySQL in its place. Django knows no other driver."""
    if importlib.util.find_spec("MySQLdb") is not None:
        return
    try:
        import pymysql
    except ImportError:
        raise ImproperlyConfigured(
            "DATABASE_URL names a MariaDB, and there is no driver for it. Install PyMySQL or mysqlclient."
        ) from None
    pymysql.install_as_MySQLdb()


def kept_secret(path: Path) -> str:
    """The secret in `path`, made on the first call, readable by its owner only. Safe with several processes at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".secret-")  # mode 0600
        try:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(48))
            os.link(draft, path)  # unlike a rename, this fails when another process was faster: its key stands
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)  # noqa: PTH108
    secret = path.read_text().strip()
    if len(secret) < 40:
        raise ImproperlyConfigured(f"{path} is damaged. Delete it: a new key is made, and everybody logs in again.")
    return secret
