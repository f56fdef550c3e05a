"""Settings of the processes that these tests start and kill: a real SQLite file or PostgreSQL, and a short lease.

Environment: MEDIAGEN_DATA_DIR and DATABASE_URL as everywhere; MEDIAGEN_KILL_SETTINGS is a JSON object for `MEDIAGEN`;
MEDIAGEN_KILL_AT is read by `tests.kill.faults`; with MEDIAGEN_KILL_PAGES the disk of the SQLite database is full.
"""

import json
import os

from config.settings.base import *  # noqa: F403
from config.settings.base import DATA_DIR, DATABASES, INSTALLED_APPS, LOGGING

if PAGES := os.environ.get("MEDIAGEN_KILL_PAGES"):  # a disk that is full: of so many pages of SQLite's
    DATABASES["default"]["OPTIONS"]["init_command"] += f"PRAGMA max_page_count={PAGES};"
SECRET_KEY = "only-for-tests-" + "0" * 40
INSTALLED_APPS = [*INSTALLED_APPS, "tests.kill.faults.FaultsConfig"]
LOGGING = {**LOGGING, "root": {"handlers": ["stderr"], "level": "WARNING"}}
MEDIAGEN = {
    "LEASE_S": 2.0,
    # What is shown is who bought what and when; enlarging pictures would only take time.
    "FIT": "keep",
    "BACKOFF_S": 0.01,
    "RESCUE_DIR": str(DATA_DIR / "rescued"),
    **json.loads(os.environ.get("MEDIAGEN_KILL_SETTINGS", "{}")),
}
