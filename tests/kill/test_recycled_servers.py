"""A server process that ends, as gunicorn's do after max_requests and at SIGTERM: its pictures end first, or wait."""

from __future__ import annotations

import textwrap

import pytest

from tests.kill.site import Site, ended
from tests.servers import Fault


def script(end_s: float) -> str:
    """What a server process does: it takes pictures in, and leaves in order."""
    return textwrap.dedent(f"""
        import sys, time
        from mediagen.engine import get_media_engine
        from mediagen.engine.database import loop_thread
        from mediagen.engine.work import in_server
        from mediagen.models import GenerationAttempt
        loop_thread.END_S = {end_s}
        asset = get_media_engine().enqueue_sync("a lighthouse", 512, 512)
        in_server.work_soon([asset.pk])
        while not GenerationAttempt.objects.exclude(provider_job_id="").exists():
            time.sleep(0.02)
        sys.exit(0)
    """)


def test_a_picture_under_way_is_waited_for(site: Site):
    site.live("flux")
    ended(site.start("shell", "-c", script(20.0)), 0)
    assert site.states() == {"ready": 1}
    assert len(site.servers["flux"].purchases) == 1


@pytest.mark.whole
def test_what_takes_too_long_waits_for_the_next_process_and_is_not_bought_again(site: Site):
    site.live("flux")
    flux = site.servers["flux"]
    flux.fault("poll", Fault.job_never_ends(), times=None)
    ended(site.start("shell", "-c", script(0.2)), 0)
    assert site.states() == {"pending": 1}
    flux.clear_faults()
    site.run("generate_worker", "--until-done")
    assert site.states() == {"ready": 1}
    assert len(flux.purchases) == 1
