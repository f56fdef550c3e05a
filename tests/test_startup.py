"""What a site pays for having us in INSTALLED_APPS: nothing heavy is imported before somebody uses it."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=[*sys.argv[1:], "django.contrib.auth", "django.contrib.contenttypes", "mediagen"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SECRET_KEY="only-for-tests",
    USE_TZ=True,
)
django.setup()
print(" ".join(sys.modules))
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "name",
    ["PIL", "httpx", "httpx2", "cryptography", "rest_framework", "drf_spectacular", "storages"],
)
def test_django_starts_without(name, imported):
    assert "mediagen" in imported
    assert name not in imported


def test_a_site_with_the_admin_and_rest_framework_starts_without_what_is_heavy():
    apps = ["django.contrib.admin", "django.contrib.sessions", "django.contrib.messages", "rest_framework"]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *apps], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert {"mediagen", "rest_framework"} <= imported
    heavy = {"PIL", "httpx", "httpx2", "httpcore", "cryptography", "defusedxml"}
    assert not (heavy | {"mediagen.chain", "mediagen.admin.asset"}) & imported
