"""Credentials at rest: encrypted with Fernet, decrypted only when somebody asks, shown to nobody."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from django.conf import settings
from django.db import models

from mediagen import conf
from mediagen.errors import CredentialsUnreadable
from mediagen.secrets import Secret

PREFIX = "fernet1:"


def _fernets() -> list[Any]:
    """The first encrypts, all decrypt: MEDIAGEN["ENCRYPTION_KEYS"], or keys derived from the site's SECRET_KEYs."""
    from cryptography.fernet import Fernet

    keys = list(conf.get("ENCRYPTION_KEYS")) or [settings.SECRET_KEY, *getattr(settings, "SECRET_KEY_FALLBACKS", [])]
    # Any text may be a key: it is stretched to Fernet's 32 bytes, in a namespace of its own.
    return [
        Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"mediagen.credentials:" + str(key).encode()).digest()))
        for key in keys
    ]


def webhook_secret(provider_name: str) -> str:
    """The secret a provider is to send back with its webhooks: derived, so that every process of the site knows it."""
    key = (list(conf.get("ENCRYPTION_KEYS")) or [settings.SECRET_KEY])[0]
    return hmac.new(str(key).encode(), f"mediagen.webhook:{provider_name}".encode(), hashlib.sha256).hexdigest()


def encrypt(value: str) -> str:
    token: bytes = _fernets()[0].encrypt(value.encode())
    return PREFIX + token.decode()


def decrypt(stored: str) -> str:
    """The plain value; `CredentialsUnreadable` when none of the keys fits."""
    from cryptography.fernet import InvalidToken, MultiFernet

    try:
        return str(MultiFernet(_fernets()).decrypt(stored.removeprefix(PREFIX)).decode())
    except (InvalidToken, ValueError):
        raise CredentialsUnreadable(
            "A stored credential cannot be decrypted with any configured key. Enter it again, or add the key it was "
            "encrypted with to MEDIAGEN['ENCRYPTION_KEYS'] (or SECRET_KEY_FALLBACKS)."
        ) from None


def has_first_key(stored: str) -> bool:
    """Whether the key that encrypts now has encrypted this."""
    from cryptography.fernet import InvalidToken

    try:
        _fernets()[0].decrypt(stored.removeprefix(PREFIX))
    except (InvalidToken, ValueError):
        return False
    return True


def reencrypted(stored: str) -> str:
    """The same value under the key that encrypts now. `CredentialsUnreadable` as `decrypt`."""
    return encrypt(decrypt(stored))


class StoredCredential:
    """The value of a `CredentialField`: knows whether it is set, and reveals itself only on request."""

    __slots__ = ("stored",)

    def __init__(self, stored: str = "") -> None:
        self.stored = stored
        """cipher text; "" when nothing is set"""

    @classmethod
    def of(cls, value: Any) -> StoredCredential:
        if isinstance(value, StoredCredential):
            return value
        text = value.reveal() if isinstance(value, Secret) else str(value or "").strip()
        if not text or text.startswith(PREFIX):
            return cls(text)
        return cls(encrypt(text))

    def reveal(self) -> Secret:
        """The plain value, wrapped. `CredentialsUnreadable` when it cannot be decrypted."""
        return Secret(decrypt(self.stored) if self.stored else "")

    def describe(self) -> str:
        """For people: "set, ends in 1234", "not set", "cannot be decrypted"."""
        if not self.stored:
            return "not set"
        try:
            value = self.reveal().reveal()
        except CredentialsUnreadable:
            return "cannot be decrypted"
        return f"set, ends in {value[-4:]}" if len(value) >= 12 else "set"

    def __bool__(self) -> bool:
        return bool(self.stored)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredCredential) and self.stored == other.stored

    def __hash__(self) -> int:
        return hash(self.stored)

    def __repr__(self) -> str:
        return "<StoredCredential set>" if self.stored else "<StoredCredential not set>"

    __str__ = __repr__


class _Descriptor:
    """Turns whatever is assigned into a `StoredCredential`, so that no plain value stays on a model instance."""

    def __init__(self, field: CredentialField) -> None:
        self.field = field

    def __get__(self, instance: models.Model | None, owner: type[models.Model]) -> Any:
        if instance is None:
            return self
        if self.field.attname not in instance.__dict__:  # deferred by only() or defer()
            instance.refresh_from_db(fields=[self.field.attname])
        return instance.__dict__[self.field.attname]

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = StoredCredential.of(value)


class CredentialField(models.TextField):  # type: ignore[type-arg]
    """Text, encrypted in the column. Assign the plain value; read a `StoredCredential`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("blank", True)
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        setattr(cls, name, _Descriptor(self))

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> StoredCredential:
        return StoredCredential(value or "")

    def to_python(self, value: Any) -> Any:
        return StoredCredential.of(value)

    def get_prep_value(self, value: Any) -> str:
        stored: str = StoredCredential.of(value).stored
        return stored

    def value_to_string(self, obj: models.Model) -> str:
        """For serializers: the cipher text."""
        return str(self.value_from_object(obj).stored)
