"""Replicate: a prediction's life after it was created, and that nothing is ever bought twice."""

from __future__ import annotations

import time
from contextlib import suppress
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mediagen.errors import BadResponse, CredentialsRefused, JobFailed, OutcomeUnknown, ProviderError, Refused
from mediagen.http import AddressRefused
from mediagen.http.client import httpx
from mediagen.providers import ReplicateSDXLAdapter
from tests import pictures
from tests.providers.replicate_wire import (
    CREATED,
    DOWNLOAD,
    FILE,
    JOB,
    JOB_ID,
    KEY,
    METRICS,
    PICTURE,
    PREDICTION,
    RUNNING,
    SUCCEEDED,
    adapter,
    prediction,
    problem,
)
from tests.providers.wire import Wire, answer

pytestmark = pytest.mark.usefixtures("quick_polls")


def methods(wire: Wire) -> list[str]:
    return [request.method for request in wire.requests]


@pytest.mark.parametrize("word", ["starting", "processing", "booting", "", "Succeeded"])
async def test_words_that_mean_still_running(word):
    with Wire(CREATED, prediction(word), prediction(word), SUCCEEDED, DOWNLOAD) as wire:
        await adapter().generate_image("a red fox")
    assert len(wire.requests) == 5


@pytest.mark.parametrize("output", [[FILE], FILE, [FILE, "https://replicate.delivery/yhqm/out-1.png"]])
async def test_forms_of_the_output(output):
    with Wire(CREATED, prediction(output=output), DOWNLOAD) as wire:
        await adapter().generate_image("a red fox")
    assert wire.requests[-1].url.path == "/yhqm/out-0.png"


@pytest.mark.parametrize(
    ("url", "gets_key"),
    [
        (FILE, True),
        ("https://pbxt.replicate.delivery/a.png", True),
        ("https://api.replicate.com/v1/files/a/download", True),
        ("https://cdn.example.com/a.png", False),
    ],
)
async def test_which_file_hosts_get_the_token(url, gets_key):
    with Wire(CREATED, prediction(output=[url]), DOWNLOAD) as wire:
        await adapter().generate_image("a red fox")
    assert ("authorization" in wire.requests[-1].headers) is gets_key


@pytest.mark.parametrize(
    ("ending", "kind", "says"),
    [
        (prediction("failed", error="NSFW content detected. Try a different prompt."), Refused, "NSFW content"),
        (prediction("failed", error="E1001: out of memory"), JobFailed, "failed: E1001: out of memory"),
        (prediction("failed", error=None), JobFailed, "without saying why"),
        (prediction("failed", error={"code": 1}), JobFailed, "without saying why"),
        (prediction("canceled"), JobFailed, "was canceled"),
        (prediction("aborted"), JobFailed, "was aborted"),
        (prediction(output=None), BadResponse, "no file"),
        (prediction(output=[]), BadResponse, "no file"),
        (prediction(output=[None]), BadResponse, "no file"),
        (prediction(output=[[FILE]]), BadResponse, "no file"),
        (prediction(output={"url": FILE}), BadResponse, "no file"),
        (prediction(output=None, data_removed=True), BadResponse, "were removed"),
        (prediction(output=["http://169.254.169.254/"]), AddressRefused, "refused"),
        (prediction(output="data:image/png;base64,AAAA"), BadResponse, "data: address"),
    ],
)
async def test_endings_without_a_picture(ending, kind, says):
    with Wire(CREATED, RUNNING, ending) as wire, pytest.raises(kind, match=says) as raised:
        await adapter().generate_image("a red fox")
    assert type(raised.value) is kind
    assert raised.value.job.id == JOB_ID
    assert methods(wire) == ["POST", "GET", "GET"]


async def test_what_a_failed_prediction_cost_is_known():
    with Wire(CREATED, prediction("failed", error="E1", metrics=METRICS)), pytest.raises(JobFailed) as raised:
        await adapter(price_per_second="0.001").generate_image("a red fox")
    assert raised.value.cost == Decimal("0.004")


@pytest.mark.parametrize(
    "trouble",
    [
        answer(503, headers={"retry-after": "0"}),
        answer(500),
        answer(429, json={"detail": "Request was throttled. Your rate limit resets in ~0s."}),
        answer(200, content=b"<html>Sign in</html>", headers={"content-type": "text/html"}),
        answer(200),
        answer(200, content=b"null"),
        answer(200, json=[PREDICTION]),
        answer(200, json={"status": 7}),
        answer(200, json={"status": ["succeeded"]}),
        answer(302, headers={"location": "https://evil.example/"}),
        problem(401),
        problem(404),
        httpx.ReadError,
        httpx.ConnectTimeout,
    ],
)
async def test_trouble_with_polls_is_waited_out_and_buys_nothing(trouble):
    with Wire(CREATED, trouble, RUNNING, trouble, SUCCEEDED, DOWNLOAD) as wire:
        made = await adapter().generate_image("a red fox")
    assert made.provider_job_id == JOB_ID
    assert methods(wire).count("POST") == 1


@pytest.mark.parametrize("status", [401, 403, 404, 400])
async def test_a_prediction_that_stays_unknown_is_given_up_soon_and_kept(status):
    began = time.monotonic()
    with Wire(CREATED, problem(status)) as wire, pytest.raises(OutcomeUnknown) as raised:
        await adapter(timeout_s=60).generate_image("a red fox")
    assert time.monotonic() - began < 10
    assert raised.value.job.id == JOB_ID
    assert methods(wire).count("POST") == 1


@pytest.mark.parametrize("cancel_answer", [prediction("canceled"), answer(500), answer(200), httpx.ReadError])
async def test_at_the_deadline_the_prediction_is_cancelled(cancel_answer):
    def poll_or_cancel(request):
        if request.method == "GET":
            return RUNNING(request)
        if isinstance(cancel_answer, type):
            raise cancel_answer("made up", request=request)
        return cancel_answer(request)

    with Wire(CREATED, poll_or_cancel) as wire, pytest.raises(OutcomeUnknown, match="not ready after") as raised:
        await adapter(timeout_s=0.1).generate_image("a red fox")
    assert raised.value.job.id == JOB_ID
    last = wire.requests[-1]
    assert (last.method, last.url.path) == ("POST", f"/v1/predictions/{JOB_ID}/cancel")
    assert methods(wire).count("POST") == 2


@pytest.mark.parametrize(
    ("timeout_s", "deadline_s", "header"), [(60, None, "90s"), (0.5, None, "31s"), (300, 100, "120s"), (300, -5, "25s")]
)
async def test_the_service_ends_a_prediction_that_nobody_waits_for(call, timeout_s, deadline_s, header):
    call.deadline = None if deadline_s is None else time.monotonic() + deadline_s
    with Wire(problem(422)) as wire, pytest.raises(ProviderError):
        await adapter(timeout_s=timeout_s).generate_image("a red fox")
    said = int(wire.only.headers["cancel-after"].removesuffix("s"))
    assert said >= 5
    assert abs(said - int(header.removesuffix("s"))) <= 5


@pytest.mark.parametrize(
    ("bodies", "kind"),
    [
        ([answer(content=b"<html>Sign in</html>"), DOWNLOAD], None),
        ([answer(content=b"<html>Sign in</html>")] * 2, BadResponse),
        ([answer(content=pictures.truncated(PICTURE)), DOWNLOAD], None),
        ([answer(503), answer(200), DOWNLOAD], None),
        ([answer(404)], BadResponse),
    ],
)
async def test_a_picture_that_is_none_is_fetched_again_and_never_bought_again(bodies, kind):
    with Wire(CREATED, SUCCEEDED, *bodies) as wire:
        if kind is None:
            assert (await adapter().generate_image("a red fox")).content == PICTURE
        else:
            with pytest.raises(kind) as raised:
                await adapter(price_per_second="0.001").generate_image("a red fox")
            assert (raised.value.job.id, raised.value.cost) == (JOB_ID, Decimal("0.004"))
    assert methods(wire).count("POST") == 1
    assert len(wire.requests) == 2 + len(bodies)


# ---------------------------------------------------------------- resuming


async def test_the_job_is_told_before_the_first_poll(call):
    seen = []

    def poll(request):
        seen.append((call.attempt.job, [event for event, _, _ in call.recorder.events]))
        return SUCCEEDED(request)

    with Wire(CREATED, poll, DOWNLOAD):
        await adapter().generate_image("a red fox")
    job, events = seen[0]
    assert (job.id, job.data, job.cost) == (JOB_ID, {"model": ReplicateSDXLAdapter.default_model}, None)
    assert events == ["job_submitted"]


async def test_resuming_never_creates(call):
    call.resume = JOB
    with Wire(RUNNING, SUCCEEDED, DOWNLOAD) as wire:
        made = await adapter().generate_image("a red fox")
    assert (made.provider_job_id, made.model_name, made.seed) == (JOB_ID, JOB.data["model"], 5)
    assert set(methods(wire)) == {"GET"}
    assert call.recorder.events == []


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([prediction("failed", error="NSFW")], Refused),
        ([prediction(output=None, data_removed=True)], BadResponse),
        ([problem(404)], OutcomeUnknown),
    ],
)
async def test_resuming_what_has_ended_never_creates(call, answers, kind):
    call.resume = JOB
    with Wire(*answers) as wire, pytest.raises(kind) as raised:
        await adapter().generate_image("a red fox")
    assert raised.value.job is JOB
    assert set(methods(wire)) == {"GET"}


# ---------------------------------------------------------------- whatever it answers

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
words = st.sampled_from(["starting", "processing", "succeeded", "failed", "canceled", "aborted"])
odd_prediction = st.fixed_dictionaries(
    {},
    optional={
        "id": anything | st.just(JOB_ID),
        "status": anything | words,
        "output": anything | st.just([FILE]) | st.just(FILE),
        "error": anything,
        "metrics": anything | st.fixed_dictionaries({}, optional={"predict_time": anything, "total_time": anything}),
        "input": anything | st.fixed_dictionaries({}, optional={"seed": anything}),
        "data_removed": anything,
    },
)
statuses = st.sampled_from([200, 200, 200, 201, 404, 422, 500, 503])


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd_prediction | anything, odd_prediction | anything, statuses)
def test_no_answer_is_anything_but_a_picture_or_a_providers_error(creation, poll, status):
    for answers in ([answer(status, json=creation), SUCCEEDED], [CREATED, answer(status, json=poll)]):
        with Wire(*answers, DOWNLOAD) as wire:
            content = PICTURE
            with suppress(ProviderError):
                made = async_to_sync(adapter(timeout_s=0.02, price_per_second=0.001).generate_image)("a red fox")
                content = made.content
            assert content == PICTURE
            creations = [r for r in wire.requests if r.method == "POST" and not r.url.path.endswith("/cancel")]
            assert len(creations) == 1


# ---------------------------------------------------------------- on a real socket


async def test_against_a_server(provider_servers):
    server = provider_servers["replicate_sdxl"]
    server.delivery_needs_key = True
    made = await ReplicateSDXLAdapter(
        api_key=server.key, base_url=server.base_url, dry_run=False, price_per_second=0.001
    ).generate_image("a red fox", 1000, 600, seed=3, negative_prompt="dogs")
    assert (made.width, made.height, made.seed, made.cost) == (1000, 600, 3, Decimal("0.0025"))
    assert len(server.purchases) == 1


async def test_a_deadline_against_a_server(provider_servers):
    server = provider_servers["replicate_sdxl"]
    server.polls_until_ready = 10_000
    with pytest.raises(OutcomeUnknown) as raised:
        await ReplicateSDXLAdapter(
            api_key=server.key, base_url=server.base_url, dry_run=False, timeout_s=0.5
        ).generate_image("a red fox")
    assert server.cancelled == [raised.value.job.id]
    assert len(server.purchases) == 1


async def test_a_key_that_the_server_does_not_know(provider_servers):
    server = provider_servers["replicate_sdxl"]
    made = ReplicateSDXLAdapter(api_key="wrong-" + KEY, base_url=server.base_url, dry_run=False)
    with pytest.raises(CredentialsRefused, match="REPLICATE_API_KEY"):
        await made.generate_image("a red fox")
    assert await made.check_health() is False
