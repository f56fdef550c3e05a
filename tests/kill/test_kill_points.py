"""SIGKILL at every place between the claim of a row and its commit."""

from __future__ import annotations

import json

import pytest

from tests.kill.site import Site, check_everything, prompts

AT_ONCE = ("claimed:1", "noted:3", "delivered:3", "half_stored:2", "stored:2", "written:2", "committed:3")
JOBS = ("noted:3", "accepted:3", "job_known:3", "delivered:2", "stored:2", "written:2")


def generate(site: Site, path, *more):
    return (
        "generate_assets",
        "--from",
        path,
        "--live",
        "--concurrency",
        3,
        "--max-cost",
        50,
        "--progress",
        "none",
        *more,
    )


@pytest.mark.parametrize(
    ("provider", "points"),
    [
        pytest.param("sdxl", ("delivered:3",), marks=pytest.mark.slow),
        pytest.param("sdxl", AT_ONCE, marks=pytest.mark.whole),
        pytest.param("flux", JOBS, marks=pytest.mark.whole),
        pytest.param("replicate_sdxl", JOBS, marks=pytest.mark.slow),
    ],
)
def test_killed_at_every_place(site: Site, provider, points):
    server = site.servers[provider]
    server.polls_until_ready = 1
    site.live(provider, prices={"stability-ai/sdxl": "0.01"} if provider == "replicate_sdxl" else {})
    path = site.manifest(3 * len(points))
    for point in points:
        site.run(*generate(site, path), kill_at=point)
    site.run(*generate(site, path))
    site.run("mediagen_maintain")
    check_everything(site, provider)
    assert site.states() == {"ready": 3 * len(points)}
    assert site.batch().state == "finished"


@pytest.mark.whole
@pytest.mark.parametrize(
    ("provider", "points", "how"),
    [
        ("flux", JOBS, {"operation": "edit"}),
        ("sdxl", AT_ONCE, {"operation": "edit", "option.search_prompt": "the cap"}),
    ],
)
def test_edits_killed_at_every_place(site: Site, provider, points, how):
    server = site.servers[provider]
    server.polls_until_ready = 1
    site.live(provider)
    site.run("generate_assets", "a source", "--dry-run", "--size", "128x96", "--progress", "none")
    source = site.assets().get()
    path = site.folder / "edits.jsonl"
    rows = [{"prompt": prompt, "source": str(source.pk), **how} for prompt in prompts(3 * len(points))]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for point in points:
        site.run(*generate(site, path), kill_at=point)
    site.run(*generate(site, path))
    site.run("mediagen_maintain")
    check_everything(site, provider)
    assert site.states() == {"ready": 3 * len(points) + 1}
    assert set(site.attempts().filter(billable=True).values_list("operation", flat=True)) == {"edit_image"}
    assert {asset.parent_id for asset in site.assets().exclude(pk=source.pk)} == {source.pk}
