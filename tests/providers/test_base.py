"""What every adapter has from its base, tried on one that is made up for it."""

from __future__ import annotations

import json
import pickle
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    CredentialsMissing,
    CredentialsRefused,
    InvalidRequest,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.providers import JobProvider, MediaGeneratorProvider, Option
from mediagen.providers.base import Generated, not_honoured
from mediagen.secrets import Secret
from mediagen.types import Attempt, Call, ProviderJob, reset_current_call, set_current_call
from tests import pictures
from tests.providers.wire import Wire, answer

KEY = "key-of/the+painter=="
PICTURE = pictures.png(64, 48)


class Painter(MediaGeneratorProvider):
    name = "painter"
    default_base_url = "https://painter.example"
    default_model = "oil"
    models = ("oil", "ink")
    models_are_closed = True
    credential_env = "PAINTER_API_KEY"
    supports_seed = True
    default_prices = {"oil/64x48": "0.2", "oil": "0.1"}
    options = {
        "brush": Option(kind="int", minimum=1, maximum=9),
        "gloss": Option(kind="bool", only_models=("oil",)),
        "nib": Option(kind="choice", choices=("fine", "broad"), only_models=("ink",)),
        "account": Option(kind="text", config_only=True),
    }
    seed_range = (1, 100)
    max_prompt_chars = 20
    answers = Generated(content=PICTURE)

    def _check_options(self, options):
        if options.get("gloss") and options.get("brush") == 9:
            raise ValueError("option gloss needs a brush below 9.")

    async def _generate_image(self, request):
        self.request = request
        self.checked(await self.service.request("POST", "/paint", json={"prompt": request.prompt}, purchase=True))
        return self.answers

    async def _probe(self):
        self.checked(await self.service.request("GET", "/me", timeout_s=self.probe_timeout_s))
        return f"it knows {self.credential}"


def painter(**settings) -> Painter:
    return Painter(**{"api_key": KEY, "dry_run": False, **settings})


@contextmanager
def surrounded_by(call: Call) -> Iterator[Call]:
    token = set_current_call(call)
    try:
        yield call
    finally:
        reset_current_call(token)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"colour": "red"}, "painter has no option colour. It has: account, brush, gloss, nib."),
        ({"brush": 10}, "painter: option brush must be a whole number from 1 to 9, not 10."),
        ({"brush": 9, "gloss": True}, "painter: option gloss needs a brush below 9."),
        ({"model": "chalk"}, "painter has no model 'chalk'. It has: oil, ink."),
        ({"base_url": "https://painter.example/v1?key=1"}, "base_url must end with its path"),
        ({"base_url": "painter.example"}, "base_url must be an http(s) address"),
        ({"base_url": "https://[::1"}, "base_url must be an http(s) address"),
        ({"base_url": "ftp://painter.example"}, "base_url must be an http(s) address"),
        ({"base_url": "https://me:secret@painter.example"}, "must not hold a user name or password"),
        ({"timeout_s": 0}, "timeout_s must be a positive number of seconds, not 0."),
        ({"timeout_s": "soon"}, "not 'soon'"),
        ({"timeout_s": float("inf")}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"prices": {"oil": "cheap"}}, "the price of 'oil' must be USD, 0 or more, not 'cheap'"),
        ({"prices": {"oil": -1}}, "not -1"),
        ({"prices": {"oil": "NaN"}}, "not 'NaN'"),
        ({"after_unknown": "perhaps"}, 'after_unknown must be "next" or "stop"'),
        ({"after_refusal": ""}, 'after_refusal must be "next" or "stop"'),
    ],
)
def test_a_setting_that_cannot_work_is_refused_and_named(wrong, says):
    with pytest.raises(ConfigurationError) as caught:
        painter(**wrong)
    assert says in str(caught.value)


def test_defaults():
    mine = Painter()
    assert (mine.get_name(), mine.model, mine.base_url) == ("painter", "oil", "https://painter.example")
    assert mine.dry_run is True
    assert (mine.after_unknown, mine.after_refusal) == ("next", "stop")
    assert Painter(name="second painter", base_url="https://x.example/v1/").base_url == "https://x.example/v1"


def test_the_key_shows_nowhere_in_the_object():
    mine = painter()
    assert KEY not in repr(mine)
    assert KEY not in repr(vars(mine))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(mine)
    assert painter(api_key=Secret(KEY)).credential == KEY
    assert painter(api_key=f"  {KEY}\n").credential == KEY


def test_the_digest_changes_with_what_matters_for_a_refusal():
    digests = {
        painter(**settings).config_digest
        for settings in (
            {},
            {"api_key": "another"},
            {"model": "ink"},
            {"base_url": "https://x.example"},
            {"brush": 3},
        )
    }
    assert len(digests) == 5
    assert painter().config_digest == painter(timeout_s=5).config_digest
    assert not any(KEY in digest for digest in digests)


# ---------------------------------------------------------------- what is asked for


@pytest.mark.parametrize(
    "nonsense", [{"prompt": ""}, {"prompt": 5}, {"width": 0}, {"height": 1.5}, {"seed": -1}, {"width": 100_000}]
)
async def test_nonsense_is_an_invalid_request_and_no_providers_fault(nonsense):
    with Wire(answer()) as wire, pytest.raises(InvalidRequest):
        await painter().generate_image(**{"prompt": "a fox", **nonsense})
    assert wire.requests == []


async def test_the_requests_options_go_before_the_configured_ones():
    mine = painter(brush=2, account="a-1")
    with Wire(answer(json={})):
        await mine.generate_image("a fox", brush="5", gloss="yes")
    assert mine.request.options == {"brush": 5, "gloss": True, "account": "a-1"}


async def test_what_cannot_be_honoured_is_reported_and_left_out():
    mine = painter(nib="fine", account="a-1")
    with Wire(answer(json={})):
        made = await mine.generate_image(
            "a fox", 64, 48, seed=101, negative_prompt="blurry", account="a-2", colour="red", brush=None
        )
    assert mine.request.options == {"account": "a-1"}
    assert (mine.request.seed, mine.request.negative_prompt) == (None, "")
    asked = {what: entry["asked"] for what, entry in made.fit_report.items()}
    assert asked == {
        "seed": 101,
        "negative_prompt": "blurry",
        "options.account": "a-2",
        "options.colour": "red",
        "options.nib": "fine",  # configured, and this model lacks it
    }
    assert all(entry["honoured"] is False and entry["why"] for entry in made.fit_report.values())
    assert made.fit_report["seed"]["why"] == "painter takes seeds from 1 to 100"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"brush": 12}, "painter: option brush must be a whole number from 1 to 9, not 12."),
        ({"brush": 9, "gloss": True}, "painter: option gloss needs a brush below 9."),
        ({"prompt": "x" * 21}, "painter: the prompt has 21 characters; oil takes at most 20."),
    ],
)
async def test_what_cannot_be_expressed_is_unsupported_and_not_sent(wrong, says):
    with Wire(answer()) as wire, pytest.raises(UnsupportedRequest) as caught:
        await painter().generate_image(**{"prompt": "a fox", **wrong})
    assert str(caught.value) == says
    assert wire.requests == []


async def test_a_negative_prompt_that_is_not_sent_may_be_long():
    with Wire(answer(json={})):
        assert await painter().generate_image("a fox", negative_prompt="x" * 500)


# ---------------------------------------------------------------- what comes back


async def test_what_the_service_says_goes_before_what_we_know():
    mine = painter()
    with Wire(answer(json={})):
        plain = await mine.generate_image("a fox", 64, 48, seed=7)
        mine.answers = Generated(
            content=PICTURE,
            model="oil-2",
            seed=9,
            cost=Decimal(0),
            job_id="j1",
            metadata={"a": 1},
            not_honoured={"options.brush": not_honoured(3, "it had only one")},
        )
        told = await mine.generate_image("a fox", 64, 48, seed=7)
    assert (plain.model_name, plain.seed, plain.cost, plain.provider_job_id) == ("oil", 7, Decimal("0.2"), "")
    assert (told.model_name, told.seed, told.cost, told.provider_job_id) == ("oil-2", 9, 0, "j1")
    assert told.metadata == {"a": 1, "prompt": "a fox", "provider": "painter"}
    assert plain.fit_report == {}
    assert told.fit_report == {"options.brush": {"asked": 3, "honoured": False, "why": "it had only one"}}
    assert len(told.sha256) == 64


@pytest.mark.parametrize(
    ("settings_", "size", "cost"),
    [
        ({}, (64, 48), "0.2"),
        ({}, (48, 64), "0.1"),
        ({"prices": {"oil/64x48": 0.25}}, (64, 48), "0.25"),
        ({"prices": {"oil": 0}}, (48, 64), "0"),
        ({"model": "ink"}, (64, 48), None),  # not known is not nothing
    ],
)
async def test_the_most_particular_price(settings_, size, cost):
    with Wire(answer(json={})):
        made = await painter(**settings_).generate_image("a fox", *size)
    assert made.cost == (cost and Decimal(cost))


async def test_another_size_is_fitted_and_reported_or_kept_and_reported(settings):
    with Wire(answer(json={})):
        fitted = await painter().generate_image("a fox", 32, 32)
        settings.MEDIAGEN = {"FIT": "keep"}
        kept = await painter().generate_image("a fox", 32, 32)
    assert (fitted.width, fitted.height) == (32, 32)
    assert (kept.width, kept.height, kept.content) == (64, 48, PICTURE)
    assert fitted.fit_report["size"]["made"] == kept.fit_report["size"]["made"] == [64, 48]
    assert kept.fit_report["size"]["action"] == "kept"


@pytest.mark.parametrize("content", [b"", pictures.html(), pictures.truncated(PICTURE), pictures.bomb_png(), b"{}"])
async def test_bytes_that_are_no_picture_are_a_bad_response_with_its_cost(content):
    mine = painter()
    mine.answers = Generated(content=content)
    with Wire(answer(json={})), pytest.raises(BadResponse, match=r"^painter: ") as caught:
        await mine.generate_image("a fox")
    assert caught.value.cost == Decimal("0.1")


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"message": "one"}, "one"),
        ({"detail": "two"}, "two"),
        ({"error": "three"}, "three"),
        ({"error": {"message": "four"}}, "four"),
        ({"errors": ["five", "six"]}, "five; six"),
        ({"detail": [{"loc": ["x"], "msg": "seven"}]}, '[{"loc": ["x"], "msg": "seven"}]'),
        ({"title": "eight"}, "eight"),
        ({"message": "", "title": "nine"}, "nine"),
        ({"message": 10}, "10"),
        ({"message": "one\r\ntwo\x00\ud800"}, "one  two"),
        ({"other": 1}, "answered 418"),
    ],
)
async def test_what_the_service_said_is_in_the_message(body, text):
    with Wire(answer(418, content=json.dumps(body).encode())), pytest.raises(UnsupportedRequest) as caught:
        await painter().generate_image("a fox")
    assert str(caught.value).strip().endswith(text)
    assert str(caught.value).isprintable()
    assert caught.value.http_status == 418


async def test_a_long_text_is_cut_after_it_was_scrubbed():
    said = "x" * (300 - len(KEY) // 2) + KEY + "y" * 1000
    with Wire(answer(418, json={"message": said})), pytest.raises(UnsupportedRequest) as caught:
        await painter().generate_image("a fox")
    assert len(str(caught.value)) < 350
    assert "key-of" not in str(caught.value)


async def test_a_refused_key_says_where_the_key_is_set():
    with Wire(answer(401, json={"message": f"{KEY} is no key."})), pytest.raises(CredentialsRefused) as caught:
        await painter(name="second painter").generate_image("a fox")
    assert str(caught.value) == (
        "second painter: 401: [secret] is no key. Check the credential: set PAINTER_API_KEY in the environment, "
        "or the credential of ProviderConfig 'second painter'."
    )
    assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_without_a_key_nothing_is_sent():
    with Wire(answer(json={})) as wire, pytest.raises(CredentialsMissing, match="PAINTER_API_KEY"):
        await painter(api_key="  ").generate_image("a fox")
    assert wire.requests == []


@pytest.mark.parametrize("key", ["two words", "with\nbreak", "kéy", "tab\tkey", "key\x7f"])
async def test_a_key_that_no_header_can_carry_is_not_sent_and_not_shown(key):
    with Wire(answer(json={})) as wire, pytest.raises(Misconfigured, match="Enter it again") as caught:
        await painter(api_key=key).generate_image("a fox")
    assert wire.requests == []
    assert key not in "".join(traceback.format_exception(caught.value))


async def test_an_error_carries_the_attempts_job():
    attempt = Attempt(provider_name="painter", operation="generate_image", position=1, job=ProviderJob("j1"))
    with surrounded_by(Call(attempt=attempt)), Wire(answer(500)), pytest.raises(Unavailable) as caught:
        await painter().generate_image("a fox")
    assert caught.value.job == ProviderJob("j1")


# ---------------------------------------------------------------- health and dry run


async def test_health_says_what_the_service_says_without_the_key():
    with Wire(answer(json={})) as wire:
        report = await painter().probe()
    assert (report.ok, report.detail) == (True, "it knows [secret]")
    assert wire.only.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(("key", "status"), [("", 200), (KEY, 401), (KEY, 500)])
async def test_health_never_raises(key, status):
    with Wire(answer(status, json={"message": KEY})):
        report = await painter(api_key=key).probe()
        assert await painter(api_key=key).check_health() is False
    assert report.ok is False
    assert report.detail.startswith("painter: ")
    assert KEY not in report.detail


def test_nobody_waits_for_a_health_check_as_long_as_for_a_picture():
    assert painter(timeout_s=600).probe_timeout_s == 20
    assert painter(timeout_s=5).probe_timeout_s == 5


@pytest.mark.parametrize(
    ("own", "of_the_call", "is_dry"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
async def test_the_calls_word_on_dry_runs_goes_before_the_adapters(own, of_the_call, is_dry):
    with surrounded_by(Call(dry_run=of_the_call)), Wire(answer(json={})) as wire:
        made = await painter(dry_run=own).generate_image("a fox", 64, 48)
        report = await painter(dry_run=own).probe()
    assert made.dry_run is made.is_placeholder is is_dry
    assert (wire.requests == []) is is_dry
    assert report.ok
    assert (made.width, made.height) == (64, 48)


async def test_dry_runs_are_predictable_and_need_no_key():
    async def made(**changes: Any) -> bytes:
        asked = {"prompt": "a fox", "width": 64, "height": 48, "seed": 1, **changes}
        return (await Painter().generate_image(**asked)).content

    assert await made() == await made()
    different = [await made(), await made(seed=2), await made(prompt="a hare"), await made(brush=3)]
    assert len(set(different)) == 4


# ---------------------------------------------------------------- jobs


class Notes:
    """A recorder that is a list."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def started(self, attempt: Attempt) -> None:
        self.log.append("started")

    async def job_submitted(self, attempt: Attempt) -> None:
        self.log.append(f"recorded {attempt.provider_job_id}")

    async def finished(self, attempt: Attempt) -> None:
        self.log.append("finished")


class Workshop(JobProvider):
    name = "workshop"
    default_base_url = "https://workshop.example"

    def __init__(self, log: list[str], error: ProviderError | None = None) -> None:
        super().__init__(dry_run=False)
        self.log = log
        self.error = error

    async def _submit(self, request):
        self.log.append("bought")
        return ProviderJob("j1", cost=Decimal("0.3"))

    async def _collect(self, request, job):
        self.log.append(f"collected {job.id}")
        if self.error:
            raise self.error
        return Generated(content=PICTURE, job_id=job.id, cost=job.cost)


def attempt_at(log: list[str], **call: Any) -> Call:
    attempt = Attempt(provider_name="workshop", operation="generate_image", position=1)
    return Call(attempt=attempt, recorder=Notes(log), **call)


async def test_the_job_is_recorded_before_it_is_looked_after():
    log: list[str] = []
    with surrounded_by(attempt_at(log)) as call:
        made = await Workshop(log).generate_image("a fox")
    assert log == ["bought", "recorded j1", "collected j1"]
    assert call.attempt.cost == Decimal("0.3")
    assert made.provider_job_id == "j1"


async def test_a_job_that_was_bought_is_fetched_and_not_bought_again():
    log: list[str] = []
    with surrounded_by(attempt_at(log, resume=ProviderJob("j0"))):
        assert (await Workshop(log).generate_image("a fox")).provider_job_id == "j0"
    assert log == ["collected j0"]


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), RateLimited("slow"), BadResponse("odd")], ids=repr)
async def test_an_error_after_the_purchase_names_the_job(error):
    with pytest.raises(type(error)) as caught:
        await Workshop([], error).generate_image("a fox")
    assert caught.value.job.id == "j1"


async def test_a_job_may_be_polled_no_longer_than_the_callers_deadline():
    with surrounded_by(Call(deadline=time.monotonic() + 3)):
        assert 0 < Workshop([]).poll_timeout_s <= 3
    with surrounded_by(Call(deadline=time.monotonic() - 3)):
        assert Workshop([]).poll_timeout_s == 0
    assert Workshop([]).poll_timeout_s == Workshop.default_timeout_s
