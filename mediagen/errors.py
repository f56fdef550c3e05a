"""What can go wrong, as classes that say what happens next and what a person should do.

The chain reads `outcome`, `next_step` and `breaker` of an error and never its text. Every message is
written for an operator and is scrubbed of secrets before it gets here (see `mediagen.secrets`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from mediagen.attempts import Attempt, ProviderJob
from mediagen.attempts import Outcome as Outcome


class NextStep(StrEnum):
    """What the chain does after an error."""

    SAME_PROVIDER = "same_provider"
    """ask the same provider again after a short wait, then the next one"""
    NEXT_PROVIDER = "next_provider"
    AFTER_UNKNOWN = "after_unknown"
    """the provider's `after_unknown` decides: "next" or "stop" """
    AFTER_REFUSAL = "after_refusal"
    """the provider's `after_refusal` decides: "next" or "stop" """


class BreakerEffect(StrEnum):
    """What an error does to the provider's circuit breaker."""

    NONE = "none"
    COUNTS = "counts"
    OPENS = "opens"
    """opens at once, for `retry_after_s` or the provider's default cooldown"""
    OPENS_UNTIL_CHANGED = "opens_until_changed"
    """opens until the provider's configuration changes"""


class MediagenError(Exception):
    """Base of everything mediagen raises on purpose."""


class ConfigurationError(MediagenError):
    """A setting is wrong. Not a `ProviderError`, so that no failover hides it."""


class CostRefused(ConfigurationError):
    """An adapter gave a `GeneratedImage` a cost that is no sum of money. `image` is the picture, without it: it may be
    paid for, and a chain keeps it."""

    def __init__(self, message: str, *, image: Any) -> None:
        super().__init__(message)
        self.image = image


class InvalidRequest(MediagenError, ValueError):
    """The caller asked for something no provider could ever do (empty prompt, negative size).

    `field` names the argument at fault, where there is one.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class AssetInUse(InvalidRequest):
    """An asset that somebody wants to delete is in use. Ask the person, then say `even_if_used=True`.

    `used` has for each such asset's id (text) where: "campaign (channel)".
    """

    code: ClassVar[str] = "asset_in_use"

    def __init__(self, message: str, *, used: Mapping[str, Sequence[str]]) -> None:
        super().__init__(message, field="even_if_used")
        self.used = {asset_id: list(places) for asset_id, places in used.items()}


class ProviderError(MediagenError):
    """One provider did not deliver. Subclasses carry the failure policy as data."""

    outcome: ClassVar[Outcome] = Outcome.ERROR
    next_step: ClassVar[NextStep] = NextStep.NEXT_PROVIDER
    breaker: ClassVar[BreakerEffect] = BreakerEffect.COUNTS

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        cost: Decimal | None = None,
        job: ProviderJob | None = None,
    ) -> None:
        """`cost` in USD when the failed call was billed all the same; `job` when the provider named one."""
        super().__init__(message)
        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.cost = cost
        self.job = job

    @property
    def message(self) -> str:
        return str(self)


class Unavailable(ProviderError):
    """Not reachable, or it says itself that it did not process the request."""

    outcome = Outcome.UNAVAILABLE
    next_step = NextStep.SAME_PROVIDER


class JobFailed(ProviderError):
    """A job was bought, ran at the provider, and came to nothing. It may have cost something: no second one there."""

    outcome = Outcome.UNAVAILABLE


class OutcomeUnknown(ProviderError):
    """The request left us and no answer came: the picture may be made and billed. Never sent again blindly."""

    outcome = Outcome.UNKNOWN
    next_step = NextStep.AFTER_UNKNOWN


class RateLimited(ProviderError):
    """The provider asks us to wait; the next one need not."""

    outcome = Outcome.RATE_LIMITED
    breaker = BreakerEffect.OPENS


class Misconfigured(ProviderError):
    """Key, plan, credit or model: waiting does not help, an operator does."""

    outcome = Outcome.MISCONFIGURED
    breaker = BreakerEffect.OPENS_UNTIL_CHANGED


class CredentialsMissing(Misconfigured):
    """No credential is set. Found out locally, nothing was sent, so there is nothing to cool down from."""

    breaker = BreakerEffect.NONE


class CredentialsRefused(Misconfigured):
    """The provider refused the credential (401, 403)."""


class Refused(ProviderError):
    """Refused by moderation. By default the chain stops: another provider's policy is no way around it."""

    outcome = Outcome.REFUSED
    next_step = NextStep.AFTER_REFUSAL
    breaker = BreakerEffect.NONE


class UnsupportedRequest(ProviderError):
    """This provider cannot express the request, or answered 4xx about our payload."""

    outcome = Outcome.UNSUPPORTED
    breaker = BreakerEffect.NONE


class BadResponse(ProviderError):
    """It answered 200 without a usable picture: HTML, cut off, a wrong type, a bomb."""

    outcome = Outcome.BAD_RESPONSE


class UnforeseenError(ProviderError):
    """An exception nobody planned for came out of a provider. Logged with its traceback."""


class AttemptVetoed(MediagenError):
    """A recorder forbids an attempt before anything was sent (a budget is used up, the row was lost).

    `stop` True ends the chain; False goes on to the next provider.
    """

    weight: ClassVar[int] = 1
    """of several, the weightiest is told as the reason"""

    def __init__(self, message: str, *, stop: bool = False) -> None:
        super().__init__(message)
        self.stop = stop


class AssetCancelled(AttemptVetoed):
    """Somebody has cancelled the asset: nothing more is bought for it."""

    weight = 2

    def __init__(self) -> None:
        super().__init__("it was cancelled before this provider was asked.", stop=True)


class ComeLater(InvalidRequest):
    """Too much of this was asked for lately. `retry_after_s` says when it may be asked for again, seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotAllowed(MediagenError):
    """Whoever asks may see it and may not do this with it."""


class Conflict(MediagenError):
    """The state of things does not allow it now."""


class KeyReused(Conflict):
    """An idempotency key came with another request before."""


class BudgetTooSmall(MediagenError):
    """A budget does not leave what a request costs at least. Nothing was made."""


class ProvidersCoolingDown(MediagenError):
    """All providers that could be asked are cooling down, the first of them for `retry_after_s`. Nothing was made."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotAPicture(MediagenError, ValueError):
    """The bytes are no picture we accept: wrong type, cut off, too large. The message says which and what to do."""


class LeaseLost(MediagenError):
    """Another worker took the asset over. What this one made must not be written."""


class StorageFailed(MediagenError):
    """The site's storage did not take a picture. `rescued` is the local file in which it is kept meanwhile, if any;
    `lost` is True when it was paid for and nothing of it is left; `asset` is the row that has no picture now."""

    def __init__(self, message: str, *, rescued: str = "", lost: bool = False, asset: Any = None) -> None:
        super().__init__(message)
        self.rescued = rescued
        self.lost = lost
        self.asset = asset


class CredentialsUnreadable(MediagenError):
    """A stored credential cannot be decrypted with any of the configured keys."""


class GenerationFailed(MediagenError):
    """No provider delivered. `attempts` has every try in order, `asset_id` the row that keeps the prompt.

    `vetoed` is what forbade a try (a budget, a cancellation), where that was so; `retry_after_s` the seconds until the
    first provider that cools down may be asked again, where one does.
    """

    def __init__(
        self,
        message: str,
        *,
        attempts: Sequence[Attempt] = (),
        asset_id: str | None = None,
        asset: Any = None,
        vetoed: AttemptVetoed | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.attempts = list(attempts)
        self.asset_id = asset_id
        self.asset = asset
        self.vetoed = vetoed
        self.retry_after_s = retry_after_s


def explain(operation: str, attempts: Sequence[Attempt], reason: str = "") -> str:
    """One sentence, with the one reason where there is one, and one line per attempt; for `GenerationFailed` and for
    people."""
    if not attempts:
        return f"{operation}: no provider is enabled. Enable one in ProviderConfig (admin) or in MEDIAGEN['PROVIDERS']."
    lines = [f"{operation}: no provider delivered, {len(attempts)} attempt(s): {reason}".rstrip()]
    for a in attempts:
        message = a.message.removeprefix(f"{a.provider_name}: ")  # as an adapter says it by itself
        lines.append(f"  {a.position}. {a.provider_name}: {a.outcome or a.state}: {message}")
    return "\n".join(lines)
