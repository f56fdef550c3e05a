"""manage.py mediagen_token."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from mediagen.engine.library import tokens
from mediagen.models import ApiToken
from tests.factories import MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("mediagen_token", *arguments, stdout=out, stderr=err)
    except CommandError as exc:
        return exc.returncode, out.getvalue(), str(exc)
    return 0, out.getvalue(), err.getvalue()


@pytest.fixture
def anna():
    return UserFactory(username="anna")


def test_standard_output_is_the_token_and_nothing_else(anna):
    MediaLibraryFactory(name="Spring")
    code, out, said = run(
        "create",
        "anna",
        "--name",
        "shop",
        "--scope",
        "read",
        "--scope",
        "generate",
        "--library",
        "Spring",
        "--days",
        "7",
    )
    token = tokens.authenticate(out.removesuffix("\n"))

    assert code == 0
    assert (token.user, token.name, token.scopes, token.library.name) == (anna, "shop", ["read", "generate"], "Spring")
    assert token.expires_at is not None
    assert out.strip() not in said


def test_rotate_revoke_and_list(anna):
    _, first, _ = run("create", "anna")
    token = ApiToken.objects.get()
    code, second, _ = run("rotate", str(token.pk))
    assert code == 0
    assert tokens.authenticate(first.strip()) is None
    assert tokens.authenticate(second.strip()) == token

    assert run("revoke", str(token.pk))[:2] == (0, "1 revoked.\n")
    _, listed, _ = run("list", "anna", "--json")
    facts = json.loads(listed)
    assert (facts["user"], facts["state"], facts["scopes"]) == ("anna", "revoked", ["read"])
    _, plain, _ = run("list")
    for text in (first.strip(), second.strip()):
        assert text not in listed + plain


@pytest.mark.parametrize(
    "arguments",
    [
        ("create",),
        ("create", "nobody"),
        ("create", "anna", "berta"),
        ("create", "anna", "--library", "nowhere"),
        ("create", "anna", "--days", "0"),
        ("create", "anna", "--name", "x" * 101),
        ("rotate", "no-id"),
        ("rotate", "01a20404-8da1-7f3b-a702-9254e98a762d"),
        ("revoke",),
        ("revoke", "01a20404-8da1-7f3b-a702-9254e98a762d"),
        ("list", "nobody"),
    ],
)
def test_bad_usage_ends_with_2_and_says_why(anna, arguments):
    code, out, said = run(*arguments)

    assert (code, out) == (2, "")
    assert len(said) > 20
    assert not ApiToken.objects.exists()


def test_an_empty_list_says_what_to_do():
    assert "create USER" in run("list")[1]
