"""What every provider has to hold, as a class of tests that yours inherits. Needs pytest and nothing of Django."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from mediagen import images
from mediagen.chain import ChainOutcome, MediaGeneratorChain
from mediagen.errors import Outcome
from mediagen.purchases import resolved_for_s
from mediagen.testing.server import FAULTS, Answer, Answers, CannedServer
from mediagen.types import Attempt, GeneratedImage, ProviderJob

BAD = frozenset({Outcome.BAD_RESPONSE})
OPERATOR = frozenset({Outcome.MISCONFIGURED})
OUTCOMES: Mapping[str, frozenset[Outcome]] = {
    "400": frozenset({Outcome.UNSUPPORTED, Outcome.REFUSED, Outcome.MISCONFIGURED}),
    **dict.fromkeys(("401", "402", "404"), OPERATOR),
    "403": OPERATOR | {Outcome.REFUSED},
    "422": frozenset({Outcome.UNSUPPORTED, Outcome.REFUSED, Outcome.MISCONFIGURED}),
    "429": frozenset({Outcome.RATE_LIMITED, Outcome.MISCONFIGURED}),
    **dict.fromkeys(("500", "503"), frozenset({Outcome.UNAVAILABLE, Outcome.UNKNOWN})),
    **dict.fromkeys(("reset", "hang"), frozenset({Outcome.UNKNOWN})),
    **dict.fromkeys(("html", "empty"), BAD),
    "cut": BAD | {Outcome.UNKNOWN, Outcome.SUCCEEDED},
}
"""What a fault of the purchase that lasts may come to."""
STATUSES = tuple(name for name in OUTCOMES if name.isdecimal())


@dataclass
class Kept:
    """A recorder that remembers what a process would find after it was killed."""

    attempts: list[Attempt] = field(default_factory=list)
    key: str = ""
    job: ProviderJob | None = None

    async def started(self, attempt: Attempt) -> None:
        self.key = attempt.purchase_key

    async def job_submitted(self, attempt: Attempt) -> None:
        self.job = attempt.job

    async def finished(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)


class ProviderContract:
    """Set `adapter` and `answers`, and run pytest. The rest is for services that are not like most.

    ```python
    class TestAcme(ProviderContract):
        adapter = AcmeAdapter
        answers = {"POST /v1/pictures": Answer(content=png(512, 512)), "GET /v1/account": Answer(json={"credits": 3})}
        health = "GET /v1/account"
        refusal = Answer(400, json={"code": "moderated"})
    ```
    """

    adapter: ClassVar[type[Any]]
    answers: ClassVar[Mapping[str, Answers]]
    """by "METHOD /path"; the first one is the purchase (see `CannedServer`)"""
    health: ClassVar[str] = ""
    """the route that `check_health` asks; "" when it asks nobody"""
    refusal: ClassVar[Answer | None] = None
    """what the service answers to a purchase that its moderation refuses"""
    arguments: ClassVar[Mapping[str, Any]] = {}
    """further arguments of the adapter"""
    request: ClassVar[Mapping[str, Any]] = {"prompt": "A lighthouse at dawn", "width": 512, "height": 512}
    idempotency_header: ClassVar[str] = ""
    """the header that carries the purchase key, of a service that knows one"""
    deviates: ClassVar[Mapping[str, Outcome]] = {}
    """what a fault of the purchase ("404", "reset", ...) means at this service, where it means something else"""
    kills: ClassVar[int] = 5
    timeout_s: ClassVar[float] = 10.0

    # ------------------------------------------------------------------ what may be overridden

    def build(self, server: CannedServer, **more: Any) -> Any:
        """The adapter, live, at the server. Override it for a class that takes other arguments."""
        values: dict[str, Any] = {**self.arguments, **more}
        if self.is_ours:
            values = {"base_url": server.base_url, "dry_run": False, "timeout_s": self.timeout_s, **values}
            values.setdefault(self.adapter.credential_argument, server.key)
        return self.adapter(**values)

    # ------------------------------------------------------------------ what the tests use

    @property
    def is_ours(self) -> bool:
        """Whether it is built on our base class."""
        return hasattr(self.adapter, "credential_argument")

    @pytest.fixture
    def server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedServer]:
        from mediagen.providers.base import JobProvider

        monkeypatch.setattr(JobProvider, "poll_interval_s", 0.01)
        monkeypatch.setattr(JobProvider, "poll_settle_s", 0.05)
        monkeypatch.setattr("mediagen.http.service.FETCH_BACKOFF_S", 0.01)
        with CannedServer(self.answers, health=self.health, idempotency_header=self.idempotency_header) as server:
            yield server

    def ask(self, adapter: Any, **how: Any) -> ChainOutcome:
        """One picture, through a chain of this provider alone."""
        return asyncio.run(self._ask(adapter, **how))

    async def _ask(self, adapter: Any, **how: Any) -> ChainOutcome:
        return await MediaGeneratorChain([adapter], strict=True).execute("generate_image", **self.request, **how)

    def check(self, outcome: ChainOutcome) -> GeneratedImage:
        """The picture, whole and believed; fails with every attempt when there is none."""
        image = outcome.result
        assert isinstance(image, GeneratedImage), outcome.explain()
        assert isinstance(image.content, bytes)
        found = images.inspect(image.content, max_pixels=50_000_000)
        assert (image.format, image.width, image.height) == (found.format, found.width, found.height)
        assert type(image.cost) in (Decimal, type(None))
        assert image.cost is None or image.cost >= 0
        return image

    # ------------------------------------------------------------------ the contract

    def test_it_has_a_name(self, server: CannedServer) -> None:
        name = self.build(server).get_name()
        assert re.fullmatch(r"[a-z0-9][a-z0-9_\-]{0,63}", name), f"{name!r}: use a-z, 0-9 and _"

    def test_a_picture_is_bought_once(self, server: CannedServer) -> None:
        outcome = self.ask(self.build(server))
        self.check(outcome)
        assert len(server.purchases) == 1
        assert self.request["prompt"].encode() in server.purchases[0].body, "the prompt did not reach the service"
        assert [route for route, _ in server.requests if not route] == [], "it asked for what the service has not got"

    @pytest.mark.parametrize("fault", [*STATUSES, *FAULTS])
    def test_a_fault_of_the_purchase_is_named_and_buys_no_second_picture(
        self, server: CannedServer, fault: str
    ) -> None:
        server.fault(server.purchase, fault, times=0)
        soon: dict[str, Any] = {"timeout_s": 0.3} if fault == "hang" and self.is_ours else {}
        adapter = self.build(server, **soon)
        began = time.monotonic()
        outcome = self.ask(adapter, deadline_s=0.8 if fault == "hang" else self.timeout_s)
        assert time.monotonic() - began < self.timeout_s + 5
        allowed = frozenset({self.deviates[fault]}) if fault in self.deviates else OUTCOMES[fault]
        first = outcome.attempts[0]
        assert first.outcome in allowed, f"{fault} became {first.outcome}: {first.message}"
        assert len(server.purchases) <= 1, "it bought again"
        assert server.key not in outcome.explain(), "the key is in an error"

    def test_faults_after_the_purchase_buy_no_second_picture(self, server: CannedServer) -> None:
        for route in self.answers:
            if route in (server.purchase, self.health):
                continue
            for fault in ("429", "503", "reset", "html", "empty"):
                bought = len(server.purchases)
                server.fault(route, fault)
                outcome = self.ask(self.build(server))
                assert len(server.purchases) == bought + 1, f"{fault} at {route}: it bought again"
                if outcome.result is None:
                    assert outcome.attempts[0].outcome in BAD | {Outcome.UNKNOWN, Outcome.UNAVAILABLE}

    def test_moderation_is_a_refusal(self, server: CannedServer) -> None:
        if self.refusal is None:
            pytest.skip("`refusal` is not set")
        server.answers[server.purchase] = self.refusal
        outcome = self.ask(self.build(server))
        assert outcome.attempts[-1].outcome is Outcome.REFUSED, outcome.explain()

    def test_an_attempt_has_its_key_before_the_request_leaves(self, server: CannedServer) -> None:
        kept = Kept()
        self.ask(self.build(server), recorder=kept)
        assert kept.key
        if self.idempotency_header:
            assert server.purchases[0].headers.get(self.idempotency_header.lower()) == kept.key

    def test_killed_between_request_and_answer_it_buys_nothing_twice(self, server: CannedServer) -> None:
        if not self.idempotency_header:
            pytest.skip("`idempotency_header` is not set: its service knows no purchase keys")
        for number in range(1, self.kills + 1):
            adapter = self.build(server)
            assert resolved_for_s(adapter) > 0, "set purchase_keys_live_s"
            kept = Kept()
            server.fault(server.purchase, "hang")
            asyncio.run(self._killed(adapter, kept, server, number))
            outcome = self.ask(self.build(server), keys={adapter.get_name(): kept.key})
            self.check(outcome)
            assert len(server.purchases) == number, "it bought again"

    async def _killed(self, adapter: Any, kept: Kept, server: CannedServer, purchases: int) -> None:
        """Ask, and go away once the service has it; what a dead process had in mind is lost."""
        task = asyncio.create_task(self._ask(adapter, recorder=kept))
        await asyncio.to_thread(server.wait_for_purchases, purchases)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def test_a_job_of_a_killed_process_is_fetched_and_not_bought_again(self, server: CannedServer) -> None:
        if not getattr(self.adapter, "can_resume", False):
            pytest.skip("it has no jobs")
        kept = Kept()
        self.check(self.ask(self.build(server), recorder=kept))
        assert kept.job is not None, "it did not say what the job is called before it waited for it"
        name = self.build(server).get_name()
        self.check(self.ask(self.build(server), resume={name: kept.job}))
        assert len(server.purchases) == 1

    def test_health_is_a_yes_or_a_no_and_costs_nothing(self, server: CannedServer) -> None:
        assert asyncio.run(self.build(server).check_health()) is True
        for fault in ("401", "503", "html", "reset") if self.health else ():
            server.fault(self.health, fault)
            assert asyncio.run(self.build(server).check_health()) is False, fault
        assert server.purchases == []

    def test_dry_run_asks_nobody(self, server: CannedServer) -> None:
        outcome = self.ask(self.build(server), dry_run=True)
        assert self.check(outcome).dry_run
        assert server.requests == []

    def test_the_key_is_nowhere_to_be_read(self, server: CannedServer) -> None:
        adapter = self.build(server)
        assert server.key not in f"{adapter!r} {adapter}"
        if self.is_ours:
            assert server.key not in f"{vars(adapter)}"

    def test_without_a_key_nothing_is_sent(self, server: CannedServer) -> None:
        if not self.is_ours or not self.adapter.credential_env:
            pytest.skip("it needs no key, or is not built on our base class")
        outcome = self.ask(self.build(server, **{self.adapter.credential_argument: ""}))
        assert outcome.attempts[0].outcome is Outcome.MISCONFIGURED
        assert self.adapter.credential_env in outcome.attempts[0].message, "say which variable to set"
        assert server.requests == []
