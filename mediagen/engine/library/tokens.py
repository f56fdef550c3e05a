"""API tokens: issued, used, rotated, revoked. The text of one is seen once, by whoever asked for it, and not kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.views.decorators.debug import sensitive_variables

from mediagen.engine.library.access import Access
from mediagen.errors import InvalidRequest
from mediagen.models import ApiToken, MediaLibrary
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.models.token import PREFIX, SCOPES, ApiTokenQuerySet, digest, new_text
from mediagen.secrets import Secret
from mediagen.types import checked_text
from mediagen.wording import say as _

NAME_LENGTH = 100
USE_NOTED_EVERY = timedelta(minutes=1)
LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A row, and the text that its bearer sends: show it now, it cannot be had again."""

    token: ApiToken
    text: Secret


def check(
    user: Any,
    name: str,
    *,
    scopes: Iterable[str],
    library: MediaLibrary | None = None,
    expires_at: datetime | None = None,
) -> None:
    """`InvalidRequest` names the field that is wrong: a name that is empty or too long, an unknown scope or none, a
    library that the user cannot look into, a time that is past."""
    if not 0 < len(checked_text(name, "name").strip()) <= NAME_LENGTH:
        raise InvalidRequest(_("Give the token a name of 1 to %(most)s characters.", most=NAME_LENGTH), field="name")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InvalidRequest(
            _("A token's scopes are one or more of %(scopes)s.", scopes=", ".join(SCOPES)), field="scopes"
        )
    if library is not None and not MediaLibrary.objects.visible_to(user).filter(pk=library.pk).exists():
        raise InvalidRequest(_("There is no such library that this user can look into."), field="library")
    if expires_at is not None and expires_at <= db_now():
        raise InvalidRequest(_("The token would have expired already. Choose a later time."), field="expires_at")


@sensitive_variables()
@atomic()
def issue(
    user: Any,
    name: str,
    *,
    scopes: Iterable[str] = ("read",),
    library: MediaLibrary | None = None,
    expires_at: datetime | None = None,
    is_test: bool = False,
    made_by: ApiToken | None = None,
) -> IssuedToken:
    """A new token of this user. It may do what the user may do, as far as `scopes` and `library` go; with `is_test` it
    makes placeholders only. `made_by` is the token with which it was asked for, and with which it ends.

    `InvalidRequest` as `check` says, and when it would have more rights than `made_by`.
    """
    chosen = list(dict.fromkeys(scopes))
    check(user, name, scopes=chosen, library=library, expires_at=expires_at)
    if made_by is not None:
        # Under the lock that `revoke` waits for: what is made now ends with it too.
        if not ApiToken.objects.valid().locked().filter(pk=made_by.pk).exists():
            raise _not_valid()
        _check_within(made_by, chosen, library, expires_at, is_test)
    row, text = ApiToken.objects.issue(
        user,
        name.strip(),
        scopes=chosen,
        library=library,
        expires_at=expires_at,
        is_test=is_test,
        made_by=made_by,
    )
    return IssuedToken(row, Secret(text))


def _check_within(
    own: ApiToken, scopes: Iterable[str], library: MediaLibrary | None, expires_at: datetime | None, is_test: bool
) -> None:
    if more := [scope for scope in scopes if not own.allows(scope)]:
        raise InvalidRequest(
            _("The token of this request has not the scope %(more)s itself.", more=more[0]), field="scopes"
        )
    if own.library_id is not None and getattr(library, "pk", None) != own.library_id:
        raise InvalidRequest(_("The token of this request is bound to one library: name that one."), field="library")
    if own.expires_at is not None and (expires_at is None or expires_at > own.expires_at):
        raise InvalidRequest(
            _("The token of this request ends before: let the new one end no later."), field="expires_at"
        )
    if own.is_test and not is_test:
        raise InvalidRequest(_("The token of this request is for tests: so is the new one."), field="is_test")


def within(access: Access) -> ApiTokenQuerySet:
    """The tokens that they may see and end: of a session those of `visible_to`; with a token itself and those that it
    has made, for another one's text could open more."""
    found = visible_to(access.user)
    if access.token is None:
        return found
    return found.filter(pk__in=_with_their_own([access.token.pk]))


def _with_their_own(pks: Iterable[Any]) -> set[Any]:
    """These tokens, those that were made with them, and so on."""
    found, last = set(), set(pks)
    while last:
        found |= last
        last = set(ApiToken.objects.filter(made_by__in=last).values_list("pk", flat=True)) - found
    return found


@sensitive_variables()
def authenticate(text: str) -> ApiToken | None:
    """The valid token of this text, with its user and library; None when there is none.

    One query, one more for the library of a token that is bound to one; and at most once a minute another, to note that
    it was used.
    """
    if not text.startswith(PREFIX) or len(text) > LONGEST_TEXT:
        return None
    token = ApiToken.objects.find(text)
    if token is not None:
        _note_use(token)
    return token


def _note_use(token: ApiToken) -> None:
    now = db_now()
    if token.last_used_at is None or token.last_used_at <= now - USE_NOTED_EVERY:
        # The condition is asked again in the database: of many requests at once only one writes.
        long_ago = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
        ApiToken.objects.filter(long_ago, pk=token.pk).update(last_used_at=now)
        token.last_used_at = now


def visible_to(user: Any) -> ApiTokenQuerySet:
    """A person's own tokens; all of them for a superuser."""
    tokens: Any = ApiToken.objects
    if not (user.is_active and user.is_authenticated):
        return tokens.none()  # type: ignore[no-any-return]
    return tokens.all() if user.is_superuser else tokens.filter(user=user)  # type: ignore[no-any-return]


def state(token: ApiToken) -> str:
    """valid, revoked or expired."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= db_now() else "valid"


@atomic()
def revoke(pks: Iterable[Any]) -> int:
    """End these tokens, and those that were made with them, for good and at once; how many were not revoked before."""
    count, found, last = 0, set[Any](), set(pks)
    while last:
        # Before those that were made with them are looked for: from here on no more are.
        count += ApiToken.objects.filter(pk__in=last, revoked_at__isnull=True).update(revoked_at=db_now())
        found |= last
        last = set(ApiToken.objects.filter(made_by__in=last).values_list("pk", flat=True)) - found
    return count


@sensitive_variables()
@atomic()
def rotate(pk: Any) -> IssuedToken:
    """Another text for the same token; the old one ends at once. `InvalidRequest` when it is not valid any more."""
    token = ApiToken.objects.valid().locked().filter(pk=pk).first()
    if token is None:
        raise _not_valid()
    text = new_text(is_test=token.is_test)
    token.digest, token.hint, token.last_used_at = digest(text), text[-4:], None
    token.save(update_fields=["digest", "hint", "last_used_at"])
    return IssuedToken(token, Secret(text))


def _not_valid() -> InvalidRequest:
    return InvalidRequest(
        _("There is no such token, or it was revoked or has expired. Issue a new one."), field="token"
    )
