"""API tokens in the admin: the text on one page, once; nobody else's tokens anywhere."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.urls import reverse

from mediagen.engine.library import tokens
from mediagen.models import ApiToken
from mediagen.types import uuid7
from tests.admin.conftest import act, page, said
from tests.factories import MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

MAY = ("view_apitoken", "add_apitoken", "change_apitoken")


def post(client, name, token):
    return client.post(reverse(f"admin:mediagen_apitoken_{name}", args=[token.pk]))


def text_in(response):
    found = re.findall(r"mgt_[\w-]{20,}", response.content.decode())
    assert len(found) == 1
    return found[0]


def make(client, **values):
    return client.post(page("apitoken", "add"), {"name": "shop", "scopes": ["read", "generate"], **values})


def test_the_text_is_on_the_page_that_answers_and_on_no_other(signed_in):
    client = signed_in(*MAY, "view_mediaasset")
    response = make(client)
    text = text_in(response)
    token = ApiToken.objects.get()

    assert tokens.authenticate(text) == token
    assert (token.user, token.scopes, token.library) == (client.user, ["read", "generate"], None)
    assert "no-store" in response["Cache-Control"]
    pages = [page("apitoken"), page("apitoken", "change", token.pk), page("apitoken", "history", token.pk), "/admin/"]
    seen = "".join(client.get(address).content.decode() for address in pages)
    seen += repr(list(LogEntry.objects.values())) + repr([session.get_decoded() for session in Session.objects.all()])
    assert text not in seen
    assert f"ends in {text[-4:]}" in seen


def test_a_new_text_ends_the_old_one(signed_in):
    client = signed_in(*MAY)
    old = text_in(make(client))
    token = ApiToken.objects.get()
    new = text_in(post(client, "rotate", token))

    assert tokens.authenticate(old) is None
    assert tokens.authenticate(new) == token
    assert client.get(reverse("admin:mediagen_apitoken_rotate", args=[token.pk])).status_code == 405


def test_revoked_by_button_and_by_action(signed_in):
    client = signed_in(*MAY)
    first, second = (tokens.issue(client.user, name).token for name in ("a", "b"))
    post(client, "revoke", first)
    response = act(client, "apitoken", "revoke", second.pk)

    assert said(response)[-1] == "1 token was revoked."
    assert not ApiToken.objects.valid().exists()
    assert "Make a new text" not in client.get(page("apitoken", "change", first.pk)).content.decode()


def test_nobody_sees_or_ends_a_token_of_somebody_else(signed_in):
    other = tokens.issue(UserFactory(), "theirs").token
    client = signed_in(*MAY)

    assert "theirs" not in client.get(page("apitoken")).content.decode()
    assert client.get(page("apitoken", "change", other.pk)).status_code == 302
    for name in ("rotate", "revoke"):
        missing = client.post(reverse(f"admin:mediagen_apitoken_{name}", args=[uuid7()]))
        assert post(client, name, other).status_code == missing.status_code == 404
    act(client, "apitoken", "revoke", other.pk)
    assert tokens.state(ApiToken.objects.get(pk=other.pk)) == "valid"
    assert "theirs" in signed_in(is_superuser=True).get(page("apitoken")).content.decode()


def test_who_may_only_look_can_only_look(signed_in):
    client = signed_in("view_apitoken")
    token = tokens.issue(client.user, "mine").token

    assert make(client).status_code == 403
    assert post(client, "rotate", token).status_code == 404
    assert "Make a new text" not in client.get(page("apitoken", "change", token.pk)).content.decode()


def test_only_a_superuser_makes_a_token_for_somebody_else(signed_in):
    other = UserFactory()
    make(signed_in(*MAY), user=other.pk)
    assert not ApiToken.objects.filter(user=other).exists()

    make(signed_in(is_superuser=True), user=other.pk)
    assert ApiToken.objects.filter(user=other).exists()


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"expires_at_0": "2001-01-01", "expires_at_1": "00:00"},
        {"library": "foreign"},
        {"library": "nonsense"},
    ],
)
def test_a_wrong_form_comes_back_with_the_reason(signed_in, values):
    if values.get("library") == "foreign":
        values = {"library": MediaLibraryFactory(owner=UserFactory()).pk}
    response = make(signed_in(*MAY), **values)

    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not ApiToken.objects.exists()


def test_the_token_with_which_somebody_else_made_it_is_not_told_of(signed_in, admin_user):
    client = signed_in(*MAY)
    maker = tokens.issue(admin_user, "of the superuser", scopes=["read", "manage"]).token
    token = tokens.issue(client.user, "given", made_by=maker).token
    own = tokens.issue(client.user, "own", made_by=token).token
    assert "of the superuser" not in client.get(page("apitoken", "change", token.pk)).text
    assert "given" in client.get(page("apitoken", "change", own.pk)).text
