"""A batch while it runs: numbers kept from the worker's events, shown as bars, lines or JSON."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from django.core.management.base import OutputWrapper

from mediagen.breaker import CircuitState
from mediagen.engine.work import Event, Worker
from mediagen.management.output import TO_SETTLE, one_line
from mediagen.models import GenerationBatch
from mediagen.models.costs import NOTHING, Cost

LINE_EVERY_S = 5.0
RATE_OVER_S = 30.0


@dataclass(slots=True)
class Numbers:
    """Where the batch stands. Begins with what was done before."""

    total: int
    ready: int = 0
    placeholders: int = 0
    failed: int = 0
    under_way: int = 0
    put_off: int = 0
    cost: Cost = NOTHING
    by_provider: Counter[str] = field(default_factory=Counter)
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=2000))

    @property
    def done(self) -> int:
        return self.ready + self.failed

    @property
    def per_second(self) -> float:
        """Pictures a second, over the last half minute."""
        now = time.monotonic()
        recent = [end for end in self.ends if end > now - RATE_OVER_S]
        return len(recent) / max(now - recent[0], 0.5) if recent else 0.0

    @property
    def seconds_left(self) -> float | None:
        rate = self.per_second
        return (self.total - self.done) / rate if rate else None


class Progress:
    """Keeps the numbers; says only what failed. Base of the others."""

    def __init__(self, out: OutputWrapper, batch: GenerationBatch, worker: Worker) -> None:
        self.out = out
        self.batch = batch
        self.worker = worker
        counts: Any = GenerationBatch.objects.with_counts().get(pk=batch.pk)
        self.numbers = Numbers(
            total=batch.total,
            ready=counts.ready,
            placeholders=counts.placeholders,
            failed=counts.failed + counts.cancelled,
            cost=batch.cost(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def note(self, event: Event) -> None:
        """Told by the worker, in its event loop."""
        numbers = self.numbers
        if event.kind == "started":
            numbers.under_way += 1
            return
        numbers.under_way -= 1
        numbers.cost += event.cost
        if event.kind == "ready":
            numbers.ready += 1
            numbers.placeholders += event.asset.is_placeholder
            numbers.by_provider[event.asset.provider_name] += 1
            numbers.ends.append(time.monotonic())
        elif event.kind == "failed":
            numbers.failed += 1
            numbers.ends.append(time.monotonic())
        elif event.kind == "put_off":
            numbers.put_off += 1
        self.show(event)

    def show(self, event: Event) -> None:
        """What a person or machine sees of an asset's end."""

    def line(self) -> str:
        n = self.numbers
        parts = [f"{n.done:,}/{n.total:,} done"]
        if n.failed:
            parts.append(f"{n.failed:,} failed")
        parts += [f"{n.under_way} running", f"{n.per_second:.1f}/s", f"{n.cost} so far"]
        if (left := n.seconds_left) is not None and n.done < n.total:
            parts.append(f"{_duration(left)} left")
        return ", ".join(parts)

    def providers(self) -> list[tuple[str, int, str]]:
        """(name, pictures in this run, breaker) of every provider that served or whose breaker is not closed."""
        served = dict(self.numbers.by_provider)
        states = {}
        for key, circuit in self.worker.circuits().items():
            if circuit.state is not CircuitState.CLOSED:
                until = f" until {circuit.open_until:%H:%M:%S} UTC" if circuit.open_until else ""
                states[key.provider] = f"{circuit.state.value.replace('_', ' ')}{until}: {one_line(circuit.reason, 80)}"
        return [(name, served.get(name, 0), states.get(name, "closed")) for name in sorted({*served, *states})]

    def summary(self, counts: Any, cost: Cost) -> None:
        """The end: counts from the rows, with what may have been bought unseen."""
        self.out.write("")
        made = f"{counts.ready:,} made"
        if counts.placeholders:
            made += f" ({counts.placeholders:,} placeholders)"
        parts = [made, f"{counts.failed:,} failed"]
        if counts.cancelled:
            parts.append(f"{counts.cancelled:,} cancelled")
        if left := counts.pending + counts.running:
            parts.append(f"{left:,} to do")
        self.out.write(f"{', '.join(parts)}; cost {cost}.")
        if cost.unsettled:
            self.out.write(TO_SETTLE.format(number=f"{cost.unsettled:,}"))
        for name, pictures, breaker in self.providers():
            self.out.write(f"  {name}: {pictures:,} pictures in this run, breaker {breaker}")


class PlainProgress(Progress):
    """A line every few seconds, and one for each failure: for logs."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.last = time.monotonic()

    def show(self, event: Event) -> None:
        if event.kind == "failed":
            self.out.write(f"FAILED {event.asset.row_key}: {one_line(event.message, 300)}")
        if time.monotonic() - self.last >= LINE_EVERY_S:
            self.last = time.monotonic()
            self.out.write(self.line())


class JSONProgress(Progress):
    """{"event": "asset", ...} as each ends, {"event": "progress", ...} every few seconds, {"event": "summary", ...}."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.last = time.monotonic()

    def show(self, event: Event) -> None:
        asset = event.asset
        self._tell(
            "asset",
            row_key=asset.row_key,
            asset_id=asset.asset_id,
            state=event.kind,
            provider=asset.provider_name,
            model=asset.model_name,
            placeholder=asset.is_placeholder,
            **event.cost.facts(),
            seconds=round(event.seconds, 3),
            error=event.message,
        )
        if time.monotonic() - self.last >= LINE_EVERY_S:
            self.last = time.monotonic()
            n = self.numbers
            self._tell(
                "progress",
                done=n.done,
                total=n.total,
                failed=n.failed,
                running=n.under_way,
                per_second=round(n.per_second, 2),
                **n.cost.facts(),
                seconds_left=None if n.seconds_left is None else round(n.seconds_left),
                providers=[
                    {"name": name, "pictures": count, "breaker": state} for name, count, state in self.providers()
                ],
            )

    def summary(self, counts: Any, cost: Cost) -> None:
        self._tell(
            "summary",
            batch=str(self.batch.pk),
            ready=counts.ready,
            placeholders=counts.placeholders,
            failed=counts.failed,
            cancelled=counts.cancelled,
            to_do=counts.pending + counts.running,
            **cost.facts(),
        )

    def _tell(self, event: str, **values: Any) -> None:
        self.out.write(json.dumps({"event": event, **values}))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
