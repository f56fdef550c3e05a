"""What all rows have that one worker at a time holds."""

from __future__ import annotations

from django.db import models


class Leased(models.Model):
    """Held by `lease_worker` until `lease_until`; each new holder raises the token, and an older one writes nothing."""

    lease_worker = models.CharField(max_length=100, blank=True, editable=False)
    lease_token = models.PositiveBigIntegerField(default=0, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
