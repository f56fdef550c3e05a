"""Engines without a broker: one that runs everything at once, and one that keeps its messages in the database."""

from __future__ import annotations

from collections import Counter

import django
import pytest

from tests.brokers.installation import Commands, manifest, purchases

pytestmark = pytest.mark.broker

IMMEDIATE = f"django{'.' if django.VERSION >= (6,) else '_'}tasks.backends.immediate.ImmediateBackend"

TRY_IMMEDIATE = """
import asyncio, sys
import django

django.setup()
assert "mediagen.tasks" not in sys.modules

from django.db import transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import path
from mediagen.engine import get_media_engine
from mediagen.models import MediaAsset

engine = get_media_engine()
states = lambda: list(MediaAsset.objects.order_by("pk").values_list("generation_state", flat=True))

with transaction.atomic():
    engine.enqueue_sync("In a transaction", 32, 32)
    print("inside", states())
print("committed", states())

with transaction.atomic():
    engine.enqueue_sync("Never", 32, 32)
    transaction.set_rollback(True)
print("rolled back", states())

async def coroutine():
    return await engine.enqueue("In a coroutine", 32, 32)

asyncio.run(coroutine())
print("coroutine", states())

def view(request):
    return HttpResponse(engine.enqueue_sync("In a request", 32, 32).generation_state)

urlpatterns = [path("", view)]
with override_settings(ROOT_URLCONF=sys.modules[__name__], ALLOWED_HOSTS=["testserver"]):
    transaction.get_connection().settings_dict["ATOMIC_REQUESTS"] = True
    print("answered", Client().get("/").content.decode())
print("request", states())
"""


def test_an_engine_that_runs_everything_at_once(site, tmp_path):
    here = site("none", TASK_BACKEND="default")
    here.add_settings(f"TASKS = {{'default': {{'BACKEND': '{IMMEDIATE}'}}}}")

    said = here.python(TRY_IMMEDIATE).splitlines()

    assert [line for line in said if "[" in line or "answered" in line] == [
        "inside ['pending']",
        "committed ['ready']",
        "rolled back ['ready']",
        "coroutine ['ready', 'ready']",
        "answered pending",
        "request ['ready', 'ready', 'ready']",
    ]
    assert "mediagen.W002" in here.run("python manage.py check")


def test_an_engine_in_the_database(site, provider_servers, tmp_path):
    sdxl = provider_servers["sdxl"]
    here = site("db")
    here.sell(sdxl)
    prompts = manifest(tmp_path / "prompts.csv", 30)
    commands = Commands.of("db")

    said = here.run(commands.line("--enqueue"))
    assert "30 pictures wait; the task engine was told of 30" in said
    assert here.states() == {"pending": 30}
    here.start("worker", commands.line("db_worker"))
    here.until("all are ready", lambda: here.states() == {"ready": 30}, within_s=60)

    assert Counter(purchases(sdxl)) == Counter(prompts)
    state = "SELECT state FROM mediagen_generationbatch"
    # Whoever fills the last row ends the batch a moment later.
    here.until("the batch is finished", lambda: here.rows(state) == [("finished",)], within_s=10)


@pytest.mark.parametrize(
    ("engine", "url"), [("celery", "amqp://guest:guest@127.0.0.1:1//"), ("rq", "redis://127.0.0.1:1/0")]
)
def test_a_broker_that_is_away_costs_a_line_in_the_log(site, tmp_path, engine, url):
    here = site(engine)
    manifest(tmp_path / "prompts.csv", 60)
    here.environment["TASKS_BROKER_URL"], right = url, here.environment["TASKS_BROKER_URL"]

    said = here.run(Commands.of(engine).line("--enqueue").replace("--live", "--dry-run"))

    assert said.count("the task engine could not be told of waiting assets") == 1
    assert here.states() == {"pending": 60}
    here.environment["TASKS_BROKER_URL"] = right
    assert "60 assets were told to the task engine." in here.run("python manage.py mediagen_maintain")
    assert "Nothing was to be done." in here.run("python manage.py mediagen_maintain")
