"""Descriptions as jobs: whoever goes on after a dead or leaving worker knows what that one has paid."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from mediagen.engine.work import describing, jobs, running_job
from mediagen.models import BackgroundJob, GenerationAttempt
from mediagen.models.clock import db_now
from mediagen.models.costs import cost_of
from tests.engine.generation.test_descriptions import seeing, uploaded
from tests.factories import UserFactory
from tests.servers import Fault

__all__ = ["seeing"]

pytestmark = pytest.mark.django_db


def begun(number, most):
    arguments = {"asset_ids": [uploaded().pk for _ in range(number)], "language": "en", "max_cost": most}
    return jobs.start("describe", arguments, by=UserFactory(is_superuser=True))


def is_counted(job):
    job.refresh_from_db()
    return job.result["cost"] == str(cost_of(GenerationAttempt.objects.all()).counts)


def test_a_worker_that_leaves_hands_on_what_it_has_paid(seeing):
    (openai,) = seeing("openai_images")
    job = begun(6, "9")
    jobs.work_off(should_stop=iter([False, True, True]).__next__)
    job.refresh_from_db()
    assert (job.state, job.done, len(openai.purchases)) == ("pending", 1, 4)
    jobs.work_off()
    assert is_counted(job)
    assert (job.state, job.done, len(openai.purchases)) == ("done", 6, 6)


def test_a_worker_that_dies_leaves_its_attempts_to_count(seeing, monkeypatch):
    (openai,) = seeing("openai_images")
    job = begun(6, "9")

    def dies(*args, **kwargs):
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(running_job.Running, "did", dies)
        with pytest.raises(SystemExit):
            jobs.work_off()
    assert len(openai.purchases) == 4
    BackgroundJob.objects.update(lease_until=db_now() - timedelta(seconds=1))
    jobs.work_off()
    assert is_counted(job)
    assert (job.done, len(openai.purchases)) == (6, 6)


def test_who_has_cancelled_pays_for_no_other_group(seeing, monkeypatch):
    (openai,) = seeing("openai_images")
    job = begun(6, "9")
    asked = describing.described

    def cancelled_meanwhile(rows):
        found = asked(rows)
        jobs.cancel(BackgroundJob.objects.get(pk=job.pk))
        return found

    monkeypatch.setattr(describing, "described", cancelled_meanwhile)
    jobs.work_off()
    job.refresh_from_db()
    assert (job.state, len(openai.purchases)) == ("cancelled", 4)


@pytest.mark.parametrize(("most", "asked"), [("0.1361", (1, 1)), ("0.1359", (0, 0))])
def test_the_most_holds_also_when_an_answer_is_lost_and_the_next_one_is_asked(seeing, most, asked):
    openai, gemini = seeing("openai_images", "gemini")
    openai.fault("submit", Fault.reset_after_body_read())
    job = begun(3, most)
    jobs.work_off()
    job.refresh_from_db()
    assert "the rest is left" in job.message
    assert (len(openai.purchases), len(gemini.purchases), job.done) == (*asked, asked[0])
    assert cost_of(GenerationAttempt.objects.all()).counts < Decimal(most)
