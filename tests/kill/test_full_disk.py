"""The database's disk is full in the middle: a message and exit code 3, and what was bought is kept."""

from __future__ import annotations

import pytest
from django.db import connections

from tests.kill.site import ALIAS, Site, prompts, purchases_by_prompt

COUNT = 24


def pages(site: Site) -> int:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        return int(cursor.fetchone()[0])


@pytest.mark.whole
@pytest.mark.parametrize("how", ["prompts", pytest.param("a file", marks=pytest.mark.whole)])
def test_what_is_bought_is_kept_and_the_same_command_goes_on(site: Site, how: str):
    server = site.servers["sdxl"]
    site.live("sdxl")
    what = prompts(COUNT) if how == "prompts" else ["--from", site.manifest(COUNT)]
    command = ("generate_assets", *what, "--size", "64x64", "--live", "--concurrency", 4, "--progress", "none")
    if how != "prompts":
        site.run(*command, "--limit", 1, code=3)
    site.pages = pages(site) + (4 if how == "prompts" else 0)
    said = site.run(*command, code=3)
    assert "The disk of the database is full" in said
    assert "Traceback" not in said
    assert 0 < len(server.purchases) < COUNT
    site.pages = 0
    site.run(*command)
    assert site.states() == {"ready": COUNT}
    assert set(purchases_by_prompt([server]).values()) == {1}
    site.run("mediagen_maintain")
    assert not site.attempts().filter(state__in=["submitted", "unknown"]).exists()


@pytest.mark.whole
def test_it_is_told_before_anything_is_begun(site: Site):
    site.pages = pages(site)
    said = site.run("generate_assets", "--from", site.manifest(500), "--progress", "none", code=3)
    assert "The disk of the database is full" in said
    assert "Traceback" not in said
