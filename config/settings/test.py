"""For the test suite: SQLite in a file (the real locking), or PostgreSQL by DATABASE_URL; nothing reaches outside."""

import os
import tempfile
from pathlib import Path

from config.settings.base import *  # noqa: F403
from config.settings.base import DATABASES, LOGGING, SQLITE_OPTIONS, STORAGES

DEBUG = False
SECRET_KEY = "only-for-tests-" + "0" * 40
SECRET_KEY_FALLBACKS = []
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # In memory, threads would share one cache with other locks than a file has. One file per process, so that two
    # runs in one checkout do not meet; Django removes it at the end.
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(tempfile.gettempdir()) / "mediagen-unused.sqlite3",
        "OPTIONS": {**SQLITE_OPTIONS, "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"},
        "TEST": {"NAME": str(Path(tempfile.gettempdir()) / f"mediagen-test-{os.getpid()}.sqlite3")},
    }
DATABASES["default"]["CONN_MAX_AGE"] = 0

# Real files below MEDIA_ROOT, which tests/conftest.py sets to a folder of its own for every test. No option says
# where, so that a storage object made before the test follows.
STORAGES["default"] = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
MEDIA_ROOT = Path(tempfile.gettempdir()) / "mediagen-no-test"
MEDIA_URL = "/media/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
LOGGING = {**LOGGING, "root": {"handlers": ["stderr"], "level": "WARNING"}}
# No thread of its own works beside a test; those that want one say so.
MEDIAGEN = {"RUN_IN_SERVER": False}
