"""Libraries, as the engine needs them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.db import IntegrityError
from django.db.models import Q, QuerySet

from mediagen import conf
from mediagen.engine.library.access import Access, Right
from mediagen.errors import Conflict, InvalidRequest, NotAllowed
from mediagen.models import BUDGET_FIELDS, MediaLibrary, MediaTag
from mediagen.models.library import MediaLibraryQuerySet
from mediagen.models.routing import alias, atomic
from mediagen.types import checked_text, near
from mediagen.wording import say as _

MOST_NAMES = 1000
MOST_CHOICES = 10
"""libraries that are told of when a word means several"""


def get_library(library_id: uuid.UUID | None) -> MediaLibrary:
    """The library of this id; without one the library "Default", made when it is missing. `InvalidRequest` if none."""
    if library_id is None:
        return get_or_create_library(conf.get("DEFAULT_LIBRARY"))
    library = MediaLibrary.objects.filter(pk=library_id).first()
    if library is None:
        raise InvalidRequest(_("There is no media library %(library_id)s.", library_id=library_id), field="library_id")
    return library


def find_library(word: str, access: Access | None = None) -> MediaLibrary | None:
    """The library with this id, slug or name among those that `access` may see (None: whoever runs the server, who
    sees all); None when there is none. `InvalidRequest` with the choices when several are called so.

    The one resolver: a word means the same library wherever it is said.
    """
    libraries: Any = MediaLibrary.objects.all() if access is None else seen(access)
    try:
        return libraries.filter(pk=uuid.UUID(word)).first()  # type: ignore[no-any-return]
    except ValueError:
        if "\x00" in word:
            return None
    found = list(libraries.filter(Q(name=word) | Q(slug=word)).order_by("pk")[:MOST_CHOICES])
    if len(found) > 1:
        choices = ", ".join(f"{library.pk} ({library.name!r}, slug {library.slug})" for library in found)
        raise InvalidRequest(
            _(
                "%(word)s is the name or slug of several libraries. Say the id of one of them: %(choices)s.",
                word=f"{word!r:.80}",
                choices=choices,
            ),
            field="library",
        )
    return found[0] if found else None


def library_called(word: str, hint: str = "") -> MediaLibrary:
    """As `find_library` for whoever runs the server; `InvalidRequest`, with the names that are near, for no library."""
    if (library := find_library(word)) is not None:
        return library
    like = near(word, MediaLibrary.objects.values_list("name", flat=True)[:MOST_NAMES])
    also = [text for text in (like if like.startswith("Did") else "", hint) if text]
    raise InvalidRequest(" ".join([f"There is no media library {word!r:.80}.", *also]), field="library")


def seen(access: Access) -> MediaLibraryQuerySet:
    """Libraries that may be named by somebody: those they may look into, or, of a token that reads nothing, add to."""
    return access.libraries(Right.READ if access.has(Right.READ) else Right.GENERATE)


def check_free(name: str, slug: str = "", *, pk: Any = None) -> None:
    """`Conflict` when another library has the name or the slug as its own name or slug, in whichever case: a word must
    not mean two of them, wherever it is said. Site-wide, so this much cannot be kept from anybody."""
    others = MediaLibrary.objects.exclude(pk=pk)
    for word in filter(None, (name, slug)):
        if others.filter(Q(name__iexact=word) | Q(slug__iexact=word)).exists():
            raise Conflict(
                _("There is a library with the name or slug %(word)s already. Take another one.", word=f"{word!r:.80}")
            )


def get_or_create_library(name: str) -> MediaLibrary:
    """The library of this name, also when two ask for it at once."""
    # Where it is written: a replica may not have it yet, or never.
    written = MediaLibrary.objects.using(alias())
    library = written.filter(name=name).first()
    while library is None:
        try:
            with atomic():
                library = written.create(name=name)
        except IntegrityError:
            library = written.filter(name=name).first()
    return library


# ---------------------------------------------------------------------- made and changed by people

PLAIN = ("name", "description", *BUDGET_FIELDS)
BUDGET_PERMISSION = "mediagen.change_budget"


def visible(access: Access) -> MediaLibraryQuerySet:
    """Libraries that somebody can know of: those they may look into, and those they may change."""
    if access.has(Right.READ):
        return access.libraries(Right.READ)
    found: MediaLibraryQuerySet = MediaLibrary.objects.none()
    return found


@atomic()
def create(access: Access, values: Mapping[str, Any]) -> MediaLibrary:
    """A library that belongs to whoever makes it. `NotAllowed`, or `InvalidRequest` that names the field."""
    demand(access, "add")
    if access.token is not None and access.token.library_id is not None:
        raise NotAllowed(_("This token is for one library only, and makes no other one."))
    library = MediaLibrary(owner=access.user)
    _demand_budget(access, library, values)
    _write(library, values, access)
    return library


@atomic()
def change(access: Access, library: MediaLibrary, values: Mapping[str, Any]) -> None:
    """Change what `values` names. `NotAllowed`, or `InvalidRequest` that names the field."""
    demand(access, "change", library)
    _demand_budget(access, library, values)
    _write(library, values, access)


@atomic()
def remove(access: Access, library: MediaLibrary) -> None:
    """Remove an empty library. `Conflict` when there are assets in it, also deleted ones that can be had back."""
    demand(access, "delete", library)
    if library.assets.exists():
        raise Conflict(_("There are assets in this library. Move them elsewhere, or delete them for good, first."))
    library.delete()


def demand(access: Access, verb: str, library: MediaLibrary | None = None) -> None:
    """`NotAllowed` unless they may "add" libraries, or "change" or "delete" this one."""
    permission = f"mediagen.{verb}_medialibrary"
    if not access.user.has_perm(permission) or (access.token is not None and not access.token.allows("change")):
        raise NotAllowed(
            _("This needs the permission %(permission)s, and of a token the scope change.", permission=permission)
        )
    if library is not None and not is_editable(access, library):
        raise NotAllowed(_("You may look into this library, and not change it."))


def may_change_budgets(access: Access) -> bool:
    """Whoever may change a library could otherwise lift the limit that somebody else has set for it."""
    return bool(access.user.has_perm(BUDGET_PERMISSION))


def _demand_budget(access: Access, library: MediaLibrary, values: Mapping[str, Any]) -> None:
    changed = [name for name in BUDGET_FIELDS if name in values and values[name] != getattr(library, name)]
    if changed and not may_change_budgets(access):
        raise NotAllowed(
            _(
                "To change %(changed)s needs the permission %(budget_permission)s. Leave it out, or ask who has it.",
                changed=", ".join(changed),
                budget_permission=BUDGET_PERMISSION,
            )
        )


def _write(library: MediaLibrary, values: Mapping[str, Any], access: Access) -> None:
    name = values.get("name", library.name)
    if not checked_text(name, "name").strip():
        raise InvalidRequest(_("The name is empty. Say what belongs in it."), field="name")
    if name != library.name or library._state.adding:
        check_free(name, pk=library.pk)
    for field in PLAIN:
        if field in values:
            setattr(library, field, values[field])
    try:
        with atomic():
            library.save()
    except IntegrityError:
        raise Conflict(_("There is a library with this name already. Take another one.")) from None
    for field in ("viewer_groups", "editor_groups"):
        if field in values:
            getattr(library, field).set(_groups(values[field], field, groups_for(access.user, library)))
    if "default_tags" in values:
        library.default_tags.set(MediaTag.objects.ensure(values["default_tags"]))


def groups_for(user: Any, library: MediaLibrary | None = None) -> QuerySet[Group]:
    """The groups that somebody may share a library with: all for those with the permission auth.view_group, else the
    own ones and those that the library has. Of the others not even the names are told."""
    if user.has_perm("auth.view_group"):
        return Group.objects.all()
    known = Q(user=user)
    if library is not None and not library._state.adding:
        known |= Q(viewable_media_libraries=library) | Q(editable_media_libraries=library)
    return Group.objects.filter(pk__in=Group.objects.filter(known).values("pk"))


def _groups(names: Iterable[str], field: str, among: QuerySet[Group]) -> list[Group]:
    wanted = set(names)
    found = list(among.filter(name__in=wanted))
    if missing := sorted(wanted - {group.name for group in found}):
        raise InvalidRequest(
            _("There is no group %(missing)s that you may name.", missing=f"{missing[0]!r:.80}"), field=field
        )
    return found


def is_editable(access: Access, library: MediaLibrary) -> bool:
    """Whether the library is one that they may change. Which of Django's permissions they have is not asked."""
    if access.token is not None and access.token.library_id not in (None, library.pk):
        return False
    return MediaLibrary.objects.editable_by(access.user).filter(pk=library.pk).exists()
