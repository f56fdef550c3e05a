"""What is stored encrypted, in whichever of our tables: found, counted, and encrypted anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import models

from mediagen.errors import CredentialsUnreadable
from mediagen.models.fields import CredentialField, StoredCredential, has_first_key, reencrypted
from mediagen.models.routing import atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSecret:
    """One encrypted value: where it stands, and what became of it. Never the value."""

    what: str
    """"provider 'flux': credentials" """
    result: str
    """"rotated", "current" (the first key's already) or "unreadable" (no key fits)"""


def rotate(*, dry_run: bool = False) -> Iterator[StoredSecret]:
    """Encrypt every stored value with the first key, one row at a time; with `dry_run`, only say what would be done.

    Safe beside a running site, and to repeat: a row is locked while it is written, and a value that somebody enters
    meanwhile stays as they entered it. What no key fits is left as it is.
    """
    for model, names in _encrypted():
        for pk in list(model._default_manager.order_by("pk").values_list("pk", flat=True)):
            with atomic():
                row = model._default_manager.select_for_update().filter(pk=pk).first()
                if row is not None:
                    yield from [_rotated(row, name, dry_run) for name in names if getattr(row, name)]


def unreadable() -> list[str]:
    """Where values stand that no key fits, for people. A query for each table that has encrypted columns."""
    found = []
    for model, names in _encrypted():
        for row in model._default_manager.order_by("pk"):
            found += [_what(row, name) for name in names if getattr(row, name) and not _can_be_read(getattr(row, name))]
    return found


def _encrypted() -> Iterator[tuple[type[models.Model], list[str]]]:
    for model in apps.get_app_config("mediagen").get_models():
        names = [field.name for field in model._meta.concrete_fields if isinstance(field, CredentialField)]
        if names and not model._meta.proxy:
            yield model, names


def _rotated(row: models.Model, name: str, dry_run: bool) -> StoredSecret:
    value: StoredCredential = getattr(row, name)
    if has_first_key(value.stored):
        return StoredSecret(what=_what(row, name), result="current")
    try:
        new = reencrypted(value.stored)
    except CredentialsUnreadable:
        return StoredSecret(what=_what(row, name), result="unreadable")
    if not dry_run:
        # Compared with what was read, for databases that know no row locks.
        type(row)._default_manager.filter(pk=row.pk, **{name: value}).update(**{name: StoredCredential(new)})
    return StoredSecret(what=_what(row, name), result="rotated")


def _can_be_read(value: StoredCredential) -> bool:
    try:
        value.reveal()
    except CredentialsUnreadable:
        return False
    return True


def _what(row: models.Model, name: str) -> str:
    return f"{row._meta.verbose_name} '{row}': {name.replace('_', ' ')}"
