"""Where a key comes from, in the admin's words."""

from __future__ import annotations

from django.utils.translation import gettext as _

from mediagen.engine.providers import CredentialState


def credential_text(state: CredentialState) -> str:
    """For people: "set, ends in 1234", "from the environment" ..."""
    if state.source == "stored":
        return _("set, ends in %(ending)s") % {"ending": state.ending} if state.ending else _("set")
    return {
        "connected": _("connected by OAuth"),
        "broken": _("connect it again"),
        "unreadable": _("cannot be decrypted"),
        "environment": _("from the environment"),
        "settings": _("from the settings"),
        "missing": _("not set"),
        "withheld": _("not for this address"),
        "not needed": _("not needed"),
    }[state.source]
