"""`django.setup()` of a small site, with mediagen in INSTALLED_APPS or without; a process per measurement."""

from __future__ import annotations

import time
from typing import Any

from tests.benchmarks.children import child


def work(job: dict[str, Any]) -> dict[str, Any]:
    """`with_us`: whether mediagen is installed. `seconds` of django.setup() alone, imports of Django included."""
    from django.conf import settings

    apps = ["django.contrib.auth", "django.contrib.contenttypes"]
    settings.configure(
        INSTALLED_APPS=[*apps, "mediagen"] if job["with_us"] else apps,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        SECRET_KEY="only-for-benchmarks",
        USE_TZ=True,
    )
    import django

    began = time.perf_counter()
    django.setup()
    return {"seconds": time.perf_counter() - began}


if __name__ == "__main__":
    child(work)
