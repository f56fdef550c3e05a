"""Why there is no picture, as one of a few words that programs can rely on, with what a person should do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, gettext_noop

from mediagen.engine.money import BudgetUsedUp
from mediagen.errors import AssetCancelled, ConfigurationError, InvalidRequest, NotAPicture, Outcome, StorageFailed
from mediagen.models.asset import FailureCode


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says to people, in English; and whether trying again as it is may help."""

    message: str
    hint: str
    is_retryable: bool = False


MEANINGS: dict[str, Meaning] = {
    FailureCode.MODERATION: Meaning(
        gettext_noop("The request was refused by a provider's moderation."),
        gettext_noop("Word the prompt differently."),
    ),
    FailureCode.BUDGET: Meaning(
        gettext_noop("A budget is used up."),
        gettext_noop("Wait for the next period, or ask for a higher budget."),
        is_retryable=True,
    ),
    FailureCode.OUTAGE: Meaning(
        gettext_noop("The providers could not be reached, or did not deliver."),
        gettext_noop("Try again in a few minutes."),
        is_retryable=True,
    ),
    FailureCode.RATE_LIMITED: Meaning(
        gettext_noop("The providers asked to wait."), gettext_noop("Try again in a few minutes."), is_retryable=True
    ),
    FailureCode.MISCONFIGURED: Meaning(
        gettext_noop("The providers are not set up to make this."),
        gettext_noop("Tell who runs the site: a key, a plan or a model is missing."),
    ),
    FailureCode.UNSUPPORTED: Meaning(
        gettext_noop("No provider can make what was asked for."),
        gettext_noop("Change size, options or model."),
    ),
    FailureCode.STORAGE: Meaning(
        gettext_noop("The site's storage takes no pictures."),
        gettext_noop("Try again: what was paid for is kept, and is not bought twice."),
        is_retryable=True,
    ),
    FailureCode.UNKNOWN: Meaning(
        gettext_noop("The picture may have been made and paid for, and it is not here."),
        gettext_noop("Look at the attempts before you try again: it may cost a second time."),
    ),
    FailureCode.CANCELLED: Meaning(
        gettext_noop("It was cancelled."), gettext_noop("Ask for it again if you still want it."), is_retryable=True
    ),
    FailureCode.WAITING: Meaning(gettext_noop("It waits, and is tried again by itself."), ""),
    FailureCode.ERROR: Meaning(
        gettext_noop("Something went wrong that nobody foresaw."),
        gettext_noop("Try again; if it fails again, tell who runs the site: its log says more."),
        is_retryable=True,
    ),
}


def told(code: str) -> dict[str, Any]:
    """{code, message, hint, retryable} in the language of whoever asks."""
    known = code if code in MEANINGS else FailureCode.ERROR.value
    meaning = MEANINGS[known]
    return {
        "code": str(known),
        "message": gettext(meaning.message),
        "hint": gettext(meaning.hint) if meaning.hint else "",
        "retryable": meaning.is_retryable,
    }


def of_outcome(outcome: Any) -> FailureCode:
    """Of a chain that ended without a picture (`ChainOutcome`)."""
    if isinstance(outcome.vetoed, AssetCancelled):
        return FailureCode.CANCELLED
    found = {attempt.outcome for attempt in outcome.attempts} - {Outcome.SKIPPED, None}
    if Outcome.REFUSED in found and Outcome.UNKNOWN not in found:
        return FailureCode.MODERATION  # more money would not change it
    if isinstance(outcome.vetoed, BudgetUsedUp):
        return FailureCode.BUDGET
    if outcome.stopped:  # somebody may have billed it before
        return FailureCode.UNKNOWN
    if Outcome.REFUSED in found:
        return FailureCode.MODERATION
    if Outcome.UNKNOWN in found:
        return FailureCode.UNKNOWN
    if found & {Outcome.UNAVAILABLE, Outcome.BAD_RESPONSE}:
        return FailureCode.OUTAGE
    if Outcome.RATE_LIMITED in found:
        return FailureCode.RATE_LIMITED
    if Outcome.ERROR in found:
        return FailureCode.ERROR
    if Outcome.UNSUPPORTED in found:
        return FailureCode.UNSUPPORTED
    return FailureCode.MISCONFIGURED  # nobody is enabled, has a key, or has the operation


def of_exception(exc: BaseException) -> FailureCode:
    """Of a generation that was ended by an exception."""
    if isinstance(exc, StorageFailed):
        return FailureCode.UNKNOWN if exc.lost else FailureCode.STORAGE  # a program that tries again pays again
    if isinstance(exc, ConfigurationError):
        return FailureCode.MISCONFIGURED
    if isinstance(exc, InvalidRequest | NotAPicture):
        return FailureCode.UNSUPPORTED
    return FailureCode.ERROR
