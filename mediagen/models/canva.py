"""The site's connection to a Canva account, made by OAuth in the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from mediagen.models.fields import CredentialField
from mediagen.models.writer import WriterQuerySet


class CanvaConnectionQuerySet(WriterQuerySet["CanvaConnection"]):
    def claim(self, pk: Any, *, version: int, lease_s: float) -> bool:
        """Take the right to refresh, if the tokens still are those of `version` and nobody else is at it.

        One conditional UPDATE, which locks the row on every database. Whoever has it holds `version` + 1. No
        transaction is kept open meanwhile, because Canva may take its time; a claim whose holder died runs out.
        """
        free = Q(refreshing_until__isnull=True) | Q(refreshing_until__lt=Now())
        until = Now() + timedelta(seconds=lease_s)
        return bool(self.filter(free, pk=pk, version=version).update(version=F("version") + 1, refreshing_until=until))

    def held(self, pk: Any, version: int) -> Any:
        """The row, as long as nobody has claimed or changed it since `version`."""
        return self.filter(pk=pk, version=version)


class CanvaConnection(models.Model):
    """Tokens of one Canva account for one provider of the chain. A refresh token works once: refresh under a claim."""

    provider = models.OneToOneField(
        "mediagen.ProviderConfig", on_delete=models.CASCADE, related_name="canva_connection"
    )
    client_id = models.CharField(max_length=255, blank=True, help_text=_("Of the integration in Canva's portal."))
    client_secret = CredentialField(help_text=_("Encrypted. Empty: the environment's is used."))
    base_url = models.CharField(
        max_length=500,
        blank=True,
        editable=False,
        help_text=_("Where secret and tokens belong; nobody else gets them."),
    )
    access_token = CredentialField()
    refresh_token = CredentialField()
    scopes = models.TextField(blank=True)
    account = models.CharField(max_length=255, blank=True, help_text=_("Whose it is, as Canva names them."))
    expires_at = models.DateTimeField(null=True, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveBigIntegerField(
        default=0, editable=False, help_text=_("Grows with every claim and change of the tokens.")
    )
    refreshing_until = models.DateTimeField(null=True, blank=True, editable=False)
    broken = models.TextField(blank=True, help_text=_("Why it has to be connected again; empty: it works."))
    connected_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CanvaConnectionQuerySet.as_manager()

    class Meta:
        verbose_name = _("Canva connection")

    def __str__(self) -> str:
        return self.account or "Canva"

    @property
    def is_connected(self) -> bool:
        """Whether an account was connected; it may be broken since."""
        return bool(self.refresh_token)
