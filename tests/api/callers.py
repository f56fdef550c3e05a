"""Clients that ask the API as somebody."""

from __future__ import annotations

from typing import Any

from django.test import Client

from mediagen.models import ApiToken
from tests.factories import UserFactory

EVERYTHING = ["view_mediaasset", "add_mediaasset", "change_mediaasset", "approve_mediaasset", "delete_mediaasset"]

SCOPES = ("read", "generate", "change", "approve")


class Caller(Client):
    """A client with an API token of its user. Answers that are problems have to be whole ones."""

    def __init__(
        self, user: Any = None, *, scopes: tuple[str, ...] = ("read", "generate", "change", "approve"), **kw: Any
    ):
        super().__init__(raise_request_exception=True)
        self.user = user if user is not None else UserFactory(may=EVERYTHING, is_staff=False)
        self.token, plain = ApiToken.objects.issue(self.user, "test", scopes=list(scopes), **kw)
        self.defaults["HTTP_AUTHORIZATION"] = f"Bearer {plain}"

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        if "/openai/" not in request["PATH_INFO"]:  # which refuses in the words of OpenAI's API
            check_problem(response)
        return response

    def send(self, path: str, body: Any, method: str = "post", **headers: str) -> Any:
        """A JSON body to the address."""
        return getattr(self, method)(path, body, content_type="application/json", headers=headers)


def check_problem(response: Any) -> None:
    """What a frontend relies on in every refusal."""
    if response.status_code < 400:
        return
    assert response["Content-Type"] == "application/problem+json", response.content[:500]
    body = response.json()
    assert body["status"] == response.status_code
    assert body["type"].startswith("urn:mediagen:problem:")
    assert body["title"]
    assert len(body["detail"]) > 10


def problem(response: Any) -> str:
    """The code of a refusal."""
    check_problem(response)
    return str(response.json()["type"]).removeprefix("urn:mediagen:problem:")
