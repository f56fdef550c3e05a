"""People at the studio, and what a script would ask."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import UserFactory

JSON = {"Accept": "application/json"}


@pytest.fixture
def person():
    """`person("add_mediaasset")` is a client of somebody who may look, and this."""

    def signed_in(*may: str, user=None) -> Client:
        client = Client(headers={})
        client.user = user or UserFactory(may=["view_mediaasset", *may], is_staff=False)
        client.force_login(client.user)
        return client

    return signed_in


@pytest.fixture
def maker(person):
    return person("add_mediaasset")


@pytest.fixture
def boss(person):
    """Somebody who may do everything in the libraries that they may use."""
    return person("add_mediaasset", "change_mediaasset", "approve_mediaasset", "delete_mediaasset")
