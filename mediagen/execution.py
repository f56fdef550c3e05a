"""One run of an operation through the providers: whom to ask, how often, when to wait, when to stop."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from mediagen import conf, foreign, purchases, steps
from mediagen.breaker import BreakerKey, BreakerRules, BreakerStore, Circuit, CircuitState, Verdict
from mediagen.clock import REAL, Clock
from mediagen.errors import (
    AttemptVetoed,
    BadResponse,
    BreakerEffect,
    ConfigurationError,
    CostRefused,
    InvalidRequest,
    JobFailed,
    MediagenError,
    NextStep,
    Outcome,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Refused,
    UnforeseenError,
    explain,
)
from mediagen.foreign import name_of, secrets_of
from mediagen.limits import Limiter, limiter_for
from mediagen.secrets import scrub
from mediagen.types import (
    ARE_BOUGHT,
    DESCRIBES,
    MAKES_PICTURES,
    Answer,
    Attempt,
    AttemptState,
    Call,
    GeneratedImage,
    ImageDescription,
    ProviderJob,
    Recorder,
    current_call,
    reset_current_call,
    set_current_call,
    usd_or_none,
)

logger = logging.getLogger("mediagen.chain")

MAX_MESSAGE = 1000
LONGEST_WAIT_FOR_SAME_S = 2.0
"""A provider that asks for a longer wait than this before a retry is left for the next one."""


@dataclass(slots=True)
class ChainOutcome:
    """What came of one execution: a result or None, and every attempt in order."""

    operation: str
    result: Any = None
    attempts: list[Attempt] = field(default_factory=list)
    error: ProviderError | AttemptVetoed | None = None
    """the last provider's error when there is no result"""
    retry_after_s: float | None = None
    """when breakers are open: seconds until the first of them reopens"""
    stopped: bool = False
    """nobody was asked, because a provider whose `after_unknown` is "stop" may have billed it already"""
    vetoes: list[AttemptVetoed] = field(default_factory=list)
    """why a recorder forbade attempts, where no other provider delivered"""

    @property
    def served_by(self) -> str:
        return self.attempts[-1].provider_name if self.result is not None and self.attempts else ""

    @property
    def vetoed(self) -> AttemptVetoed | None:
        """The weightiest of the vetoes, the first of several; None where there was none."""
        return max(self.vetoes, key=lambda veto: veto.weight, default=None)

    @property
    def may_pass(self) -> bool:
        """No result, but only because of what passes by itself: rate limits, outages, open breakers."""
        outcomes = {a.outcome for a in self.attempts}
        if (
            self.result is not None
            or self.stopped
            or not outcomes <= _PASSING | {Outcome.SKIPPED, Outcome.MISCONFIGURED}
        ):
            return False
        return self.retry_after_s is not None or bool(outcomes & _PASSING)

    def explain(self) -> str:
        was_asked = any(attempt.state is not AttemptState.SKIPPED for attempt in self.attempts)
        return explain(self.operation, self.attempts, "" if was_asked or not self.vetoes else str(self.vetoed))


_MAY_BE_BILLED = (
    "not asked: {0} may have made and billed this picture already, and its after_unknown is stop. Look there whether "
    "it did; then settle the unknown attempt, or set after_unknown of {0} to next, and generate the asset again."
)
_CAME_IN_VAIN = frozenset({Outcome.BAD_RESPONSE, Outcome.ERROR})
_PASSING = frozenset({Outcome.RATE_LIMITED, Outcome.UNAVAILABLE})


LONE_FAILURES = 3


class Execution:
    """One execution of one operation."""

    def __init__(
        self,
        providers: Sequence[Any],
        operation: str,
        kwargs: dict[str, Any],
        *,
        breaker: BreakerStore,
        rules: BreakerRules,
        strict: bool,
        dry_providers: frozenset[str],
        recorder: Recorder,
        deadline: float,
        dry_run: bool | None,
        resume: dict[str, ProviderJob],
        keys: dict[str, str] | None = None,
        avoid: frozenset[str],
        stop_for: frozenset[str] = frozenset(),
        stop_unless_asked: frozenset[str] = frozenset(),
        fetch_for_s: float | None = None,
        patient: bool,
        delivered: Any = None,
        clock: Clock = REAL,
        seen: dict[str, bool] | None = None,
        under_way: Counter[BreakerKey] | None = None,
    ) -> None:
        self.providers = providers
        self.breaker = breaker
        self.rules = rules
        self.strict = strict
        self.dry_providers = dry_providers
        self.operation = operation
        self.kwargs = kwargs
        self.recorder = recorder
        self.deadline = deadline
        self.dry_run = dry_run
        self.resume = resume
        self.keys = dict(keys or {})
        self.avoid = avoid
        stopping = {name_of(p) for p in providers if getattr(p, "after_unknown", "next") == "stop"}
        self.stop_for = stop_for | (avoid & stopping)
        self.stop_unless_asked = stop_unless_asked
        self.fetch_for_s = fetch_for_s
        self.fetch_only = fetch_for_s is not None
        self.patient = patient
        self.delivered = delivered
        self.clock = clock
        self.seen = {} if seen is None else seen
        self.under_way: Counter[BreakerKey] = Counter() if under_way is None else under_way
        """how many executions ask each provider, those that wait to ask again among them"""
        self.asked: set[int] = set()
        self.outcome = ChainOutcome(operation)
        self.digest = _request_digest(operation, kwargs)
        self.something_was_asked = False
        self.denied: list[tuple[Any, Circuit]] = []

    async def through(self) -> ChainOutcome:
        for provider in sorted(self.providers, key=self.turn):
            if self.fetch_only and not self.may_fetch(provider):
                continue
            stop_for = self.stop_for | (self.stop_unless_asked & {*self.resume, *self.keys})
            if stop_for and not self.is_bought(provider):
                await self.skip(provider, _MAY_BE_BILLED.format(" and ".join(sorted(stop_for))))
                self.outcome.stopped = True
                break
            if not await self.ask(provider):
                break
        else:
            if not self.something_was_asked and self.denied:
                await self.last_resort()
        if self.outcome.result is None:
            self.outcome.retry_after_s = self.reopens_in_s()
        else:
            self.outcome.error = None
            self.outcome.vetoes.clear()
        return self.outcome

    def may_fetch(self, provider: Any) -> bool:
        """Whether it has a job of ours, and surely fetches it instead of buying another."""
        knows_how = bool(getattr(provider, "can_resume", False))
        return knows_how and name_of(provider) in self.resume and not self.is_dry(provider)

    def turn(self, provider: Any) -> int:
        """A job that is already paid for comes first; who may have been paid already, last; stand-ins behind all."""
        name = name_of(provider)
        if self.is_bought(provider):
            return 0
        if not self.avoid:
            return 1
        return 3 if getattr(provider, "is_placeholder", False) else 1 + (name in self.avoid)

    def is_bought(self, provider: Any) -> bool:
        """Whether asking it first asks for what was bought, or may have been: a job, or a purchase with its key."""
        return name_of(provider) in self.resume or name_of(provider) in self.keys

    def reopens_in_s(self) -> float | None:
        """Seconds until the first open breaker of the chain may be tried again; None when none will by itself."""
        now = self.clock.now()
        known = self.breaker.known()
        times = [
            circuit.open_until or circuit.probe_until
            for provider in self.providers
            if (circuit := known.get(self.key_of(provider))) is not None and circuit.state is not CircuitState.CLOSED
        ]
        return min((max(0.0, (at - now).total_seconds()) for at in times if at is not None), default=None)

    async def ask(self, provider: Any) -> bool:
        """Ask one provider, with its retries. True: go on to the next one."""
        if why := foreign.lacks(provider, self.operation):
            await self.skip(provider, why)
            return True
        method = getattr(provider, self.operation)
        if self.clock.monotonic() >= self.deadline:
            await self.skip(provider, "the deadline of the whole generation was over.")
            return True
        if getattr(provider, "is_placeholder", False) and (reason := self.no_stand_in(provider)):
            await self.skip(provider, reason)
            return True
        if self.is_dry(provider) or getattr(provider, "is_placeholder", False):
            return await self.attempt(provider, method, key=None, was_probe=False)
        if not getattr(provider, "is_configured", True):
            hint = getattr(provider, "credential_hint", "set one.")
            lacks = getattr(provider, "lacks", "no credential is set")
            await self.skip(provider, f"{name_of(provider)}: {lacks}; {hint}", Outcome.MISCONFIGURED)
            return True
        key = self.key_of(provider)
        config_digest = str(getattr(provider, "config_digest", ""))
        circuit = (await self.breaker.load([key])).get(key, Circuit())
        verdict = circuit.verdict(self.clock.now(), config_digest)
        if self.is_bought(provider):
            verdict = Verdict.ALLOW  # fetching what was bought asks for nothing new
        if verdict is Verdict.PROBE and not await self.claim_probe(key, config_digest):
            verdict = Verdict.DENY
        if verdict is Verdict.DENY:
            self.denied.append((provider, circuit))
            await self.skip(provider, circuit.explain())
            return True
        return await self.attempt(provider, method, key=key, was_probe=verdict is Verdict.PROBE)

    def no_stand_in(self, provider: Any) -> str:
        """Why a placeholder would be no answer here; "" when it is one."""
        if self.operation == DESCRIBES and not self.is_dry(provider):
            return "it can look at no picture: it describes in dry run only."
        if self.outcome.vetoes:
            return "a placeholder is no answer to a budget that forbids a picture."
        if self.patient:
            self.outcome.retry_after_s = self.reopens_in_s()
            if self.outcome.may_pass:
                return "a placeholder is not used while waiting may help."
        return ""

    async def claim_probe(self, key: BreakerKey, config_digest: str) -> bool:
        now = self.clock.now()
        until = now + timedelta(seconds=self.rules.probe_s)
        return await self.breaker.claim_probe(key, now=now, until=until, config_digest=config_digest)

    async def last_resort(self) -> None:
        """Every breaker is open: ask, once, the provider whose breaker reopens first.

        Those that are open until their configuration changes would refuse again, and are left alone.
        """
        cooling = [(circuit.open_until, provider) for provider, circuit in self.denied if circuit.open_until]
        if not cooling:
            return
        soonest, provider = min(cooling, key=lambda pair: pair[0])
        limited = next(c for p, c in self.denied if p is provider).outcome == Outcome.RATE_LIMITED
        if limited and soonest > self.clock.now():
            return  # it told us when to come back: asking before would only lengthen the wait
        method = getattr(provider, self.operation)
        await self.attempt(provider, method, key=self.key_of(provider), was_probe=True, retries=0)

    async def attempt(
        self,
        provider: Any,
        method: Callable[..., Any],
        *,
        key: BreakerKey | None,
        was_probe: bool,
        retries: int | None = None,
    ) -> bool:
        """Ask, and again as the policy allows. True: go on to the next provider."""
        left = conf.get("RETRIES") if retries is None else retries
        if was_probe:
            left = 0
        self.asked.add(id(provider))
        if key is None:
            return await self.tries(provider, method, key=None, was_probe=was_probe, left=left)
        self.under_way[key] += 1
        try:
            return await self.tries(provider, method, key=key, was_probe=was_probe, left=left)
        finally:
            self.under_way[key] -= 1

    async def tries(
        self, provider: Any, method: Callable[..., Any], *, key: BreakerKey | None, was_probe: bool, left: int
    ) -> bool:
        """`attempt`, with so many `left` to follow the first."""
        tries = 0
        while True:
            tries += 1
            waiting = self.clock.monotonic()
            async with self.place(provider):
                # The limit is ours: what it makes us wait is not taken off the provider's time.
                self.deadline += self.clock.monotonic() - waiting
                with steps.step("attempt", provider=name_of(provider), operation=self.operation):
                    error = await self.once(provider, method)
            self.something_was_asked = True
            if error is None:
                self.seen[name_of(provider)] = True
                if key is not None:
                    await self.breaker.succeeded(key, was_probe=was_probe)
                return False
            self.outcome.error = error
            if self.fetch_only:
                return True  # a job that is not done yet says nothing about the provider
            if isinstance(error, AttemptVetoed):
                self.outcome.vetoes.append(error)
                return not error.stop
            if isinstance(error, RateLimited) and (limiter := self.limiter(provider)) is not None:
                limiter.slow_down()
            if error.breaker is not BreakerEffect.NONE:
                self.seen[name_of(provider)] = False
            circuit = await self.count(provider, key, error)
            if error.next_step is NextStep.AFTER_UNKNOWN:
                return getattr(provider, "after_unknown", "next") == "next"
            if error.next_step is NextStep.AFTER_REFUSAL:
                return getattr(provider, "after_refusal", "stop") == "next"
            if error.next_step is NextStep.NEXT_PROVIDER or tries > left or circuit.state is not CircuitState.CLOSED:
                return True
            if not await self.wait_for_same(error, tries, key):
                return True

    def limiter(self, provider: Any) -> Limiter | None:
        if self.is_dry(provider) or getattr(provider, "is_placeholder", False):
            return None
        limits = getattr(provider, "limits", None)
        return None if limits is None else limiter_for(name_of(provider), *limits)

    def place(self, provider: Any) -> AbstractAsyncContextManager[None]:
        """A place among the requests that the provider gets at once. Waited for before the attempt begins."""
        limiter = self.limiter(provider)
        return nullcontext() if limiter is None else limiter.slot()

    async def count(self, provider: Any, key: BreakerKey | None, error: ProviderError) -> Circuit:
        if key is None:
            return Circuit()
        before = self.breaker.known().get(key, Circuit()).state
        change = partial(
            self.rules.after_error,
            error=error,
            now=self.clock.now(),
            config_digest=str(getattr(provider, "config_digest", "")),
            default_cooldown_s=float(getattr(provider, "default_cooldown_s", self.rules.cooldown_s)),
            opens_at=self.early(key) if self.can_ask_another() else None,
        )
        circuit = await self.breaker.failed(key, change)
        opened = circuit.state is CircuitState.OPEN and before is not CircuitState.OPEN
        if opened and not self.clock.is_simulated:
            level = logging.ERROR if error.breaker is BreakerEffect.OPENS_UNTIL_CHANGED else logging.WARNING
            logger.log(level, "%s for %s: %s", key.provider, key.operation, circuit.explain())
        return circuit

    def early(self, key: BreakerKey) -> int:
        """So many failures in a row are enough while another provider can be asked: one of each picture that is under
        way here. A picture alone tells little of a provider, so it has its tries, as the failure policy says."""
        at_once = self.under_way[key]
        return at_once if at_once > 1 else max(LONE_FAILURES, 1 + int(conf.get("RETRIES")))

    def can_ask_another(self) -> bool:
        """Whether a provider that was not asked yet can be, and would make a real picture."""
        known, now = self.breaker.known(), self.clock.now()
        for other in self.providers:
            if id(other) in self.asked or not callable(getattr(other, self.operation, None)):
                continue
            if getattr(other, "is_placeholder", False) or not getattr(other, "is_configured", True):
                continue
            circuit = known.get(self.key_of(other), Circuit())
            if circuit.verdict(now, str(getattr(other, "config_digest", ""))) is Verdict.ALLOW:
                return True
        return False

    async def wait_for_same(self, error: ProviderError, tries: int, key: BreakerKey | None) -> bool:
        """Back off before asking the same provider again. False: better go on to the next one.

        The wait ends at once when the breaker opens meanwhile: others have found out that waiting is in vain.
        """
        wait_s = conf.get("BACKOFF_S") * 2 ** (tries - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        if error.retry_after_s is not None:
            wait_s = max(wait_s, error.retry_after_s)
        if wait_s > LONGEST_WAIT_FOR_SAME_S or self.clock.monotonic() + wait_s >= self.deadline:
            return False
        until = self.clock.monotonic() + wait_s
        while (left_s := until - self.clock.monotonic()) > 0:
            await self.clock.sleep(min(left_s, 0.025))
            if key is not None and self.breaker.known().get(key, Circuit()).state is not CircuitState.CLOSED:
                return False
        return True

    async def once(self, provider: Any, method: Callable[..., Any]) -> ProviderError | AttemptVetoed | None:
        """One attempt, told to the recorder before and after. None when it delivered."""
        attempt = self.new_attempt(provider)
        attempt.started_at = self.clock.now()
        # Once: if the job turns out to be lost, a further attempt is a new purchase.
        attempt.job = self.resume.pop(name_of(provider), None) if attempt.billable else None
        left_key = self.keys.pop(name_of(provider), "") if attempt.billable and attempt.job is None else ""
        attempt.purchase_key = left_key or attempt.purchase_key
        is_resumed = attempt.job is not None or bool(left_key)
        began = self.clock.monotonic()
        try:
            await self.recorder.started(attempt)
        except AttemptVetoed as veto:
            _end(attempt, AttemptState.SKIPPED, Outcome.SKIPPED, str(veto))
            await self.finish(attempt, began)
            return veto
        call = Call(
            dry_run=self.dry_run,
            deadline=self.deadline,
            attempt=attempt,
            recorder=self.recorder,
            resume=attempt.job,
            looks_for_s=self.fetch_for_s,
            delivered=self.delivered,
        )
        if attempt.purchase_key:
            call.purchase_key = attempt.purchase_key
        token = set_current_call(call)
        error: ProviderError | None = None
        try:
            async with self.clock.until(self.deadline):
                result = await purchases.bought_once(
                    provider,
                    lambda: self.deliver(provider, method, attempt),
                    call,
                    self.kwargs,
                    is_left=bool(left_key),
                    clock=self.clock,
                )
        except NotImplementedError:
            _end(attempt, AttemptState.SKIPPED, Outcome.SKIPPED, f"{name_of(provider)} cannot do {self.operation}.")
            await self.finish(attempt, began)
            return _Skipped("skipped")
        except ProviderError as exc:
            error = exc
        except TimeoutError:
            error = OutcomeUnknown(f"{name_of(provider)} had not answered when the deadline was over.", job=attempt.job)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit) as exc:
            task = asyncio.current_task()
            if isinstance(exc, asyncio.CancelledError) and task is not None and not task.cancelling():
                error = self.unforeseen(provider, exc)  # the provider's own doing: nobody has cancelled us
            else:
                state = AttemptState.UNKNOWN if attempt.billable else AttemptState.FAILED
                attempt.interrupted = True
                _end(attempt, state, Outcome.UNKNOWN, "cancelled while the provider was being asked.")
                await asyncio.shield(self.finish(attempt, began))
                raise
        except (InvalidRequest, ConfigurationError) as exc:
            _end(attempt, AttemptState.FAILED, Outcome.UNSUPPORTED, scrub(str(exc), secrets_of(provider)))
            await self.finish(attempt, began)
            raise
        except MediagenError:
            raise
        except Exception as exc:
            error = self.unforeseen(provider, exc)
        finally:
            reset_current_call(token)
        if error is not None:
            self.note_error(attempt, error, provider)
            if not self.fetch_only or isinstance(error, JobFailed | Refused):
                if attempt.outcome in _CAME_IN_VAIN:
                    attempt.answer = call.answer
                await self.finish(attempt, began)
                attempt.answer = None
            return error
        call.answer = None
        self.outcome.result = result
        _end(attempt, AttemptState.ADOPTED if is_resumed else AttemptState.SUCCEEDED, Outcome.SUCCEEDED, "")
        if isinstance(result, GeneratedImage | ImageDescription):
            attempt.cost = result.cost if result.cost is not None else attempt.cost
            attempt.model_name = result.model_name or attempt.model_name
        if isinstance(result, GeneratedImage) and result.provider_job_id and attempt.job is None:
            attempt.job = ProviderJob(result.provider_job_id)
        await self.finish(attempt, began)
        return None

    async def deliver(self, provider: Any, method: Callable[..., Any], attempt: Attempt) -> Any:
        """Ask the provider, and open what a foreign one brings."""
        if attempt.dry_run and not hasattr(provider, "runs_dry") and not getattr(provider, "dry_run", False):
            # Nobody told this provider how to answer without its network: it is not asked, it is stood in for.
            if self.operation == DESCRIBES:
                return foreign.stand_in_text(provider, self.kwargs)
            if self.operation not in MAKES_PICTURES:
                raise NotImplementedError
            return await foreign.stand_in(provider, self.operation, self.kwargs)
        try:
            result = await method(**self.kwargs)
        except CostRefused as exc:
            logger.error("%s: %s The picture is kept, and what it cost is not known.", name_of(provider), exc)
            result = exc.image
        if result is None:
            raise BadResponse(f"{name_of(provider)} answered without a result.")
        if self.operation == DESCRIBES:
            return foreign.described(provider, result)
        if self.operation not in MAKES_PICTURES:
            return result
        if not isinstance(result, GeneratedImage):
            raise BadResponse(f"{name_of(provider)} answered with {type(result).__name__}, not a GeneratedImage.")
        result.cost = usd_or_none(result.cost, name_of(provider))  # it may have been set afterwards
        if result.sha256:
            return result
        if isinstance(result.content, bytes | bytearray):
            current_call().answer = Answer(result.content)
        return await self.opened(provider, result)

    async def opened(self, provider: Any, result: GeneratedImage) -> GeneratedImage:
        return await foreign.opened(provider, result, str(self.kwargs.get("prompt", "")), strict=self.strict)

    async def skip(self, provider: Any, message: str, outcome: Outcome = Outcome.SKIPPED) -> None:
        """A provider that is not asked: told all the same, with the reason."""
        attempt = self.new_attempt(provider)
        _end(attempt, AttemptState.SKIPPED, outcome, message)
        attempt.started_at = attempt.finished_at = self.clock.now()
        await self.tell_finished(attempt)

    async def finish(self, attempt: Attempt, began: float) -> None:
        attempt.finished_at = self.clock.now()
        attempt.latency_s = self.clock.monotonic() - began
        await self.tell_finished(attempt)

    async def tell_finished(self, attempt: Attempt) -> None:
        try:
            await self.recorder.finished(attempt)
        except MediagenError:
            raise
        except Exception:
            # The answer is there and may be paid for: a recorder that cannot write must not lose it.
            logger.exception("attempt %d (%s) could not be recorded", attempt.position, attempt.provider_name)

    def note_error(self, attempt: Attempt, error: ProviderError, provider: Any) -> None:
        attempt.http_status = error.http_status
        attempt.job = error.job or attempt.job
        if error.cost is not None:
            attempt.cost = usd_or_none(error.cost, name_of(provider))
        state = AttemptState.UNKNOWN if error.outcome is Outcome.UNKNOWN else AttemptState.FAILED
        _end(attempt, state, error.outcome, scrub(str(error), secrets_of(provider)))

    def unforeseen(self, provider: Any, exc: BaseException) -> ProviderError:
        secrets = secrets_of(provider)
        # Not exc_info: a handler would print the exception's own text, which may hold the key.
        trace = scrub("".join(traceback.format_exception(exc)), secrets)
        name = name_of(provider)
        logger.error("%s raised an unforeseen %s in %s:\n%s", name, type(exc).__name__, self.operation, trace)
        return UnforeseenError(scrub(f"{name}: {type(exc).__name__}: {foreign.text_of(exc)}", secrets))

    def new_attempt(self, provider: Any) -> Attempt:
        is_dry = self.is_dry(provider)
        attempt = Attempt(
            provider_name=name_of(provider),
            model_name=foreign.model_of(provider, self.operation),
            operation=self.operation,
            position=len(self.outcome.attempts) + 1,
            dry_run=is_dry,
            billable=not is_dry and not getattr(provider, "is_placeholder", False),
            request_digest=self.digest,
        )
        attempt.purchase_key = str(uuid.uuid4()) if attempt.billable else ""
        if attempt.billable and self.operation in ARE_BOUGHT:
            attempt.price = self.price_of(provider)
        self.outcome.attempts.append(attempt)
        return attempt

    def price_of(self, provider: Any) -> Decimal | None:
        estimate = getattr(provider, ARE_BOUGHT[self.operation], None)
        try:
            return usd_or_none(estimate(**self.kwargs), name_of(provider)) if estimate is not None else None
        except (ProviderError, InvalidRequest):
            return None  # it will say so itself when it is asked

    def is_dry(self, provider: Any) -> bool:
        if self.dry_run is not None:
            return self.dry_run
        return bool(getattr(provider, "dry_run", False)) or name_of(provider) in self.dry_providers

    def key_of(self, provider: Any) -> BreakerKey:
        return key_of(provider, self.operation)


def key_of(provider: Any, operation: str) -> BreakerKey:
    """The breaker of this operation of this provider with its model."""
    return BreakerKey(name_of(provider), foreign.model_of(provider, operation), operation)


class _Skipped(ProviderError):
    """The provider itself said that it lacks the operation."""

    outcome = Outcome.SKIPPED
    breaker = BreakerEffect.NONE


def _end(attempt: Attempt, state: AttemptState, outcome: Outcome, message: str) -> None:
    attempt.state, attempt.outcome, attempt.message = state, outcome, message[:MAX_MESSAGE]


def _request_digest(operation: str, kwargs: Mapping[str, Any]) -> str:
    text = json.dumps([operation, kwargs], sort_keys=True, default=_in_digest, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _in_digest(value: Any) -> str:
    if isinstance(value, GeneratedImage):  # whose repr would hold all its bytes
        content = value.content if isinstance(value.content, bytes) else value.content.encode()
        return value.sha256 or hashlib.sha256(content).hexdigest()
    return repr(value)[:200]
