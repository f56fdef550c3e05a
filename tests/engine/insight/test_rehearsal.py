"""The chain is rehearsed by its own rules, in no time, and nothing comes of it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mediagen.engine.insight.rehearsal import SCENARIOS, rehearse
from mediagen.errors import InvalidRequest
from mediagen.models import GenerationAttempt, MediaAsset, ProviderConfig, ProviderHealth
from tests.factories import GenerationAttemptFactory

pytestmark = pytest.mark.django_db


def route(picture):
    return [(attempt.provider, attempt.outcome) for attempt in picture.attempts]


def provider(rehearsal, name):
    return next(one for one in rehearsal.providers if one.name == name)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_plays_and_leaves_nothing_behind(scenario, caplog):
    rehearsal = rehearse(scenario, pictures=3)

    assert len(rehearsal.pictures) == 3
    assert rehearsal.served + rehearsal.placeholders + rehearsal.failed == 3
    assert GenerationAttempt.objects.count() == MediaAsset.objects.count() == ProviderHealth.objects.count() == 0
    assert caplog.text == "", "nobody is alarmed by what is only played"


def test_when_all_is_well_the_first_serves_at_its_price():
    rehearsal = rehearse("all_well", pictures=2, every_s=10)

    assert [route(picture) for picture in rehearsal.pictures] == [[("sdxl", "succeeded")]] * 2
    assert rehearsal.cost == Decimal("0.06")
    assert [picture.asked_at_s for picture in rehearsal.pictures] == [0, 10]
    assert provider(rehearsal, "sdxl").usual_s == 8.0


def test_a_dead_first_provider_is_passed_over_once_its_breaker_is_open():
    rehearsal = rehearse("first_down", pictures=3)

    first, last = rehearsal.pictures[0], rehearsal.pictures[-1]
    assert route(first) == [("sdxl", "unavailable")] * 3 + [("openai_images", "succeeded")]
    assert route(last) == [("sdxl", "skipped"), ("openai_images", "succeeded")]
    assert last.took_s < first.took_s
    sdxl = provider(rehearsal, "sdxl")
    assert (sdxl.breaker, sdxl.reason) == ("open", "sdxl: the connection was refused.")
    assert sdxl.reopens_in_s > 0
    assert provider(rehearsal, "openai_images").asked == 3


def test_a_provider_that_hangs_costs_its_whole_timeout_and_may_cost_money():
    ProviderConfig.objects.filter(name="sdxl").update(timeout_s=20)

    rehearsal = rehearse("first_hangs", pictures=1)

    (picture,) = rehearsal.pictures
    assert route(picture) == [("sdxl", "unknown"), ("openai_images", "succeeded")]
    assert picture.took_s == pytest.approx(28)
    assert picture.possible == Decimal("0.03")


def test_the_deadline_of_a_generation_holds_here_too(settings):
    settings.MEDIAGEN = {"DEADLINE_S": 15.0}

    (picture,) = rehearse("first_hangs", pictures=1).pictures

    assert picture.took_s == pytest.approx(15)
    assert picture.served_by == ""
    assert "deadline" in picture.attempts[-1].message


def test_a_rate_limit_is_kept_to_the_second():
    rehearsal = rehearse("first_limited", pictures=8, every_s=10)

    assert [picture.served_by for picture in rehearsal.pictures] == ["openai_images"] * 6 + ["sdxl"] * 2
    assert sum(attempt.outcome == "rate_limited" for p in rehearsal.pictures for attempt in p.attempts) == 1


@pytest.mark.parametrize(("rule", "served_by"), [("stop", ""), ("next", "openai_images")])
def test_a_refusal_goes_by_the_providers_own_rule(rule, served_by):
    ProviderConfig.objects.filter(name="sdxl").update(after_refusal=rule)

    (picture,) = rehearse("first_refuses", pictures=1).pictures

    assert picture.served_by == served_by


@pytest.mark.parametrize(("rule", "served_by"), [("stop", ""), ("next", "openai_images")])
def test_so_does_an_unknown_outcome(rule, served_by):
    ProviderConfig.objects.filter(name="sdxl").update(after_unknown=rule)

    (picture,) = rehearse("first_lost", pictures=1).pictures

    assert picture.served_by == served_by


def test_damaged_bytes_are_paid_for_and_not_believed():
    (picture,) = rehearse("first_corrupt", pictures=1).pictures

    assert route(picture)[0] == ("sdxl", "bad_response")
    assert "cut off" in picture.attempts[0].message
    assert picture.attempts[0].cost == Decimal("0.03")


def test_only_the_placeholder_is_left_when_all_are_down():
    rehearsal = rehearse("all_down", pictures=1)

    assert (rehearsal.served, rehearsal.placeholders, rehearsal.failed) == (0, 1, 0)
    assert rehearsal.cost == 0
    ProviderConfig.objects.filter(name="noop_media").update(enabled=False)
    assert rehearse("all_down", pictures=1).failed == 1


def test_another_order_is_another_route():
    ProviderConfig.objects.filter(name="flux").update(position=0)

    (picture,) = rehearse("first_down", pictures=1).pictures

    assert [name for name, _ in route(picture)][::3] == ["flux", "sdxl"]


def test_single_providers_may_behave_otherwise():
    rehearsal = rehearse("all_down", behaviours={"flux": "well"}, pictures=1)

    assert rehearsal.pictures[0].served_by == "flux"
    assert provider(rehearsal, "flux").behaviour == "well"


def test_what_was_measured_is_what_is_played():
    for _ in range(3):
        GenerationAttemptFactory(latency_s=4.5)

    rehearsal = rehearse("all_well", pictures=1)

    assert rehearsal.pictures[0].took_s == 4.5
    assert provider(rehearsal, "sdxl").is_measured
    assert not provider(rehearsal, "flux").is_measured


def test_who_has_no_key_and_whose_price_is_not_known_is_said(monkeypatch):
    monkeypatch.setenv("SDXL_API_KEY", "x")
    ProviderConfig.objects.filter(name="replicate_sdxl").update(model="some/model")

    rehearsal = rehearse("all_down", behaviours={"replicate_sdxl": "well"}, pictures=1)

    assert not provider(rehearsal, "sdxl").needs_key
    assert provider(rehearsal, "flux").needs_key
    assert rehearsal.without_price == ("replicate_sdxl",)


def test_it_takes_few_queries():
    with CaptureQueriesContext(connection) as queries:
        rehearse("first_down", pictures=20)

    assert len(queries) <= 3


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"scenario": "nonsense"}, "scenario"),
        ({"behaviours": {"sdxl": "sings"}}, "behaviours"),
        ({"pictures": 0}, "pictures"),
        ({"pictures": 51}, "pictures"),
        ({"every_s": -1}, "every_s"),
    ],
)
def test_what_cannot_be_played_is_refused(arguments, field):
    with pytest.raises(InvalidRequest) as caught:
        rehearse(**arguments)

    assert caught.value.field == field
