"""The failure policy of the chain, row by row, with providers that share nothing with our base classes."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal

import pytest

from mediagen.chain import MediaGeneratorChain
from mediagen.errors import (
    AttemptVetoed,
    BadResponse,
    ConfigurationError,
    CredentialsRefused,
    InvalidRequest,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.providers import GeneratedImage, NoOpMediaAdapter, SDXLAdapter
from mediagen.types import AttemptState, ProviderJob
from tests import pictures
from tests.fakes import Duck, JobDuck, ListRecorder, picture


@pytest.fixture(autouse=True)
def quick(settings):
    settings.MEDIAGEN = {"BACKOFF_S": 0.001}


def outcomes(outcome):
    return [(a.provider_name, a.outcome.value) for a in outcome.attempts]


async def run(*providers, **kwargs):
    return await MediaGeneratorChain(providers).execute(
        "generate_image", prompt="a lighthouse", width=8, height=8, **kwargs
    )


async def test_the_first_that_delivers_serves_and_nobody_else_is_asked():
    first, second = Duck("first"), Duck("second")
    image = await MediaGeneratorChain([first, second]).execute_generate_image("a lighthouse", 8, 8)
    assert (image.provider_name, len(second.calls)) == ("first", 0)


async def test_options_reach_a_provider_unchanged():
    duck = Duck("duck")
    await MediaGeneratorChain([duck]).execute_generate_image("x", 8, 8, seed=5, style="anime")
    assert duck.calls == [{"prompt": "x", "width": 8, "height": 8, "seed": 5, "style": "anime"}]


@pytest.mark.parametrize(
    ("error", "asked", "goes_on"),
    [
        (Unavailable("down"), 1, True),
        (OutcomeUnknown("sent, no answer"), 1, True),
        (RateLimited("slow down", retry_after_s=30), 1, True),
        (CredentialsRefused("no"), 1, True),
        (Refused("moderation"), 1, False),
        (UnsupportedRequest("too wide"), 1, True),
        (BadResponse("html"), 1, True),
        (KeyError("bug"), 1, True),
    ],
)
async def test_policy_table(error, asked, goes_on):
    first, second = Duck("first", error), Duck("second")
    outcome = await run(first, second)
    assert len(first.calls) == asked
    assert (outcome.served_by == "second") is goes_on
    assert len(second.calls) == int(goes_on)


async def test_unavailable_is_asked_again_when_nobody_else_can_be():
    only = Duck("only", Unavailable("down"))
    assert (await run(only)).result is None
    assert len(only.calls) == 3


@pytest.mark.parametrize("at_once", [1, 3, 7])
async def test_a_dead_provider_is_asked_no_more_often_than_pictures_are_made_at_once(at_once):
    first = Duck("first", Unavailable("down"))
    chain = MediaGeneratorChain([first, Duck("second")])
    for _ in range(3):
        made = await asyncio.gather(*(chain.execute_generate_image("x", 8, 8) for _ in range(at_once)))
        assert {image.provider_name for image in made} == {"second"}
    assert len(first.calls) <= at_once


async def test_unavailable_is_asked_again_and_every_try_is_an_attempt():
    outcome = await run(Duck("first", Unavailable("down"), picture()))
    assert outcomes(outcome) == [("first", "unavailable"), ("first", "succeeded")]
    assert [a.position for a in outcome.attempts] == [1, 2]


async def test_a_long_retry_after_is_not_slept_through_while_another_can_serve():
    first = Duck("first", Unavailable("busy", retry_after_s=60))
    outcome = await asyncio.wait_for(run(first, Duck("second")), 2)
    assert (len(first.calls), outcome.served_by) == (1, "second")


async def test_after_unknown_stop_ends_the_chain():
    second = Duck("second")
    outcome = await run(Duck("first", OutcomeUnknown("?"), after_unknown="stop"), second)
    assert (outcome.result, second.calls) == (None, [])
    assert outcome.attempts[0].state is AttemptState.UNKNOWN


async def test_after_refusal_next_goes_on():
    assert (await run(Duck("first", Refused("no"), after_refusal="next"), Duck("second"))).served_by == "second"


async def test_a_provider_without_the_operation_is_skipped():
    class OnlyExports:
        def get_name(self):
            return "exporter"

        async def check_health(self):
            return True

    outcome = await run(OnlyExports(), Duck("second"))
    assert outcomes(outcome) == [("exporter", "skipped"), ("second", "succeeded")]
    assert outcome.attempts[0].state is AttemptState.SKIPPED


async def test_a_provider_that_declares_it_cannot_is_skipped_and_not_blamed():
    chain = MediaGeneratorChain([Duck("first", NotImplementedError()), Duck("second")])
    outcome = await chain.execute("generate_image", prompt="x", width=8, height=8)
    assert outcomes(outcome) == [("first", "skipped"), ("second", "succeeded")]
    assert chain.get_provider_health() == {"first": True, "second": True}


async def test_none_delivers():
    outcome = await run(Duck("first", BadResponse("html")), Duck("second", UnsupportedRequest("no")))
    assert outcome.result is None
    assert "first: bad_response: html" in outcome.explain()
    assert "second: unsupported: no" in outcome.explain()


async def test_no_provider_at_all():
    outcome = await run()
    assert outcome.result is None
    assert "no provider is enabled" in outcome.explain()


@pytest.mark.parametrize(
    "kwargs", [{"prompt": ""}, {"prompt": "x", "width": 0}, {"prompt": "x", "seed": -1}, {"prompt": "\x00"}]
)
async def test_nonsense_is_refused_before_anybody_is_asked(kwargs):
    duck = Duck("duck")
    with pytest.raises(InvalidRequest):
        await MediaGeneratorChain([duck]).execute_generate_image(**kwargs)
    assert duck.calls == []


class TestBreaker:
    async def test_opens_after_failures_and_is_skipped_then(self, settings):
        settings.MEDIAGEN = {"RETRIES": 0, "BREAKER_FAILURES": 2}
        first = Duck("first", BadResponse("html"))
        chain = MediaGeneratorChain([first])
        for _ in range(2):
            outcome = await chain.execute("generate_image", prompt="x", width=8, height=8)
        chain.providers.append(Duck("second"))
        outcome = await chain.execute("generate_image", prompt="x", width=8, height=8)
        assert outcome.served_by == "second"
        assert len(first.calls) == 2
        assert outcomes(outcome)[0] == ("first", "skipped")
        assert "html" in outcome.attempts[0].message

    async def test_rate_limited_is_left_alone_for_its_time(self):
        first = Duck("first", RateLimited("slow", retry_after_s=60))
        chain = MediaGeneratorChain([first, Duck("second")])
        for _ in range(3):
            assert (await chain.execute_generate_image("x", 8, 8)).provider_name == "second"
        assert len(first.calls) == 1

    async def test_recovers_by_one_probe(self, settings):
        settings.MEDIAGEN = {"RETRIES": 0, "BREAKER_FAILURES": 1, "BREAKER_COOLDOWN_S": 0.05}
        first = Duck("first", BadResponse("html"), picture())
        chain = MediaGeneratorChain([first, Duck("second")])
        assert (await chain.execute_generate_image("x", 8, 8)).provider_name == "second"
        await asyncio.sleep(0.06)
        assert (await chain.execute_generate_image("x", 8, 8)).provider_name == "first"
        assert chain.get_provider_health() == {"first": True, "second": True}

    async def test_half_open_lets_one_of_many_through(self, settings):
        settings.MEDIAGEN = {"RETRIES": 0, "BREAKER_FAILURES": 1, "BREAKER_COOLDOWN_S": 0.05}

        async def slow_failure():
            await asyncio.sleep(0.05)
            raise BadResponse("still down")

        first = Duck("first", BadResponse("html"), slow_failure)
        chain = MediaGeneratorChain([first, Duck("second")])
        await chain.execute_generate_image("x", 8, 8)
        await asyncio.sleep(0.06)
        images = await asyncio.gather(*(chain.execute_generate_image("x", 8, 8) for _ in range(10)))
        assert {image.provider_name for image in images} == {"second"}
        assert len(first.calls) == 2

    async def test_concurrent_failures_waste_no_retry_once_it_is_open(self, settings):
        settings.MEDIAGEN = {"BACKOFF_S": 0.5, "BREAKER_FAILURES": 5}
        first = Duck("first", Unavailable("500"))
        chain = MediaGeneratorChain([first, Duck("second")])
        began = asyncio.get_running_loop().time()
        images = await asyncio.gather(*(chain.execute_generate_image("x", 8, 8) for _ in range(16)))
        assert {image.provider_name for image in images} == {"second"}
        assert len(first.calls) == 16
        assert asyncio.get_running_loop().time() - began < 0.25  # nobody slept through the back-off

    async def test_when_all_are_open_the_soonest_is_asked_once(self, settings):
        settings.MEDIAGEN = {"RETRIES": 2, "BREAKER_FAILURES": 1, "BACKOFF_S": 0.001}
        first, second = Duck("first", BadResponse("html")), Duck("second", BadResponse("html"))
        chain = MediaGeneratorChain([first, second])
        await chain.execute("generate_image", prompt="x", width=8, height=8)
        assert (len(first.calls), len(second.calls)) == (1, 1)
        outcome = await chain.execute("generate_image", prompt="x", width=8, height=8)
        assert (len(first.calls), len(second.calls)) == (2, 1)
        assert outcomes(outcome) == [("first", "skipped"), ("second", "skipped"), ("first", "bad_response")]

    async def test_the_last_resort_does_not_break_a_promise_to_wait(self):
        only = Duck("only", RateLimited("slow", retry_after_s=60))
        chain = MediaGeneratorChain([only])
        await chain.execute("generate_image", prompt="x", width=8, height=8)
        outcome = await chain.execute("generate_image", prompt="x", width=8, height=8)
        assert len(only.calls) == 1
        assert 55 < outcome.retry_after_s <= 60

    async def test_a_misconfigured_one_is_told_to_the_operator_once(self, caplog):
        chain = MediaGeneratorChain([Duck("first", CredentialsRefused("401: bad key")), Duck("second")])
        with caplog.at_level(logging.ERROR, "mediagen"):
            for _ in range(3):
                await chain.execute_generate_image("x", 8, 8)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "bad key" in caplog.text

    async def test_dry_runs_neither_open_nor_mind_a_breaker(self):
        first = Duck("first", RateLimited("slow", retry_after_s=60))
        chain = MediaGeneratorChain([first])
        await chain.execute_generate_image("x", 8, 8)
        outcome = await chain.execute("generate_image", prompt="x", width=8, height=8, dry_run=True)
        assert (outcome.served_by, outcome.result.dry_run, len(first.calls)) == ("first", True, 1)


class TestHealth:
    async def test_all_are_healthy_before_anything_happened(self):
        assert MediaGeneratorChain([Duck("a"), Duck("b")]).get_provider_health() == {"a": True, "b": True}

    async def test_a_failure_shows(self):
        chain = MediaGeneratorChain([Duck("a", BadResponse("html")), Duck("b")])
        await chain.execute_generate_image("x", 8, 8)
        assert chain.get_provider_health() == {"a": False, "b": True}

    async def test_a_live_provider_without_a_key_is_not_healthy(self):
        chain = MediaGeneratorChain([SDXLAdapter(dry_run=False), SDXLAdapter(dry_run=True, name="dry")])
        assert chain.get_provider_health() == {"sdxl": False, "dry": True}


class TestForeignProviders:
    async def test_html_for_a_picture_is_a_bad_response(self):
        html = GeneratedImage(content=b"<!doctype html><html></html>", format="png", width=8, height=8)
        assert (await run(Duck("first", html), Duck("second"))).served_by == "second"

    async def test_what_no_picture_format_is_known_for_is_marked_in_a_bare_chain(self):
        odd = GeneratedImage(content=b"some bytes", format="xyz", width=8, height=8, provider_name="first")
        image = (await run(Duck("first", odd))).result
        assert (image.content, image.metadata["verified"]) == (b"some bytes", False)

    async def test_and_refused_in_a_strict_one(self):
        odd = GeneratedImage(content=b"some bytes", format="xyz", width=8, height=8)
        chain = MediaGeneratorChain([Duck("first", odd), Duck("second")], strict=True)
        assert (await chain.execute_generate_image("x", 8, 8)).provider_name == "second"

    async def test_what_the_bytes_are_counts_not_what_is_said(self):
        lying = GeneratedImage(content=pictures.png(5, 4), format="jpeg", width=1024, height=1024)
        image = (await run(Duck("first", lying))).result
        assert (image.format, image.width, image.height, len(image.sha256)) == ("png", 5, 4, 64)

    @pytest.mark.parametrize("answer", ["text", 5, {"content": b"x"}, GeneratedImage(content=b"")])
    async def test_another_type_of_answer_is_a_bad_response(self, answer):
        assert (await run(Duck("first", answer), Duck("second"))).served_by == "second"

    async def test_a_url_to_a_private_address_is_not_fetched(self):
        url = GeneratedImage(content="http://169.254.169.254/latest/meta-data", content_type="url")
        outcome = await run(Duck("first", url), Duck("second"))
        assert outcome.served_by == "second"
        assert "not https" in outcome.attempts[0].message

    async def test_an_unforeseen_exception_is_logged_without_the_key(self, caplog):
        duck = Duck("first", RuntimeError("boom with planted-key-123456"), api_key="planted-key-123456")
        outcome = await run(duck, Duck("second"))
        assert outcome.served_by == "second"
        assert "Traceback" in caplog.text
        assert "RuntimeError" in caplog.text
        assert "planted-key-123456" not in caplog.text + outcome.attempts[0].message

    async def test_one_that_hangs_is_left_at_the_deadline_as_unknown(self):
        async def hang():
            await asyncio.sleep(60)

        outcome = await run(Duck("first", hang), deadline_s=0.05)
        assert outcome.attempts[0].state is AttemptState.UNKNOWN

    async def test_in_a_dry_run_it_is_stood_in_for_and_not_asked(self):
        duck = Duck("first")
        image = await MediaGeneratorChain([duck], dry_run=True).execute_generate_image("x", 64, 32)
        assert (duck.calls, image.provider_name, image.dry_run, image.is_placeholder) == ([], "first", True, True)
        assert (image.width, image.height, image.cost) == (64, 32, Decimal(0))


class TestRecorder:
    async def test_is_told_before_and_after(self):
        recorder = ListRecorder()
        await run(Duck("first", BadResponse("html")), Duck("second"), recorder=recorder)
        assert recorder.events == [
            ("started", 1, "planned"),
            ("finished", 1, "failed"),
            ("started", 2, "planned"),
            ("finished", 2, "succeeded"),
        ]

    async def test_a_job_is_told_before_it_is_waited_for(self):
        recorder = ListRecorder()
        await run(JobDuck("flux"), recorder=recorder)
        assert [event for event, *_ in recorder.events] == ["started", "job_submitted", "finished"]
        assert recorder.attempts[0].provider_job_id == "job-1"

    async def test_a_veto_keeps_the_request_from_being_sent(self):
        class Veto(ListRecorder):
            async def started(self, attempt):
                await super().started(attempt)
                if attempt.provider_name == "first":
                    raise AttemptVetoed("its budget is used up")

        first, recorder = Duck("first"), Veto()
        outcome = await run(first, Duck("second"), recorder=recorder)
        assert (first.calls, outcome.served_by) == ([], "second")
        assert recorder.attempts[0].message == "its budget is used up"

    async def test_a_stopping_veto_ends_the_chain(self):
        class Veto(ListRecorder):
            async def started(self, attempt):
                raise AttemptVetoed("the budget is used up", stop=True)

        second = Duck("second")
        outcome = await run(Duck("first"), second, recorder=Veto())
        assert (outcome.result, second.calls) == (None, [])

    async def test_one_that_cannot_write_loses_no_picture(self):
        class Broken(ListRecorder):
            async def finished(self, attempt):
                raise OSError("disk full")

        assert (await run(Duck("first"), recorder=Broken())).served_by == "first"

    async def test_cancelled_while_asking_is_recorded_as_unknown(self):
        async def hang():
            await asyncio.sleep(60)

        recorder = ListRecorder()
        task = asyncio.create_task(run(Duck("first", hang), recorder=recorder))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [(a.state, a.outcome) for a in recorder.attempts] == [(AttemptState.UNKNOWN, Outcome.UNKNOWN)]

    async def test_a_wrong_setting_is_hidden_by_no_failover(self):
        recorder, second = ListRecorder(), Duck("second")
        with pytest.raises(ConfigurationError):
            await run(Duck("first", ConfigurationError("no such option")), second, recorder=recorder)
        assert (len(recorder.attempts), second.calls) == (1, [])


class TestResume:
    async def test_a_bought_job_is_fetched_first_and_nothing_is_bought(self):
        first, flux = Duck("first"), JobDuck("flux")
        outcome = await run(first, flux, resume={"flux": ProviderJob("job-7")})
        assert (first.calls, flux.bought, flux.fetched) == ([], [], ["job-7"])
        assert outcome.attempts[0].state is AttemptState.ADOPTED

    async def test_a_job_that_failed_may_be_bought_anew(self):
        flux = JobDuck("flux", Unavailable("the job failed"), picture())
        outcome = await run(flux, resume={"flux": ProviderJob("job-7")})
        assert (flux.bought, flux.fetched) == (["job-1"], ["job-7", "job-1"])
        assert outcome.attempts[1].state is AttemptState.SUCCEEDED

    async def test_an_open_breaker_keeps_nobody_from_what_is_paid_for(self):
        flux = JobDuck("flux", RateLimited("slow", retry_after_s=60), picture())
        chain = MediaGeneratorChain([flux])
        await chain.execute("generate_image", prompt="x", width=8, height=8)
        outcome = await chain.execute(
            "generate_image", prompt="x", width=8, height=8, resume={"flux": ProviderJob("job-1")}
        )
        assert (outcome.served_by, len(flux.bought)) == ("flux", 1)


class TestDryRun:
    async def test_our_providers_answer_locally_whatever_they_were_built_for(self):
        adapter = SDXLAdapter(api_key="k" * 20, base_url="http://127.0.0.1:1", dry_run=False)
        image = await MediaGeneratorChain([adapter], dry_run=True).execute_generate_image("a lighthouse", 320, 200)
        assert (image.provider_name, image.width, image.height, image.dry_run) == ("sdxl", 320, 200, True)

    async def test_the_same_request_gives_the_same_bytes(self):
        chain = MediaGeneratorChain([SDXLAdapter(), NoOpMediaAdapter()])
        one, two, other = [await chain.execute_generate_image("a lighthouse", 64, 64, seed=seed) for seed in (1, 1, 2)]
        assert one.content == two.content != other.content

    async def test_the_call_overrides_the_provider(self):
        adapter = SDXLAdapter(base_url="http://127.0.0.1:1", api_key="k" * 20, dry_run=True)
        outcome = await run(adapter, dry_run=False)
        assert outcome.attempts[0].outcome is Outcome.UNAVAILABLE

    async def test_export_to_figma(self):
        from mediagen.providers import FigmaAPIAdapter

        chain = MediaGeneratorChain([SDXLAdapter(), FigmaAPIAdapter("made-up")], dry_run=True)
        result = await chain.execute_export_figma(picture(), "abcDEF123456789012345", page_id="0:1")
        assert (result.figma_file_key, result.page_id, result.metadata["dry_run"]) == (
            "abcDEF123456789012345",
            "0:1",
            True,
        )
