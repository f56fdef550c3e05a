"""Keys that programs sign in with: the OpenAI-shaped door, the Figma plugin, scripts."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from mediagen.models.clock import db_now
from mediagen.models.library import MediaLibrary
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7

PREFIX = "mgt_"
TEST_PREFIX = "mgt_test_"
STATES = ("valid", "revoked", "expired")
SCOPES = ("read", "generate", "change", "approve", "figma", "manage")


class ApiTokenQuerySet(WriterQuerySet["ApiToken"]):
    def valid(self) -> Self:
        """Neither revoked nor expired, of users who may still sign in."""
        alive = Q(expires_at__isnull=True) | Q(expires_at__gt=db_now())
        return self.filter(alive, revoked_at__isnull=True, user__is_active=True)

    @sensitive_variables()
    def find(self, plain: str) -> ApiToken | None:
        """The valid token of this text, with its user and library; None when there is none. One query, a second one
        for a token that is bound to a library."""
        # Few are, and every request pays for the columns of what is joined. The digest is unique: there is no order.
        token = next(iter(self.valid().filter(digest=digest(plain)).select_related("user").order_by()), None)
        if token is None or token.library_id is None:
            return token
        library = MediaLibrary.objects.filter(pk=token.library_id).first()
        if library is None:
            return None  # it went just now, and the token with it
        token.library = library
        return token

    @sensitive_variables()
    def issue(self, user: Any, name: str, **fields: Any) -> tuple[ApiToken, str]:
        """(the row, the token's text): the text is shown once and stored nowhere."""
        plain = new_text(is_test=fields.get("is_test", False))
        row = self.create(user=user, name=name, digest=digest(plain), hint=plain[-4:], **fields)
        return row, plain


@sensitive_variables()
def new_text(*, is_test: bool = False) -> str:
    """Of a token: 256 random bits behind a word that says whose they are."""
    return (TEST_PREFIX if is_test else PREFIX) + secrets.token_urlsafe(32)


@sensitive_variables()
def digest(plain: str) -> str:
    """SHA-256, hex. No slow hash: the token is 256 random bits, which nobody guesses, and it is looked up each time."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


class ApiToken(models.Model):
    """What its bearer may do is what its user may do, as far as the scopes go."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="media_api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=8, editable=False, help_text=_("Its last characters."))
    scopes = models.JSONField(default=list, help_text=_("read, generate, change, approve, figma, manage"))
    library = models.ForeignKey(
        MediaLibrary,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text=_("Only this library; empty: all that its user may use."),
    )
    is_test = models.BooleanField(
        _("for tests"), default=False, help_text=_("Makes placeholders only, and sends nothing to anybody.")
    )
    made_by = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="+",
        help_text=_("The token with which it was made; it ends with that one."),
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = _("API token")

    def __str__(self) -> str:
        return f"{self.name} (ends in {self.hint})"

    def allows(self, scope: str) -> bool:
        return scope in self.scopes
