"""The task that engines run: made only where the site names an engine, with whichever framework there is."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from config import env
from config.settings import base
from mediagen.engine.work import task_runs
from mediagen.errors import ConfigurationError

ROOT = Path(__file__).resolve().parent.parent


def framework(name: str, refuses: str = "") -> ModuleType:
    """A package with a `task` decorator as django.tasks and django-tasks have it."""

    def task(*, backend, queue_name):
        def wrap(function):
            if refuses:
                raise ValueError(refuses) if refuses == "value" else RuntimeError(refuses)
            return (name, backend, queue_name, function)

        return wrap

    module = ModuleType(name)
    module.task = task
    return module


@pytest.fixture
def tasks(settings, monkeypatch):
    """`tasks(new, old, **mediagen)` imports mediagen.tasks afresh with these for django.tasks and django_tasks."""
    monkeypatch.setitem(sys.modules, "mediagen.tasks", None)  # put back afterwards

    def load(new, old, **mediagen):
        settings.MEDIAGEN = mediagen
        monkeypatch.setitem(sys.modules, "django.tasks", new)
        monkeypatch.setitem(sys.modules, "django_tasks", old)
        sys.modules.pop("mediagen.tasks", None)
        return importlib.import_module("mediagen.tasks")

    return load


def test_without_an_engine_there_is_a_plain_function_and_no_framework_is_needed(tasks, monkeypatch):
    monkeypatch.setattr(task_runs, "work_off", len)

    assert tasks(None, None).generate(["a", "b"]) == 2


def test_django_s_own_framework_comes_first(tasks):
    generate = tasks(framework("django"), framework("package"), TASK_BACKEND="pictures", TASK_QUEUE="slow").generate

    assert generate[:3] == ("django", "pictures", "slow")
    assert generate[3].__qualname__ == "generate", "the name under which engines find it again"


def test_before_django_6_the_package_serves(tasks):
    assert tasks(None, framework("package"), TASK_BACKEND="pictures").generate[:3] == ("package", "pictures", "default")


def test_with_neither_it_is_said_what_to_install(tasks):
    with pytest.raises(ConfigurationError, match=r"is 'pictures', and .* Install django-tasks"):
        tasks(None, None, TASK_BACKEND="pictures")


def test_it_is_not_imported_at_start():
    """Its import checks the site's TASKS, and could stop the site from starting."""
    script = (
        "import sys, django; django.setup()\n"
        "import mediagen.urls, mediagen.admin, mediagen.engine.core, mediagen.management.commands.generate_assets\n"
        "assert 'mediagen.tasks' not in sys.modules\n"
        "assert not {'celery', 'rq', 'django_tasks'} & set(sys.modules)"
    )
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


# --- what manage.py check says


@pytest.fixture
def said(tasks, settings):
    """`said(new, old, TASKS, **mediagen)`: ids and texts of the checks."""

    def run(new, old, entries, **mediagen):
        if entries is not None:
            settings.TASKS = entries
        elif hasattr(settings, "TASKS"):
            del settings.TASKS
        try:
            tasks(new, old, **mediagen)
        except Exception:
            sys.modules.pop("mediagen.tasks", None)
        return [
            (message.id, f"{message.msg} {message.hint}")
            for message in checks.run_checks(tags=["mediagen"], databases=[])
        ]

    return run


CELERY = {"pictures": {"BACKEND": "django_tasks_fennel.CeleryBackend"}}


def test_no_engine_is_no_problem(said):
    assert said(None, None, None) == []


def test_an_engine_that_takes_the_task_is_no_problem(said):
    assert said(None, framework("package"), CELERY, TASK_BACKEND="pictures") == []


def test_no_framework(said):
    [(number, text)] = said(None, None, CELERY, TASK_BACKEND="pictures")

    assert number == "mediagen.E009"
    assert "Install django-tasks (Django 6 brings it) and a backend of it. See docs/workers.md" in text


def test_no_such_alias(said):
    [(number, text)] = said(None, framework("package"), CELERY, TASK_BACKEND="default")

    assert number == "mediagen.E010"
    assert "names 'default'" in text
    assert "settings.TASKS has: pictures." in text


def test_an_engine_that_refuses_the_task(said):
    refusing = framework("package", refuses="Queue 'default' is not valid for backend.")
    [(number, text)] = said(None, refusing, CELERY, TASK_BACKEND="pictures")

    assert number == "mediagen.E011"
    assert "RuntimeError: Queue 'default' is not valid for backend." in text
    assert "MEDIAGEN['TASK_QUEUE']" in text


def test_a_value_that_may_be_an_address_with_a_password_is_not_repeated(said):
    [(_, text)] = said(None, framework("package", refuses="value"), CELERY, TASK_BACKEND="pictures")

    assert "(ValueError)" in text


@pytest.mark.parametrize(
    "entries",
    [
        None,
        {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}},
        {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}},
    ],
)
def test_an_engine_without_workers_is_warned_of(said, entries):
    [(number, text)] = said(framework("django"), None, entries, TASK_BACKEND="default")

    assert number == "mediagen.W002"
    assert "manage.py generate_worker" in text


@pytest.mark.parametrize("name", ["TASK_BACKEND", "TASK_QUEUE"])
def test_types(said, name):
    [(number, text)] = said(None, None, None, **{name: 5})

    assert number == "mediagen.E003"
    assert f"MEDIAGEN['{name}'] must be a str" in text


# --- the project of this repository


def test_an_engine_whose_packages_are_missing_stops_the_start_with_what_to_install(monkeypatch):
    monkeypatch.setenv("TASKS_ENGINE", "celery")
    monkeypatch.setitem(sys.modules, "celery", None)

    with pytest.raises(
        ImproperlyConfigured, match=r"TASKS_ENGINE is 'celery', .* celery, .* requirements/brokers\.txt"
    ):
        env.need_modules("TASKS_ENGINE", "celery", "django")
    env.need_modules("TASKS_ENGINE", "django")


def test_no_engine_is_the_default():
    assert not hasattr(base, "TASKS")
    assert base.TASKS_ENGINE == "none"
