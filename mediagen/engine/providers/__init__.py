"""The entries of the chain, for those who run a site: order, settings, credentials, health.

Keeps: a credential goes in and is never shown again. `entries`, `description` (what each can do), `health`,
`credentials` (encrypted anew), `canva_account`, `tables` (the vendors' models and prices).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.providers.description import OPERATIONS, ProviderDescription, descriptions
    from mediagen.engine.providers.entries import (
        CredentialState,
        ModelEnd,
        ProviderState,
        arrange,
        credential_state,
        makes_pictures,
        model_end,
        states,
    )
    from mediagen.engine.providers.tables import TableReport, update_tables

__getattr__ = names_from(
    __name__,
    {
        "description": "OPERATIONS ProviderDescription descriptions",
        "entries": "CredentialState ModelEnd ProviderState arrange credential_state makes_pictures model_end states",
        "tables": "TableReport update_tables",
    },
)
