"""What every adapter has, whichever operations it offers: settings, credential, health, errors, dry or live."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, ClassVar
from urllib.parse import urlsplit

from mediagen import http
from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    CredentialsMissing,
    CredentialsRefused,
    Misconfigured,
    ProviderError,
)
from mediagen.providers.data import from_data
from mediagen.providers.options import Option, clean_options
from mediagen.secrets import Secret, scrub
from mediagen.types import GeneratedImage, current_call

PROBE_TIMEOUT_S = 20.0
KEPT_BACK_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """Answer of an unbilled check. `detail` is scrubbed and says what to do when `ok` is False."""

    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class KeyRule:
    """Whose key an adapter takes, and where that may be sent without anybody's consent."""

    vendor: str
    """"" for an adapter that speaks to one vendor; a key for one is never another's"""
    variable: str
    """of the environment; "" for a service that needs no key"""
    hosts: tuple[str, ...]
    """or endings of them (".bfl.ai")"""


class ServiceProvider:
    """Base of every provider that comes with mediagen. It has no operation: a subclass adds those that it really has.

    Pictures: derive from `MediaGeneratorProvider` (which adds `generate_image`) or `JobProvider`. Derive from this
    class for a service that only takes pictures, because the chain asks for an operation with `getattr`.
    """

    name: str = ""
    label: ClassVar[str] = ""
    default_base_url: str = ""
    default_model: ClassVar[str] = ""
    models: ClassVar[tuple[str, ...]] = ()
    models_are_closed: ClassVar[bool] = False
    """True when another model name than those in `models` cannot work"""
    announced_ends: ClassVar[Mapping[str, str]] = {}
    """models that the vendor has said to end, with the day ("2026-10-23"), or "" when it names none yet"""
    default_timeout_s: ClassVar[float] = 180.0
    default_cooldown_s: ClassVar[float] = 30.0
    """after a 429 that does not say how long, seconds"""
    credential_argument: ClassVar[str] = "api_key"
    credential_env: str = ""
    """environment variable the factory reads; "" for a provider that needs no credential"""
    takes_account: ClassVar[bool] = False
    """whether the credential may be the JSON file of a service account, which goes into no header"""
    lacks: ClassVar[str] = "no credential is set"
    """what is said of one that is not configured; `credential_hint` says what to do"""
    options: ClassVar[Mapping[str, Option]] = {}
    default_prices: ClassVar[Mapping[str, str]] = {}
    """USD a picture by price key (see `price_keys`), as published; a ProviderConfig's `prices` go before them"""
    billing_url: ClassVar[str] = ""
    """the vendor's page that says what was billed"""
    job_url: ClassVar[str] = ""
    """the same of one job, with "{job_id}" for its id, where there is one"""
    upper_prices: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """(USD, why it is no price) by price key, where only a range is known: held of a budget, never booked"""
    supports_seed: bool = False
    supports_negative_prompt: bool = False
    is_placeholder: ClassVar[bool] = False
    """True when its pictures stand in for real ones"""
    can_resume: ClassVar[bool] = False
    """True when a job that was bought can be fetched by its id"""
    is_healthy_without_key: ClassVar[bool] = True
    """False: unhealthy without a credential in a dry run too, because it has no picture of its own to offer there"""
    key_hosts: tuple[str, ...] = ()
    """the vendor's hosts, or endings of them, beside that of `default_base_url`: they may be sent the key"""

    def __init_subclass__(cls, *, table: str = "", **kwargs: Any) -> None:
        """`class FluxAdapter(JobProvider, table="flux")` has models, ends and prices out of that vendor's table."""
        super().__init_subclass__(**kwargs)
        parts = {"models": "models", "announced_ends": "ends", "default_prices": "prices", "upper_prices": "at_most"}
        for name, part in parts.items():
            if table and name not in vars(cls):
                setattr(cls, name, from_data(part, table))

    def __init__(
        self,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        model: str | None = None,
        dry_run: bool = True,
        timeout_s: float | None = None,
        *,
        name: str | None = None,
        prices: Mapping[str, Any] | None = None,
        price_when_unknown: Any = None,
        after_unknown: str = "next",
        after_refusal: str = "stop",
        **options: Any,
    ) -> None:
        """Options are those in the class's `options`. `ConfigurationError` for a value or name that cannot work."""
        self.name = name or type(self).name
        self._credential = api_key if isinstance(api_key, Secret) else Secret((api_key or "").strip())
        self.base_url = self._checked_url(base_url or self.default_base_url)
        self.model = self._checked_model(model or self.default_model)
        self.dry_run = dry_run
        self.timeout_s = self._checked_timeout(timeout_s)
        self.prices = self._checked_prices(prices)
        self.price_when_unknown = self._checked_usd("price_when_unknown", price_when_unknown)
        """USD that a budget holds for a picture of which no price is known; None: it is passed over then"""
        for argument, value in (("after_unknown", after_unknown), ("after_refusal", after_refusal)):
            if value not in ("next", "stop"):
                raise ConfigurationError(f'{self.name}: {argument} must be "next" or "stop", not {value!r:.40}.')
        self.webhook_url = ""
        """where the service is to push results; "" lets us poll. The factory sets it, and `webhook_secret`"""
        self.webhook_secret = ""
        self.credential_problem = ""
        """why a configured credential cannot be used; the factory sets it, `credential_hint` says it"""
        self.after_unknown = after_unknown
        self.after_refusal = after_refusal
        try:
            self.default_options, unknown = clean_options(self.options, options)
            self._check_options({key: value for key, value in self.default_options.items() if self.knows_option(key)})
        except ValueError as exc:
            raise ConfigurationError(f"{self.name}: {exc}") from None
        if unknown:
            raise ConfigurationError(
                f"{self.name} has no option {', '.join(sorted(unknown))}. "
                f"It has: {', '.join(sorted(self.options)) or 'none'}."
            )

    def __repr__(self) -> str:
        mode = "dry run" if self.dry_run else "live"
        return f"<{type(self).__name__} {self.name!r} model={self.model!r} {mode}>"

    @classmethod
    def key_rule(cls, options: Mapping[str, Any]) -> KeyRule:
        """Whose key one with these options takes. Never raises, whatever they are."""
        own = urlsplit(cls.default_base_url).hostname
        return KeyRule("", cls.credential_env, (*((own,) if own else ()), *cls.key_hosts))

    # ------------------------------------------------------------------ what the chain asks

    def get_name(self) -> str:
        return self.name

    async def check_health(self) -> bool:
        """Whether the service answers and accepts the key, by a call that costs nothing. Never raises for it."""
        return (await self.probe()).ok

    async def probe(self) -> HealthReport:
        """`check_health` with the reason: not configured, refused, unreachable, or what the service says of itself."""
        if self.runs_dry:
            if not self.is_configured and not self.is_healthy_without_key:
                return HealthReport(ok=False, detail=f"{self.name}: {self.lacks}; {self.credential_hint}")
            return HealthReport(ok=True, detail="dry run: nothing was asked")
        try:
            with self._told_apart():
                self._require_credential()
                async with http.session():
                    detail = await self._probe()
        except ProviderError as exc:
            return HealthReport(ok=False, detail=str(exc))
        return HealthReport(ok=True, detail=scrub(detail, self.secrets))

    def where_billed(self, job_id: str = "") -> str:
        """The vendor's page on which a person finds whether something was billed; "" behind another address than the
        vendor's own."""
        if self.base_url != self.default_base_url.rstrip("/"):
            return ""
        return self.job_url.replace("{job_id}", job_id) if job_id and self.job_url else self.billing_url

    # ------------------------------------------------------------------ what an adapter writes

    def model_asked_for(self, operation: str) -> str:
        """The model that is asked for an operation."""
        return self.model

    def cannot(self, operation: str) -> str:
        """Why it cannot be asked for an operation that it has, with its model and settings; "" when it can."""
        return ""

    async def _probe(self) -> str:
        """An unbilled call; returns what there is to say ("12.5 credits left"), raises `ProviderError`."""
        raise NotImplementedError

    def _auth(self) -> Mapping[str, str]:
        """Headers that carry the credential."""
        return {"authorization": f"Bearer {self.credential}"}

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        """The error that the vendor's own body means, or None to go by the status."""
        return None

    def _check_options(self, options: Mapping[str, Any]) -> None:
        """ValueError when cleaned options cannot go together or not with this model."""

    # ------------------------------------------------------------------ what an adapter uses

    @property
    def runs_dry(self) -> bool:
        """The call's word, then the adapter's own."""
        override = current_call().dry_run
        return self.dry_run if override is None else override

    @property
    def credential(self) -> str:
        """The value itself, for a header. Never put it anywhere else."""
        return self._credential.reveal()

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Everything that must not appear in a text."""
        return (self._credential,) if self._credential else ()

    @property
    def is_configured(self) -> bool:
        return bool(self._credential) or not self.credential_env

    @property
    def config_digest(self) -> str:
        """Changes when the configuration does. A breaker that is open "until the config changes" looks at it."""
        parts = [type(self).__qualname__, self.base_url, self.model, self._credential.fingerprint()]
        parts.append(json.dumps(self.default_options, sort_keys=True, default=str))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def service(self) -> http.Service:
        return http.Service(self.base_url, auth=self._auth(), key_hosts=self.key_hosts, timeout_s=self.timeout_s)

    @property
    def probe_timeout_s(self) -> float:
        """For a health check: nobody waits minutes for it, however long a picture may take."""
        return min(self.timeout_s, PROBE_TIMEOUT_S)

    @property
    def poll_timeout_s(self) -> float:
        """How long a job may be polled now: the configured timeout, or less when the caller's deadline is nearer.

        Before a deadline, time is kept back to fetch the picture or to cancel the job.
        """
        call = current_call()
        if call.looks_for_s is not None:
            return min(self.timeout_s, call.looks_for_s)
        left_s = call.seconds_left(self.timeout_s + KEPT_BACK_S)
        return min(self.timeout_s, left_s - min(KEPT_BACK_S, left_s * 0.1))

    def checked(self, response: http.Response) -> http.Response:
        """`response` when it is 2xx; otherwise the `ProviderError` it means."""
        if response.is_success:
            return response
        error = self._vendor_error(response) or http.error_for_status(response, self._vendor_text(response))
        if response.status in (404, 410) and (near := self._near_models(self.model)):
            error.args = (f"{str(error).rstrip('.')}. {near}",)
        raise error

    def error_inside(self, answer: Mapping[str, Any], response: http.Response) -> ProviderError | None:
        """What the `error` in the object of an answer that calls itself a success means; None when there is none."""
        if not isinstance(answer.get("error"), dict):
            return None
        text = f"answered {response.status} with an error: {self._vendor_text(response)}"
        return self._vendor_error(response) or BadResponse(text, http_status=response.status)

    def _vendor_text(self, response: http.Response) -> str:
        """What the service said of the error, in at most 300 characters."""
        data = response.error_object()
        for key in ("message", "detail", "err", "error", "errors", "title"):
            value = data.get(key)
            if isinstance(value, dict):
                value = value.get("message")
            if value:
                if isinstance(value, list) and all(isinstance(item, str) for item in value):
                    value = "; ".join(value)
                return self.quoted(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 300)
        return "" if data else response.describe_body()

    def quoted(self, value: Any, max_chars: int = 100) -> str:
        """A text out of the service's answer, on one line, without secrets and cut; "" for what is no text."""
        if not isinstance(value, str):
            return ""
        # Scrubbed before it is cut: half a key at the end would no longer be recognised.
        text = scrub(value, self.secrets)[:max_chars]
        # No database holds NUL or half a surrogate pair, and a line break forges lines in a log.
        return "".join(char if char.isprintable() else " " for char in text)

    def knows_option(self, name: str) -> bool:
        """Whether the configured model has this option."""
        option = self.options.get(name)
        return option is not None and (not option.only_models or self.model in option.only_models)

    def check_option(self, name: str, value: Any) -> None:
        """ValueError that says what is taken, when the configured model does not take this value of an option that it
        has."""
        try:
            cleaned = self.options[name].clean(value)
        except ValueError as exc:
            raise ValueError(f"option {name} {exc}.") from None
        self._check_options({name: cleaned})

    # ------------------------------------------------------------------ inside

    def _require_credential(self) -> None:
        if not self.is_configured:
            raise CredentialsMissing(f"{self.lacks}; {self.credential_hint}")
        if not all("!" <= char <= "~" for char in self.credential):
            raise Misconfigured(
                f"the credential holds a blank or another character that no header can carry. "
                f"Enter it again: {self.credential_hint}"
            )

    @property
    def credential_hint(self) -> str:
        if self.credential_problem:
            return self.credential_problem
        return f"set {self.credential_env} in the environment, or the credential of ProviderConfig '{self.name}'."

    @contextmanager
    def _told_apart(self) -> Iterator[None]:
        """Every `ProviderError` leaves with our name in front, what to do behind, and no secret inside."""
        try:
            yield
        except ProviderError as exc:
            text = scrub(str(exc), self.secrets)
            if isinstance(exc, CredentialsRefused):
                text = f"{text.rstrip('.')}. Check the credential: {self.credential_hint}"
            exc.args = (f"{self.name}: {text}",)
            if exc.job is None and (attempt := current_call().attempt) is not None:
                exc.job = attempt.job
            raise

    def _checked_url(self, url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:  # half an IPv6 address
            parts = urlsplit("")
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ConfigurationError(f"{self.name}: base_url must be an http(s) address, not {url!r:.80}.")
        if parts.username or parts.password:
            raise ConfigurationError(f"{self.name}: base_url must not hold a user name or password.")
        if parts.query or parts.fragment or url.endswith(("?", "#")):
            raise ConfigurationError(f"{self.name}: base_url must end with its path: no ? or # and what follows them.")
        return url.rstrip("/")

    def _checked_model(self, model: str) -> str:
        if self.models_are_closed and model not in self.models:
            near = self._near_models(model) or f"It has: {', '.join(self.models)}."
            raise ConfigurationError(f"{self.name} has no model {model!r:.80}. {near}")
        return model

    def _near_models(self, model: str) -> str:
        """For people: which models that we know have a name like this one; "" for a name that we know."""
        if model in self.models:
            return ""
        near = get_close_matches(model, self.models, n=3, cutoff=0.5)
        return f"Did you mean {' or '.join(near)}? It has: {', '.join(self.models)}." if near else ""

    def _checked_timeout(self, timeout_s: float | None) -> float:
        try:
            seconds = self.default_timeout_s if timeout_s is None else float(timeout_s)
        except (TypeError, ValueError):
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise ConfigurationError(f"{self.name}: timeout_s must be a positive number of seconds, not {timeout_s!r}.")
        return seconds

    def _checked_prices(self, prices: Mapping[str, Any] | None) -> dict[str, Decimal]:
        table = {key: Decimal(value) for key, value in self.default_prices.items()}
        for key, value in (prices or {}).items():
            if (price := self._checked_usd(f"the price of {key!r:.60}", value)) is None:
                raise ConfigurationError(f"{self.name}: the price of {key!r:.60} must be USD, 0 or more, not None.")
            table[key] = price
        return table

    def _checked_usd(self, what: str, value: Any) -> Decimal | None:
        if value is None:
            return None
        try:
            usd = Decimal(str(value))
        except ArithmeticError:
            usd = Decimal(-1)
        if not usd.is_finite() or usd < 0:
            raise ConfigurationError(f"{self.name}: {what} must be USD, 0 or more, not {value!r:.40}.")
        return usd


def export_digest(image: GeneratedImage, *parts: str | None) -> str:
    """16 hex digits that name this picture on its way to one place: the same for the same picture and `parts`."""
    content = image.content if isinstance(image.content, bytes) else image.content.encode()
    picture = image.sha256 or hashlib.sha256(content).hexdigest()
    return hashlib.sha256("\n".join([picture, *(part or "" for part in parts)]).encode()).hexdigest()[:16]
