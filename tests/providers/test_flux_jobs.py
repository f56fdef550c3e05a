"""Black Forest Labs: the task's life after it was bought, and that nothing is ever bought twice."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mediagen.errors import (
    BadResponse,
    CredentialsRefused,
    JobFailed,
    OutcomeUnknown,
    ProviderError,
    Refused,
)
from mediagen.http import AddressRefused
from mediagen.http.client import httpx
from mediagen.providers import FluxAdapter
from tests import pictures
from tests.providers.bfl_wire import (
    ACCEPTED,
    DOWNLOAD,
    JOB,
    KEY,
    NULL,
    PENDING,
    PICTURE,
    POLLING_URL,
    READY,
    RESULT,
    SAMPLE,
    SUBMITTED,
    TASK,
    adapter,
    task,
)
from tests.providers.wire import Wire, answer

pytestmark = pytest.mark.usefixtures("quick_polls")


# ---------------------------------------------------------------- the task's life


@pytest.mark.parametrize("word", ["Pending", "Reasoning", "Generating", "Queued", "ready", ""])
async def test_words_that_mean_still_running(word):
    with Wire(ACCEPTED, task(word), task(word), READY, DOWNLOAD) as wire:
        await adapter().generate_image("a red fox")
    assert len(wire.requests) == 5


@pytest.mark.parametrize(
    ("ending", "kind", "says"),
    [
        (task("Request Moderated"), Refused, r"refused the prompt \(Request Moderated\)"),
        (
            task("Content Moderated", details={"Moderation Reasons": ["Violence", "Gore"]}),
            Refused,
            r"refused the picture .* Moderation Reasons: Violence, Gore",
        ),
        (task("Request Moderated", 422), Refused, "refused"),
        (task("Error", details={"error": "out of memory"}), JobFailed, "failed. out of memory"),
        (task("Error", 500, result={"error": "out of memory"}), JobFailed, "failed. out of memory"),
        (task("Error", details=[[[[[[]]]]]]), JobFailed, "failed"),
        (task("Error", details=3, result="text"), JobFailed, "failed"),
        (task("Ready"), BadResponse, "names no picture"),
        (task("Ready", result={"sample": None}), BadResponse, "names no picture"),
        (task("Ready", result={"sample": ["x"]}), BadResponse, "names no picture"),
        (task("Ready", result="https://delivery-eu1.bfl.ai/x"), BadResponse, "names no picture"),
        (task("Ready", result={"sample": "http://169.254.169.254/"}), AddressRefused, "refused"),
        (task("Ready", result={"sample": "data:image/png;base64,AAAA"}), BadResponse, "data: address"),
    ],
)
async def test_endings_without_a_picture(ending, kind, says):
    with Wire(ACCEPTED, PENDING, ending) as wire, pytest.raises(kind, match=says) as raised:
        await adapter().generate_image("a red fox")
    assert type(raised.value) is kind
    assert (raised.value.job.id, raised.value.job.cost) == ("a-b", Decimal("0.045"))
    assert [request.method for request in wire.requests] == ["POST", "GET", "GET"]


@pytest.mark.parametrize(
    "trouble",
    [
        answer(503, headers={"retry-after": "0"}),
        answer(500, json={"status": "Error", "message": "not a task"}),
        answer(422, json={"detail": "busy"}),
        answer(429, json={"detail": "slow down"}),
        answer(503, json={**TASK}),
        answer(200, content=b"<html>Sign in</html>", headers={"content-type": "text/html"}),
        answer(200),
        NULL,
        answer(200, json=[]),
        answer(200, json={"id": "a-b"}),
        answer(200, json={"status": 7}),
        answer(200, json={"status": ["Ready"]}),
        answer(302, headers={"location": "https://evil.example/"}),
        answer(401, json={"detail": "Not authenticated"}),
        answer(404, json={"detail": "Not Found"}),
        task("Task not found"),
        task("Task not found", 404),
        httpx.ReadError,
        httpx.ConnectTimeout,
    ],
)
async def test_trouble_with_polls_is_waited_out_and_buys_nothing(trouble):
    with Wire(ACCEPTED, trouble, PENDING, trouble, READY, DOWNLOAD) as wire:
        made = await adapter().generate_image("a red fox")
    assert made.provider_job_id == "a-b"
    assert [request.method for request in wire.requests].count("POST") == 1


@pytest.mark.parametrize("gone", [task("Task not found"), task("Task not found", 422), answer(404), answer(403)])
async def test_a_task_that_stays_unknown_is_given_up_soon_and_kept(gone):
    began = time.monotonic()
    with Wire(ACCEPTED, gone) as wire, pytest.raises(OutcomeUnknown, match="cannot be asked for") as raised:
        await adapter(timeout_s=60).generate_image("a red fox")
    assert time.monotonic() - began < 10
    assert raised.value.job.data["polling_url"] == POLLING_URL
    assert [request.method for request in wire.requests].count("POST") == 1


async def test_a_task_that_does_not_end_is_unknown_and_kept():
    with Wire(ACCEPTED, PENDING) as wire, pytest.raises(OutcomeUnknown, match="not ready after") as raised:
        await adapter(timeout_s=0.1).generate_image("a red fox")
    assert raised.value.job.id == "a-b"
    assert [request.method for request in wire.requests].count("POST") == 1


@pytest.mark.parametrize("url", ["http://api.bfl.ai/1", "https://127.0.0.1/1", "http://169.254.169.254/", "ftp://a/"])
async def test_a_polling_url_that_leads_inside_is_not_asked(url):
    with Wire(answer(json={**SUBMITTED, "polling_url": url})) as wire, pytest.raises(AddressRefused) as raised:
        await adapter().generate_image("a red fox")
    assert raised.value.job.id == "a-b"
    assert len(wire.requests) == 1


async def test_the_key_is_not_sent_to_a_strangers_polling_url(dns):
    with Wire(answer(json={**SUBMITTED, "polling_url": "https://cdn.example.com/1"}), READY, DOWNLOAD) as wire:
        await adapter().generate_image("a red fox")
    assert ["x-key" in request.headers for request in wire.requests] == [True, False, False]


@pytest.mark.parametrize(
    ("bodies", "kind"),
    [
        ([answer(content=b"<html>Sign in</html>"), DOWNLOAD], None),
        ([answer(content=b"<html>Sign in</html>")] * 2, BadResponse),
        ([answer(content=pictures.truncated(PICTURE)), DOWNLOAD], None),
        ([answer(content=pictures.bomb_png())] * 2, BadResponse),
        ([answer(503), answer(200), DOWNLOAD], None),
        ([answer(403)], BadResponse),
    ],
)
async def test_a_picture_that_is_none_is_fetched_again_and_never_bought_again(bodies, kind):
    with Wire(ACCEPTED, READY, *bodies) as wire:
        if kind is None:
            assert (await adapter().generate_image("a red fox")).content == PICTURE
        else:
            with pytest.raises(kind) as raised:
                await adapter().generate_image("a red fox")
            assert raised.value.job.id == "a-b"
    assert [request.method for request in wire.requests].count("POST") == 1
    assert len(wire.requests) == 2 + len(bodies)


async def test_a_prompt_that_was_rewritten_is_kept():
    rewritten = task("Ready", result={**RESULT, "prompt": "a red fox, golden hour"})
    with Wire(ACCEPTED, rewritten, DOWNLOAD):
        made = await adapter("flux-2-flex").generate_image("a red fox")
    assert made.metadata["revised_prompt"] == "a red fox, golden hour"


@pytest.mark.parametrize("seed", [None, "77", True, 7.5, {}])
async def test_a_seed_that_is_none_is_the_asked_one(seed):
    with Wire(ACCEPTED, task("Ready", result={**RESULT, "seed": seed}), DOWNLOAD):
        assert (await adapter().generate_image("a red fox", seed=9)).seed == 9


# ---------------------------------------------------------------- resuming


async def test_the_job_is_told_before_the_first_poll(call):
    seen = []

    def poll(request):
        seen.append((call.attempt.job, [event for event, _, _ in call.recorder.events]))
        return READY(request)

    with Wire(ACCEPTED, poll, DOWNLOAD):
        await adapter().generate_image("a red fox")
    job, events = seen[0]
    assert (job.id, job.cost, job.data["polling_url"], job.data["model"]) == (
        "a-b",
        Decimal("0.045"),
        POLLING_URL,
        "flux-2-pro",
    )
    assert events == ["job_submitted"]
    assert KEY not in repr(job)


@pytest.mark.parametrize("outcome", ["picture", "refused", "unknown"])
async def test_resuming_never_posts(call, outcome):
    call.resume = JOB
    last = {"picture": READY, "refused": task("Request Moderated"), "unknown": PENDING}[outcome]
    with Wire(PENDING, last, *([DOWNLOAD] if outcome == "picture" else [])) as wire:
        if outcome == "picture":
            made = await adapter("flux-dev").generate_image("a red fox")
            assert (made.provider_job_id, made.cost, made.model_name) == ("a-b", Decimal("0.045"), "flux-2-max")
        else:
            with pytest.raises(Refused if outcome == "refused" else OutcomeUnknown) as raised:
                await adapter(timeout_s=0.1).generate_image("a red fox")
            assert raised.value.job is JOB
    assert {request.method for request in wire.requests} == {"GET"}
    assert call.recorder.events == []


async def test_a_job_whose_url_was_lost_is_asked_for_by_its_id(call):
    call.resume = replace(JOB, data={})
    with Wire(READY, DOWNLOAD) as wire:
        await adapter().generate_image("a red fox")
    assert str(wire.requests[0].url) == "https://api.bfl.ai/v1/get_result?id=a-b"


async def test_the_callers_deadline_shortens_the_wait(call):
    call.resume, call.deadline = JOB, time.monotonic() + 0.3
    began = time.monotonic()
    with Wire(PENDING), pytest.raises(OutcomeUnknown):
        await adapter(timeout_s=60).generate_image("a red fox")
    assert time.monotonic() - began < 5


# ---------------------------------------------------------------- whatever it answers

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
odd_submission = st.fixed_dictionaries(
    {}, optional={"id": anything | st.just("a-b"), "polling_url": anything | st.just(POLLING_URL), "cost": anything}
)
words = st.sampled_from(["Ready", "Error", "Request Moderated", "Content Moderated", "Task not found", "Pending"])
odd_result = st.fixed_dictionaries(
    {"sample": anything | st.just(SAMPLE)}, optional={"seed": anything, "prompt": anything}
)
odd_task = st.fixed_dictionaries(
    {},
    optional={
        "id": anything | st.just("a-b"),
        "status": anything | words,
        "details": anything,
        "result": anything | odd_result,
    },
)
statuses = st.sampled_from([200, 200, 200, 201, 404, 422, 500, 503])


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd_submission | anything, odd_task | anything, statuses)
def test_no_answer_is_anything_but_a_picture_or_a_providers_error(submission, poll, status):
    for answers in ([answer(status, json=submission), READY], [ACCEPTED, answer(status, json=poll)]):
        with Wire(*answers, DOWNLOAD) as wire:
            content = PICTURE
            with suppress(ProviderError):
                content = async_to_sync(adapter(timeout_s=0.02).generate_image)("a red fox").content
            assert content == PICTURE
            assert [request.method for request in wire.requests].count("POST") == 1


# ---------------------------------------------------------------- on a real socket


async def test_against_a_server(provider_servers):
    server = provider_servers["flux"]
    made = await FluxAdapter(api_key=server.key, base_url=server.base_url, dry_run=False).generate_image(
        "a red fox", 1000, 600, seed=3
    )
    assert (made.width, made.height, made.seed) == (1000, 600, 3)
    assert made.cost == Decimal(str(server.purchases[0].cost)) / 100
    assert server.leaks == []
    assert len(server.purchases) == 1


async def test_a_key_that_the_server_does_not_know(provider_servers):
    server = provider_servers["flux"]
    made = FluxAdapter(api_key="wrong-key-0123456789", base_url=server.base_url, dry_run=False)
    with pytest.raises(CredentialsRefused, match="BFL_API_KEY"):
        await made.generate_image("a red fox")
    assert await made.check_health() is False
