"""For the admin's tests: people with few rights, and pages by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from tests.factories import UserFactory


@pytest.fixture
def signed_in() -> Callable[..., Client]:
    """`signed_in("view_mediaasset")`: a client of a member of staff with these permissions; the user is `.user`."""

    def sign_in(*may: str, user: Any = None, **fields: Any) -> Client:
        client = Client()
        client.user = user or UserFactory(may=may, **fields)
        client.force_login(client.user)
        return client

    return sign_in


def page(model: str, name: str = "changelist", pk: Any = None) -> str:
    """The address of an admin page of ours: page("mediaasset", "change", asset.pk)."""
    return reverse(f"admin:mediagen_{model}_{name}", args=[] if pk is None else [pk])


def said(response: Any) -> list[str]:
    """The messages that a page left for the next one."""
    return [str(message) for message in get_messages(response.wsgi_request)]


def act(client: Client, model: str, action: str, *pks: Any, **extra: Any) -> Any:
    """Run an action of a list on these rows."""
    return client.post(page(model), {"action": action, "_selected_action": [str(pk) for pk in pks], **extra})
