"""A chain of providers that are live, each at its local server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mediagen.models import ProviderConfig
from tests.servers import ProviderServer


@pytest.fixture
def live(provider_servers) -> Callable[..., list[ProviderServer]]:
    """`live("flux", "openai_images")`: these providers alone, live, in this order, each at its local server."""

    def make(*names: str, **values) -> list[ProviderServer]:
        ProviderConfig.objects.exclude(name__in=names).update(enabled=False)
        for position, name in enumerate(names):
            server = provider_servers[name]
            config = ProviderConfig.objects.get(name=name)
            config.base_url, config.credentials, config.dry_run = server.base_url, server.key, False
            config.position = position
            for field, value in values.items():
                setattr(config, field, value)
            config.save()
        return [provider_servers[name] for name in names]

    return make
