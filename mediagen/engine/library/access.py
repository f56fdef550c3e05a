"""Who may do what: the one rule that admin, API, studio, files, events and zips ask.

Two things together decide: the model permission of Django's that a right needs, and the library. What a person may
not read is to be answered as what does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import mediagen.engine.library.reach as reach
from mediagen.errors import InvalidRequest, NotAllowed
from mediagen.models import ApiToken, MediaAsset, MediaLibrary
from mediagen.models.asset import MediaAssetQuerySet
from mediagen.models.library import MediaLibraryQuerySet
from mediagen.wording import say as _


class Right(StrEnum):
    """What somebody wants to do with assets; the value is the scope that an API token needs for it."""

    READ = "read"
    GENERATE = "generate"
    """also upload"""
    CHANGE = "change"
    APPROVE = "approve"
    """also publish, archive, restore"""
    DELETE = "delete"


PERMISSIONS = {
    Right.READ: "mediagen.view_mediaasset",
    Right.GENERATE: "mediagen.add_mediaasset",
    Right.CHANGE: "mediagen.change_mediaasset",
    Right.APPROVE: "mediagen.approve_mediaasset",
    Right.DELETE: "mediagen.delete_mediaasset",
}
SCOPES = {right: "change" if right is Right.DELETE else right.value for right in Right}


OF_TESTS = _("This token is for tests: it makes placeholders only.")


def sees_everything(user: Any) -> bool:
    """Whether no library is hidden from the user."""
    return bool(user.is_active and (user.is_superuser or user.has_perm("mediagen.view_all_libraries")))


@dataclass(frozen=True, slots=True)
class Access:
    """What one person may do, signed in as themselves or by a token that may do less."""

    user: Any
    token: ApiToken | None = None
    _many: dict[Right, bool] = field(default_factory=dict, init=False, repr=False, compare=False)
    """whether the libraries in which they have a right hold so much that their rows are read in order"""

    def has(self, right: Right) -> bool:
        """Whether the right is theirs at all, in whichever library."""
        if not (self.user.is_active and self.user.is_authenticated and self.user.has_perm(PERMISSIONS[right])):
            return False
        return self.token is None or self.token.allows(SCOPES[right])

    def libraries(self, right: Right = Right.READ) -> MediaLibraryQuerySet:
        """The libraries in which they have it."""
        libraries: Any = MediaLibrary.objects
        if not self.has(right):
            return libraries.none()  # type: ignore[no-any-return]
        found = libraries.visible_to(self.user) if right is Right.READ else libraries.editable_by(self.user)
        return found.filter(pk=self.token.library_id) if self._bound else found  # type: ignore[no-any-return, union-attr]

    def assets(self, right: Right = Right.READ) -> MediaAssetQuerySet:
        """The assets with which they may do it, deleted ones left out."""
        return self.all_assets(right).kept()

    def all_assets(self, right: Right = Right.READ) -> MediaAssetQuerySet:
        """As `assets`, with those that were deleted and can still be had back.

        Where nothing is hidden there is no condition on the library: with one, SQLite sorts the whole table for a page.
        """
        assets: Any = MediaAsset.objects.all()
        if not self.has(right):
            return assets.none()  # type: ignore[no-any-return]
        if sees_everything(self.user) and not self._bound:
            return assets  # type: ignore[no-any-return]
        return assets.filter(self.within(right))  # type: ignore[no-any-return]

    def within(self, right: Right = Right.READ, column: str = "library") -> Any:
        """A condition for rows whose `column` is a library in which they have the right. A query at its first use."""
        libraries = self.libraries(right)
        if right not in self._many:
            self._many[right] = reach.are_many(libraries)
        return reach.within(libraries, column, in_order=self._many[right])

    def watchable(self) -> MediaAssetQuerySet:
        """The assets that they may watch come: those that they may read, and with a right to generate alone those that
        they have asked for themselves."""
        if self.has(Right.READ):
            return self.assets()
        return self.assets(Right.GENERATE).filter(created_by=self.user)

    def files(self) -> MediaAssetQuerySet:
        """The assets whose files they may have: those that they may read, and deleted ones that they may have back."""
        found = self.assets(Right.READ)
        return found | self.all_assets(Right.DELETE) if self.has(Right.DELETE) else found

    def may(self, right: Right, library: Any = None) -> bool:
        """Whether they may do it in this library (an instance or an id); without one: at all."""
        if library is None:
            return self.has(right)
        return self.libraries(right).filter(pk=getattr(library, "pk", library)).exists()

    def rights_to_write(self, library: Any) -> frozenset[Right]:
        """What they may do in this library, which exists (an instance or an id), besides reading. One query at most."""
        rights = frozenset(right for right in Right if right is not Right.READ and self.has(right))
        # All of them need the same access, so the first speaks for the others.
        if rights and (self._bound or not sees_everything(self.user)) and not self.may(min(rights), library):
            return frozenset()
        return rights

    def rights_in(self, libraries: Iterable[Any]) -> dict[Any, frozenset[Right]]:
        """What they may do besides reading in each of these libraries, by id. One query at most."""
        ids = set(libraries)
        rights = frozenset(right for right in Right if right is not Right.READ and self.has(right))
        if rights and (self._bound or not sees_everything(self.user)):
            mine = set(self.libraries(min(rights)).filter(pk__in=ids).values_list("pk", flat=True))
        else:
            mine = ids
        return {pk: rights if pk in mine else frozenset() for pk in ids}

    def demand(self, permission: str, *scopes: str) -> None:
        """`NotAllowed` without this permission of Django's, or with a token that has not all of these scopes."""
        has_scopes = self.token is None or all(map(self.token.allows, scopes))
        if not (self.user.has_perm(permission) and has_scopes):
            wanted = " and ".join(scopes)
            raise NotAllowed(
                _(
                    "This needs the permission %(permission)s, and of a token the scope %(wanted)s.",
                    permission=permission,
                    wanted=wanted,
                )
            )

    @property
    def is_test(self) -> bool:
        """Whether they come with a token for tests, which makes placeholders only."""
        return self.token is not None and self.token.is_test

    def dry(self, asked: bool | None) -> bool | None:
        """What `dry_run` of their request is then. `InvalidRequest` when a token for tests asks for live."""
        if not self.is_test:
            return asked
        if asked is False:
            raise InvalidRequest(
                _("%(of_tests)s Leave dry_run out, or use another token.", of_tests=OF_TESTS), field="dry_run"
            )
        return True

    def demand_dry(self, asked: bool | None) -> None:
        """`NotAllowed` for a token for tests, unless what was asked for before is dry in any case."""
        if self.is_test and asked is not True:
            raise NotAllowed(_("%(of_tests)s This was asked for without one: use another token.", of_tests=OF_TESTS))

    @property
    def _bound(self) -> bool:
        return self.token is not None and self.token.library_id is not None
