"""One entry per provider: how it is set up at a server, what is asked of it, and what each misbehaviour must come to.

The contract (`test_contract*.py`, `test_failover_matrix.py`) runs over `CASES`. A new provider is one more `Case`, and
a server in `tests.servers.SERVERS` under the same name. Where its vendor means something else by an answer than
`OUTCOMES` says, the entry has it in `deviates`.
"""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from PIL import Image

from mediagen.errors import Outcome, ProviderError
from mediagen.providers import (
    CanvaAPIAdapter,
    ComfyUIAdapter,
    FalAdapter,
    FigmaAPIAdapter,
    FluxAdapter,
    GeminiAdapter,
    GeneratedImage,
    OpenAIImagesAdapter,
    OpenRouterAdapter,
    ReplicateSDXLAdapter,
    SDXLAdapter,
    ServiceProvider,
)
from mediagen.providers.base import JobProvider
from tests.covering import covering
from tests.servers import SERVERS, Fault, FaultKind, ProviderServer
from tests.servers.comfyui import WORKFLOW

OK = Outcome.SUCCEEDED
UNAVAILABLE = Outcome.UNAVAILABLE
UNKNOWN = Outcome.UNKNOWN
RATE_LIMITED = Outcome.RATE_LIMITED
MISCONFIGURED = Outcome.MISCONFIGURED
REFUSED = Outcome.REFUSED
UNSUPPORTED = Outcome.UNSUPPORTED
BAD_RESPONSE = Outcome.BAD_RESPONSE

# What a fault that lasts must come to, by the part that the step plays: "answer" (the one request, whose answer is the
# picture), "submit" (buys a job and gets its id), "poll" (asks for the job), "download" (fetches the result).
# A key is a fault's whole name, or its kind with its status, or its kind alone; the most particular one counts.
_PURCHASE: dict[str, Outcome] = {
    "connect_refused": UNAVAILABLE,
    "reset_before_body_read": UNKNOWN,  # some of it had left: nobody can say that it did not arrive
    "reset_after_body_read": UNKNOWN,
    "hang": UNKNOWN,
    "http 400": UNSUPPORTED,
    "http 401": MISCONFIGURED,
    "http 402": MISCONFIGURED,
    "http 403": MISCONFIGURED,
    "http 404": MISCONFIGURED,
    "http 408": UNAVAILABLE,
    "http 429": RATE_LIMITED,
    "http 500": UNAVAILABLE,
    "http 502": UNAVAILABLE,
    "http 503": UNAVAILABLE,
    "redirect": BAD_RESPONSE,
    "truncated_body": BAD_RESPONSE,
    "html_200": BAD_RESPONSE,
    "empty_200": BAD_RESPONSE,
    "wrong_content_type": OK,  # what the bytes are counts, not what they are called
    "no_picture": BAD_RESPONSE,
    "moderation": REFUSED,
}
_SPOILT_PICTURE = dict.fromkeys(("truncated_picture", "not_a_picture", "bomb"), BAD_RESPONSE)
OUTCOMES: dict[str, dict[str, Outcome]] = {
    "answer": {**_PURCHASE, **_SPOILT_PICTURE, "trickle": UNKNOWN},
    "submit": {**_PURCHASE, "trickle": OK, "foreign_url": BAD_RESPONSE},
    # The job is bought: whatever a poll says of itself, only the job's own word ends it.
    "poll": {
        **dict.fromkeys(("connect_refused", "reset_before_body_read", "reset_after_body_read", "hang"), UNKNOWN),
        **dict.fromkeys(("http", "redirect", "truncated_body", "html_200", "empty_200"), UNKNOWN),
        **dict.fromkeys(("job_never_ends", "unknown_status", "task_not_found"), UNKNOWN),
        "trickle": OK,
        "wrong_content_type": OK,
        "moderation": REFUSED,
        "job_failed": UNAVAILABLE,
        "no_picture": BAD_RESPONSE,
        "foreign_url": BAD_RESPONSE,
    },
    # The picture is made: not to get it is no reason to buy another from the same provider.
    "download": {
        **_SPOILT_PICTURE,
        **dict.fromkeys(("connect_refused", "reset_before_body_read", "reset_after_body_read", "hang"), BAD_RESPONSE),
        **dict.fromkeys(("trickle", "http", "redirect", "truncated_body", "html_200", "empty_200"), BAD_RESPONSE),
        "expired": BAD_RESPONSE,
        "wrong_content_type": OK,
    },
}

OF_THE_CONNECTION = frozenset(
    {
        FaultKind.CONNECT_REFUSED,
        FaultKind.RESET_BEFORE_BODY_READ,
        FaultKind.RESET_AFTER_BODY_READ,
        FaultKind.HANG,
        FaultKind.TRICKLE,
        FaultKind.TRUNCATED_BODY,
        FaultKind.REDIRECT,
    }
)
"""One code meets these for all providers."""
_SAYS_NO = frozenset({FaultKind.CONNECT_REFUSED, FaultKind.RESET_BEFORE_BODY_READ, FaultKind.HTTP, FaultKind.REDIRECT})


@dataclass(frozen=True, kw_only=True)
class Case:
    """One provider with one of its models."""

    adapter: type[ServiceProvider]
    model: str = ""
    operation: str = "generate_image"
    """the method that is called; "" for a provider that makes nothing live"""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """keyword arguments of the operation. The size is one that the model makes, so that nothing is resized."""
    format: str = "png"
    """what the bytes are when nothing else was asked for"""
    steps: tuple[str, ...] | None = None
    """Steps that the contract runs over; None: all. Further models of a provider need those only that they change."""
    deviates: Mapping[tuple[str, str], Outcome] = field(default_factory=dict)
    """(step, fault) to outcome, where the vendor means something else than `OUTCOMES` says"""
    cooldown_s: float = 30.0
    """after a 429 without any hint, seconds"""
    configuration: Mapping[str, Any] = field(default_factory=dict)
    """further arguments of the adapter"""
    needs_key: bool = True
    """False: a server of one's own, which may be without one"""
    ends_jobs: bool = False
    """True: a job that cannot be asked for is known to be ended, because it is taken out of the queue"""
    well_at: frozenset[int] = frozenset()
    """statuses of the health check that a good key gets too: one that may not read the account's books"""
    wrong_key_status: int = 401
    """what the vendor answers to a key that it does not know"""

    def __str__(self) -> str:
        return f"{self.name}-{self.model.rpartition('/')[2][:24]}" if self.model else self.name

    @property
    def name(self) -> str:
        """The provider's, and its server's."""
        return self.adapter.name

    @property
    def server(self) -> type[ProviderServer]:
        return SERVERS[self.name]

    @property
    def has_jobs(self) -> bool:
        """Whether a job is bought first and fetched later."""
        return self.operation != "" and len(self.server.generate_steps) > 1

    @property
    def delivers_elsewhere(self) -> bool:
        """Whether results come from another host than that of the API."""
        return self.has_jobs and self.server.delivers_elsewhere

    @property
    def contract_steps(self) -> tuple[str, ...]:
        return self.server.generate_steps if self.steps is None else self.steps

    def build(self, server: ProviderServer, **arguments: Any) -> Any:
        """The adapter, live, at this server and with its key."""
        values = {"base_url": server.base_url, "model": self.model or None, "dry_run": False, "timeout_s": 10.0}
        values[self.adapter.credential_argument] = server.key
        return self.adapter(**{**values, **self.configuration, **arguments})

    async def call(self, adapter: Any, **arguments: Any) -> Any:
        """The operation's result."""
        return await getattr(adapter, self.operation)(**{**self.arguments, **arguments})

    def outcome(self, step: str, fault: Fault) -> Outcome:
        """What `fault`, as long as it lasts, must come to at `step`. KeyError when nobody has said."""
        part = step if self.has_jobs else "answer"
        names = (str(fault), f"{fault.kind} {fault.status}", fault.kind.value)
        for name in names:
            if (step, name) in self.deviates:
                return self.deviates[step, name]
        return next(OUTCOMES[part][name] for name in names if name in OUTCOMES[part])

    def is_bought(self, step: str, fault: Fault) -> bool:
        """Whether one call has bought something when `fault` lasts at `step`."""
        if step != self.server.generate_steps[0]:
            return True
        is_refused_at_once = fault.kind is FaultKind.MODERATION
        return not is_refused_at_once and (fault.kind not in _SAYS_NO or fault.bought)

    def check_picture(self, image: GeneratedImage) -> None:
        """Fails unless `image` is a whole picture that says of itself what it is."""
        assert isinstance(image.content, bytes)
        with Image.open(BytesIO(image.content)) as picture:
            picture.load()
            assert ((picture.format or "").lower(), picture.size) == (image.format, (image.width, image.height))
        assert image.format == self.format
        assert (image.width, image.height) == (self.arguments["width"], self.arguments["height"])
        assert (image.provider_name, image.content_type) == (self.name, "binary")
        assert image.sha256 == hashlib.sha256(image.content).hexdigest()
        assert not image.is_placeholder
        assert not image.dry_run


def _asked(width: int, height: int, **options: Any) -> dict[str, Any]:
    return {"prompt": "A lighthouse at dawn", "width": width, "height": height, **options}


_REPLICATE_MEANS: Mapping[tuple[str, str], Outcome] = {
    # Its answers do not say whether a prediction was made before the error; 503 says that it was not taken.
    **{("submit", f"http {status}"): UNKNOWN for status in (500, 502)},
    ("submit", "http 422"): MISCONFIGURED,
    # Polls go to our own base_url: what the answer names is not used.
    ("submit", "foreign_url"): OK,
}
_SDXL_MEANS: Mapping[tuple[str, str], Outcome] = {
    ("submit", "content_filtered"): REFUSED,
    ("submit", "http,status=422,code=invalid_language"): UNSUPPORTED,
    ("submit", "http,status=422,code=public_figure"): REFUSED,
    ("submit", "http,status=429,code=insufficient_balance"): MISCONFIGURED,
}
_OPENAI_MEANS: Mapping[tuple[str, str], Outcome] = {
    ("submit", "http 409"): UNAVAILABLE,
    ("submit", "http,status=400,code=billing_hard_limit_reached"): MISCONFIGURED,
    ("submit", "http,status=429,code=insufficient_quota"): MISCONFIGURED,
    ("submit", "http,status=429,code=billing_not_active"): MISCONFIGURED,
}
# A gateway that gave up; the service says 500 and 503 itself.
_FLUX_MEANS: Mapping[tuple[str, str], Outcome] = {("submit", "http 502"): UNKNOWN}

_GEMINI_MEANS: Mapping[tuple[str, str], Outcome] = {
    ("submit", "http 504"): UNKNOWN,
    ("submit", "http,status=400,code=FAILED_PRECONDITION"): MISCONFIGURED,
    ("submit", "http,status=429,code=per_day"): MISCONFIGURED,
    ("submit", "http,status=429,code=limit_0"): MISCONFIGURED,
}
_FAL_MEANS: Mapping[tuple[str, str], Outcome] = {
    # A gateway's answer does not say whether the queue has it; fal's own 5xx says that it has not.
    ("submit", "http 502"): UNKNOWN,
    ("submit", "http,status=422,code=content_policy_violation"): REFUSED,
    ("submit", "http,status=403,code=balance"): MISCONFIGURED,
    ("poll", "job_failed,text=request_timeout,status=200"): UNAVAILABLE,
}
_OPENROUTER_MEANS: Mapping[tuple[str, str], Outcome] = {
    ("submit", "http,status=502,code=content_policy_violation"): REFUSED,
    ("submit", "http,status=200,code=provider_overloaded"): UNAVAILABLE,
    ("submit", "http,status=403,code=moderation"): REFUSED,
    ("submit", "http 504"): UNKNOWN,
    ("submit", "http 413"): UNSUPPORTED,
}
# The job is known before it leaves: what was lost is looked for, and what takes too long is taken out of the queue.
_COMFYUI_MEANS: Mapping[tuple[str, str], Outcome] = {
    ("submit", "reset_before_body_read"): UNAVAILABLE,
    **{
        ("submit", kind): OK
        for kind in ("reset_after_body_read", "hang", "truncated_body", "html_200", "empty_200", "trickle")
    },
    ("submit", "http,status=400,code=value_not_in_list"): MISCONFIGURED,
    ("submit", "http,status=400,code=value_bigger_than_max"): UNSUPPORTED,
    **{
        ("poll", kind): UNAVAILABLE
        for kind in (
            *("reset_before_body_read", "reset_after_body_read", "hang", "http", "redirect", "truncated_body"),
            *("html_200", "empty_200", "job_never_ends", "task_not_found"),
        )
    },
}

CASES: tuple[Case, ...] = (
    Case(adapter=SDXLAdapter, model="core", arguments=_asked(1536, 1536), deviates=_SDXL_MEANS, cooldown_s=60),
    Case(
        adapter=SDXLAdapter,
        model="stable-diffusion-xl-1024-v1-0",
        arguments=_asked(1024, 1024),
        deviates=_SDXL_MEANS,
        cooldown_s=60,
    ),
    Case(
        adapter=SDXLAdapter,
        model="sd3.5-large",
        arguments=_asked(1024, 1024, output_format="jpeg"),
        format="jpeg",
        deviates=_SDXL_MEANS,
        cooldown_s=60,
    ),
    Case(adapter=OpenAIImagesAdapter, model="gpt-image-2", arguments=_asked(1024, 640), deviates=_OPENAI_MEANS),
    Case(adapter=OpenAIImagesAdapter, model="gpt-image-1.5", arguments=_asked(1536, 1024), deviates=_OPENAI_MEANS),
    Case(adapter=FluxAdapter, model="flux-2-pro", arguments=_asked(512, 512), deviates=_FLUX_MEANS, cooldown_s=5),
    Case(
        adapter=FluxAdapter,
        model="flux-pro-1.1",
        arguments=_asked(256, 288),
        deviates=_FLUX_MEANS,
        steps=("submit",),
        cooldown_s=5,
    ),
    Case(
        adapter=FluxAdapter,
        model="flux-kontext-pro",
        arguments=_asked(1024, 1024),
        deviates=_FLUX_MEANS,
        steps=("submit",),
        cooldown_s=5,
    ),
    Case(
        adapter=FluxAdapter,
        model="flux-3-image",
        arguments=_asked(1024, 1024),
        format="jpeg",
        deviates=_FLUX_MEANS,
        steps=("submit",),
        cooldown_s=5,
    ),
    Case(adapter=ReplicateSDXLAdapter, arguments=_asked(1024, 1024), deviates=_REPLICATE_MEANS),
    Case(
        adapter=ReplicateSDXLAdapter,
        model="stability-ai/stable-diffusion-3.5-large",
        arguments=_asked(1024, 1024),
        deviates=_REPLICATE_MEANS,
        steps=("submit",),
    ),
    Case(adapter=GeminiAdapter, arguments=_asked(1024, 1024), deviates=_GEMINI_MEANS, wrong_key_status=400),
    Case(
        adapter=GeminiAdapter,
        model="gemini-3.1-flash-lite-image",
        arguments=_asked(1024, 1024),
        deviates=_GEMINI_MEANS,
        wrong_key_status=400,
    ),
    Case(
        adapter=OpenRouterAdapter,
        model="black-forest-labs/flux.2-pro",
        arguments=_asked(1024, 1024),
        deviates=_OPENROUTER_MEANS,
    ),
    Case(
        adapter=FalAdapter,
        model="fal-ai/flux/dev",
        arguments=_asked(512, 512),
        deviates=_FAL_MEANS,
        well_at=frozenset({403}),
    ),
    Case(
        adapter=FalAdapter,
        model="fal-ai/nano-banana-pro",
        arguments=_asked(1024, 1024),
        deviates=_FAL_MEANS,
        steps=("submit",),
    ),
    Case(
        adapter=ComfyUIAdapter,
        arguments=_asked(512, 512),
        deviates=_COMFYUI_MEANS,
        configuration={"workflow": WORKFLOW},
        needs_key=False,
        ends_jobs=True,
    ),
    Case(adapter=FigmaAPIAdapter, operation=""),
    Case(adapter=CanvaAPIAdapter, operation=""),
)
MAKERS = tuple(case for case in CASES if case.operation)
"""those that make something, each with every model worth a look"""
ONE_OF_EACH = tuple({case.name: case for case in reversed(CASES)}.values())[::-1]
"""every provider with its first model"""
ONE_MAKER_EACH = tuple(case for case in ONE_OF_EACH if case.operation)
JOB_MAKERS = tuple(case for case in ONE_MAKER_EACH if case.has_jobs)


def what_can_break(case: Case, step: str, fault: Fault) -> set[tuple[str, ...]]:
    """The pairs of a fault at a step: what one code for all providers makes of it, and what each says of its own."""
    part = step if case.has_jobs else "answer"
    pairs = {(part, str(fault)), (str(case), step), (case.name, fault.kind.value)}
    if step == case.server.generate_steps[0] and fault.kind not in OF_THE_CONNECTION:
        # What a status or a code means, vendors say where they sell.
        pairs.add((case.name, "means", str(fault)))
    return pairs


def faults(
    *cases: Case, steps: tuple[str, ...] | None = None, pairs: Callable[..., Iterable[Hashable]] = what_can_break
) -> list[Any]:
    """(case, step, fault) of every fault at every step that the contract runs over, for `parametrize`.

    Those that prove a pair of `pairs` are in `make test`, the others have the mark `whole`.
    """
    every = [
        pytest.param(case, step, fault, id=f"{case}-{step}-{fault}")
        for case in cases
        for step in steps or case.contract_steps
        for fault in case.server.faults_for(step)
    ]
    return covering(every, pairs)


async def asked(case: Case, adapter: Any) -> tuple[Outcome, GeneratedImage | None, ProviderError | None]:
    """How one call ended, with the picture or the error. Any exception but a `ProviderError` is raised."""
    try:
        return OK, await case.call(adapter), None
    except ProviderError as exc:
        return exc.outcome, None, exc


def forms_of(key: str) -> list[str]:
    """The ways in which a key may be written where it does not belong."""
    return [key, quote(key, safe=""), base64.b64encode(key.encode()).decode()]


def addresses(server: ProviderServer) -> set[tuple[str, int]]:
    """(host, port) of the service and of where it hands results out."""
    origins = [urlsplit(server.origin), urlsplit(server.delivery_origin)]
    return {(origin.hostname or "", origin.port or 0) for origin in origins}


# Fixtures. A test module that takes them by import has them in its `__all__`.


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls and second fetches follow at once; "there is no such job" is believed soon."""
    monkeypatch.setattr(JobProvider, "poll_interval_s", 0.005)
    monkeypatch.setattr(JobProvider, "poll_settle_s", 0.05)
    monkeypatch.setattr("mediagen.http.service.FETCH_BACKOFF_S", 0.005)
    monkeypatch.setattr(FalAdapter, "find_for_s", 0.0)


@pytest.fixture
def serve(provider_servers: Mapping[str, ProviderServer], settings: Any) -> Callable[[Case], ProviderServer]:
    """`serve(case)`: its server, which hands results out on another port, as vendors do on another host."""

    def make(case: Case) -> ProviderServer:
        server = provider_servers[case.name]
        delivery = server.deliver_elsewhere() if case.delivers_elsewhere else server.origin
        settings.MEDIAGEN = {"FIT": "keep", "TRUSTED_HOSTS": [urlsplit(delivery).netloc]}
        return server

    return make


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """Every (host, port) that somebody has tried to connect to, whether or not it worked."""
    seen: set[tuple[str, int]] = set()
    connect = socket.socket.connect

    def watched(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple):
            seen.add(address[:2])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    return seen
