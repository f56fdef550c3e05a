"""The dashboard's place in the admin: attempts, looked at as numbers."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from mediagen.models.attempt import GenerationAttempt


class Dashboard(GenerationAttempt):
    """No table and no permissions of its own: whoever may view attempts may view it."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("dashboard")
        verbose_name_plural = _("dashboard")
