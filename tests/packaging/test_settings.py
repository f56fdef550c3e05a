"""What config/ reads from the environment, and what it says when it cannot."""

import json
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env

ROOT = Path(__file__).resolve().parent.parent.parent
GOOD_KEY = "made-up-key-" + "k" * 40


def load(settings, *names, **environment):
    """The named settings of a fresh process with only this environment; its standard error when it did not start."""
    script = (
        "import json, sys, django\nfrom django.conf import settings\ndjango.setup()\n"
        "print(json.dumps({name: getattr(settings, name, None) for name in sys.argv[1:]}, default=str))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *names],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": f"config.settings.{settings}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


# --- single values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", True),
        (" Yes ", True),
        ("ON", True),
        ("false", False),
        ("0", False),
        ("off", False),
        ("", True),
        ("  ", True),
    ],
)
def test_flag(monkeypatch, value, expected):
    monkeypatch.setenv("DEBUG", value)

    assert env.flag("DEBUG", default=True) is expected


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda name: env.flag(name, default=False), "maybe"),
        (lambda name: env.integer(name, 5), "many"),
        (lambda name: env.integer(name, 5), "-1"),
        (lambda name: env.integer(name, 5), "1.5"),
        (lambda name: env.choice(name, "INFO", ("INFO", "ERROR")), "LOUD"),
        (env.json_object, "{"),
        (env.json_object, "[1]"),
        (lambda name: env.required(name, "Set it."), " "),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(monkeypatch, read, value):
    monkeypatch.setenv("SOME_VARIABLE", value)

    with pytest.raises(ImproperlyConfigured, match="The environment variable SOME_VARIABLE is"):
        read("SOME_VARIABLE")


def test_names_and_json(monkeypatch):
    monkeypatch.setenv("ALLOWED_HOSTS", "example.org, www.example.org,,")
    monkeypatch.setenv("STORAGE_OPTIONS", '{"bucket_name": "pictures", "querystring_auth": true}')

    assert env.names("ALLOWED_HOSTS") == ["example.org", "www.example.org"]
    assert env.names("NOT_SET", ("localhost",)) == ["localhost"]
    assert env.json_object("STORAGE_OPTIONS") == {"bucket_name": "pictures", "querystring_auth": True}


def test_broken_json_is_not_repeated(monkeypatch):
    monkeypatch.setenv("STORAGE_OPTIONS", '{"secret_key": "planted-value"')

    with pytest.raises(ImproperlyConfigured) as caught:
        env.json_object("STORAGE_OPTIONS")

    assert "planted-value" not in str(caught.value)


# --- DATABASE_URL


def database(monkeypatch, url, tmp_path):
    monkeypatch.setenv("DATABASE_URL", url)
    return env.database("DATABASE_URL", default_path=tmp_path / "var" / "db.sqlite3", sqlite_options={"timeout": 20})


def test_sqlite_is_the_default_and_its_folder_is_made(monkeypatch, tmp_path):
    entry = database(monkeypatch, "", tmp_path)

    assert entry["ENGINE"] == "django.db.backends.sqlite3"
    assert entry["NAME"] == tmp_path / "var" / "db.sqlite3"
    assert entry["OPTIONS"] == {"timeout": 20}
    assert entry["NAME"].parent.is_dir()


def test_postgresql_with_encoded_characters_and_driver_options(monkeypatch, tmp_path):
    url = "postgresql://us%40er:p%3A%2F%23w@db.example.org:6543/na%20me?sslmode=require&connect_timeout=5"
    entry = database(monkeypatch, url, tmp_path)

    assert entry["ENGINE"] == "django.db.backends.postgresql"
    assert (entry["USER"], entry["PASSWORD"]) == ("us@er", "p:/#w")
    assert (entry["HOST"], entry["PORT"], entry["NAME"]) == ("db.example.org", 6543, "na me")
    assert entry["OPTIONS"] == {"sslmode": "require", "connect_timeout": 5}


def test_sqlite_by_url_keeps_the_safe_options(monkeypatch, tmp_path):
    entry = database(monkeypatch, f"sqlite:///{tmp_path}/other.sqlite3", tmp_path)

    assert entry["NAME"] == f"{tmp_path}/other.sqlite3"
    assert entry["OPTIONS"] == {"timeout": 20}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("oracle://planted@db/name", "begins with 'oracle'"),
        ("nonsense", "begins with 'nonsense'"),
        ("postgresql://user:planted@db:port/name", "cannot be read"),
        ("postgresql://user:planted@db", "names no database"),
        ("postgresql://user:planted#rest@db/name", "cannot be read|names no database"),
        ("sqlite:///relative.sqlite3", "no absolute path"),
        ("sqlite://", "no absolute path"),
    ],
)
def test_a_wrong_database_url_says_why_and_not_the_password(monkeypatch, tmp_path, url, says):
    with pytest.raises(ImproperlyConfigured, match=f"DATABASE_URL.*({says})") as caught:
        database(monkeypatch, url, tmp_path)

    assert "planted" not in str(caught.value)


def test_a_missing_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "dj_database_url", None)

    with pytest.raises(ImproperlyConfigured, match=re.escape("requirements/prod.txt")):
        database(monkeypatch, "postgresql://user@db/name", tmp_path)


# --- the kept key


def test_the_development_key_is_made_once_and_private(tmp_path):
    path = tmp_path / "var" / "secret_key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: env.kept_secret(path), range(32)))

    assert keys == {path.read_text()}
    assert len(path.read_text()) >= 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_key_is_refused(tmp_path):
    path = tmp_path / "secret_key"
    path.write_text("short")

    with pytest.raises(ImproperlyConfigured, match="damaged"):
        env.kept_secret(path)


# --- whole settings, in processes of their own


def test_development_needs_nothing(tmp_path):
    found = load("dev", "DEBUG", "SECRET_KEY", "DATABASES", "MEDIA_ROOT", "MEDIAGEN", MEDIAGEN_DATA_DIR=str(tmp_path))

    assert found["DEBUG"] is True
    assert found["SECRET_KEY"] == (tmp_path / "secret_key").read_text()
    assert found["MEDIA_ROOT"] == str(tmp_path / "media")
    assert found["MEDIAGEN"] == {}
    options = found["DATABASES"]["default"]["OPTIONS"]
    assert found["DATABASES"]["default"]["NAME"] == str(tmp_path / "db.sqlite3")
    assert (options["timeout"], options["transaction_mode"]) == (20, "IMMEDIATE")
    assert "journal_mode=WAL" in options["init_command"]


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "The environment variable SECRET_KEY is not set"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is too short"),
        ({"SECRET_KEY": GOOD_KEY}, "ALLOWED_HOSTS is not set"),
        ({"SECRET_KEY": GOOD_KEY, "ALLOWED_HOSTS": "example.org", "DEBUG": "true"}, "DEBUG is on"),
        ({"SECRET_KEY": GOOD_KEY, "ALLOWED_HOSTS": "example.org", "DEBUG": "maybe"}, "DEBUG is 'maybe'"),
    ],
)
def test_production_refuses_to_start(tmp_path, environment, says):
    message = load("production", "DEBUG", MEDIAGEN_DATA_DIR=str(tmp_path), **environment)

    assert "ImproperlyConfigured" in message
    assert says in message


def test_production_by_environment(tmp_path):
    found = load(
        "production",
        *("DEBUG", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "DATABASES", "STORAGES", "MEDIAGEN", "MIDDLEWARE"),
        *("SECURE_PROXY_SSL_HEADER", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE"),
        MEDIAGEN_DATA_DIR=str(tmp_path / "none"),
        SECRET_KEY=GOOD_KEY,
        ALLOWED_HOSTS="example.org",
        CSRF_TRUSTED_ORIGINS="https://example.org",
        DATABASE_URL="postgresql://user:pass@db/name?sslmode=verify-full",
        DATABASE_CONN_MAX_AGE="60",
        STORAGE_BACKEND="django.core.files.storage.InMemoryStorage",
        STORAGE_OPTIONS='{"base_url": "https://pictures.example.org/"}',
        BEHIND_HTTPS_PROXY="true",
        MEDIAGEN_ENCRYPTION_KEYS="new-made-up, old-made-up",
    )

    assert isinstance(found, dict), found
    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == ["example.org"]
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://example.org"]
    assert found["DATABASES"]["default"]["OPTIONS"] == {"sslmode": "verify-full"}
    assert found["DATABASES"]["default"]["CONN_MAX_AGE"] == 60
    assert found["STORAGES"]["default"] == {
        "BACKEND": "django.core.files.storage.InMemoryStorage",
        "OPTIONS": {"base_url": "https://pictures.example.org/"},
    }
    assert found["MEDIAGEN"] == {"ENCRYPTION_KEYS": ["new-made-up", "old-made-up"]}
    assert found["MIDDLEWARE"][:2] == [
        "django.middleware.security.SecurityMiddleware",
        "config.static_files.StaticFiles",
    ]
    assert found["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert found["SECURE_SSL_REDIRECT"] is True
    assert found["SESSION_COOKIE_SECURE"] is True
    assert not (tmp_path / "none").exists()


@pytest.mark.django_db
def test_the_suite_runs_on_the_database_it_was_told_to(settings):
    engine = settings.DATABASES["default"]["ENGINE"]

    assert engine.endswith("postgresql" if "postgres" in os.environ.get("DATABASE_URL", "") else "sqlite3")
