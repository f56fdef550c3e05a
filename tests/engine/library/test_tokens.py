"""API tokens: who may use one, for how long, and that its text is seen once."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core import serializers
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.views.debug import ExceptionReporter
from rest_framework.request import Request

from mediagen.api.authentication import TokenAuthentication
from mediagen.engine.library import tokens
from mediagen.engine.library.access import Access, Right
from mediagen.errors import InvalidRequest
from mediagen.models import ApiToken
from mediagen.models.clock import db_now
from mediagen.secrets import scrub
from tests.factories import MediaLibraryFactory, UserFactory
from tests.overheard import forms_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory(may=["view_mediaasset", "add_mediaasset"])


def test_a_token_signs_its_user_in_and_knows_its_scopes(user):
    issued = tokens.issue(user, " the shop ", scopes=["read", "generate", "read"])
    found = tokens.authenticate(issued.text.reveal())

    assert found is not None
    assert (found.pk, found.user, found.name, found.scopes) == (issued.token.pk, user, "the shop", ["read", "generate"])
    assert Access(found.user, found).has(Right.GENERATE)
    assert not Access(found.user, found).has(Right.CHANGE)


def test_scopes_give_no_right_that_the_user_has_not():
    issued = tokens.issue(UserFactory(), "eager", scopes=["generate"])

    assert not Access(issued.token.user, issued.token).has(Right.GENERATE)


def test_a_token_of_one_library_reaches_no_other(user):
    mine, other = MediaLibraryFactory(), MediaLibraryFactory()
    token = tokens.issue(user, "one", scopes=["generate"], library=mine).token

    assert [Access(user, token).may(Right.GENERATE, library) for library in (mine, other)] == [True, False]


@pytest.mark.parametrize(
    "text", ["", "mgt_", "mgt_nobody", "sk-something", "mgt_\udfff", "mgt_\x00", "mgt_" + "a" * 10_000, "Bearer mgt_x"]
)
def test_what_is_no_token_is_nobody(text):
    assert tokens.authenticate(text) is None


def test_one_letter_more_or_less_is_another_text(user):
    text = tokens.issue(user, "t").text.reveal()

    assert [tokens.authenticate(wrong) for wrong in (text[:-1], f"{text}x", text.upper(), f" {text}")] == [None] * 4


def test_revoked_expired_and_of_nobody(user):
    revoked, expired, kept = (tokens.issue(user, name) for name in ("a", "b", "c"))
    assert tokens.revoke([revoked.token.pk]) == 1
    assert tokens.revoke([revoked.token.pk]) == 0
    ApiToken.objects.filter(pk=expired.token.pk).update(expires_at=db_now() - timedelta(seconds=1))

    found = [tokens.authenticate(issued.text.reveal()) for issued in (revoked, expired, kept)]
    assert found == [None, None, kept.token]
    states = [tokens.state(ApiToken.objects.get(pk=issued.token.pk)) for issued in (revoked, expired, kept)]
    assert states == ["revoked", "expired", "valid"]

    get_user_model().objects.filter(pk=user.pk).update(is_active=False)
    assert tokens.authenticate(kept.text.reveal()) is None


def test_in_a_site_without_time_zones(user, settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    issued = tokens.issue(user, "t", expires_at=db_now() + timedelta(minutes=1))
    assert tokens.authenticate(issued.text.reveal()) == issued.token
    ApiToken.objects.update(expires_at=db_now() - timedelta(minutes=1))
    assert tokens.authenticate(issued.text.reveal()) is None


def test_rotation_ends_the_old_text_at_once(user):
    first = tokens.issue(user, "t", scopes=["generate"])
    second = tokens.rotate(first.token.pk)

    assert tokens.authenticate(first.text.reveal()) is None
    assert tokens.authenticate(second.text.reveal()) == first.token
    assert second.token.hint == second.text.reveal()[-4:]
    tokens.revoke([first.token.pk])
    with pytest.raises(InvalidRequest, match="revoked"):
        tokens.rotate(first.token.pk)


def test_use_is_noted_once_a_minute(user):
    issued = tokens.issue(user, "t")
    text = issued.text.reveal()
    with CaptureQueriesContext(connection) as first:
        tokens.authenticate(text)
    with CaptureQueriesContext(connection) as second:
        tokens.authenticate(text)
    noted = ApiToken.objects.get().last_used_at
    ApiToken.objects.update(last_used_at=noted - timedelta(seconds=61))
    tokens.authenticate(text)

    assert (len(first), len(second)) == (2, 1)
    assert ApiToken.objects.get().last_used_at >= noted


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "  "),
        ("name", "x" * 101),
        ("name", "a\x00b"),
        ("scopes", []),
        ("scopes", ["everything"]),
        ("expires_at", "past"),
        ("library", "foreign"),
    ],
)
def test_what_cannot_be_issued_names_its_field(user, field, value):
    if value == "past":
        value = db_now() - timedelta(seconds=1)
    if value == "foreign":
        value = MediaLibraryFactory(owner=UserFactory())
    with pytest.raises(InvalidRequest) as caught:
        tokens.issue(user, **{"name": "t", field: value})

    assert caught.value.field == field
    assert not ApiToken.objects.exists()


def test_people_see_their_own_and_superusers_all(user):
    mine, other = tokens.issue(user, "a").token, tokens.issue(UserFactory(), "b").token

    assert list(tokens.visible_to(user)) == [mine]
    assert set(tokens.visible_to(UserFactory(is_superuser=True))) == {mine, other}
    assert not tokens.visible_to(UserFactory(is_superuser=True, is_active=False)).exists()


def test_the_text_is_in_no_row_repr_or_dump(user):
    issued = tokens.issue(user, "t")
    text = issued.text.reveal()
    tokens.authenticate(text)
    row = ApiToken.objects.get()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM mediagen_apitoken")
        raw = repr(cursor.fetchall())
    seen = f"{issued!r} {issued} {row!r} {row} {vars(row)!r} {vars(issued.token)!r} {raw} "
    seen += serializers.serialize("json", [row])

    assert not [form for form in forms_of(text) if form in seen]
    assert text not in scrub(f"somebody wrote {text} into a message")


def report_of(request):
    try:
        TokenAuthentication().authenticate(Request(request))
    except ZeroDivisionError:
        reporter = ExceptionReporter(request, *sys.exc_info())
    return reporter.get_traceback_html() + reporter.get_traceback_text()


@pytest.mark.parametrize("where", ["find", "digest"])
def test_the_text_is_in_no_error_report(user, monkeypatch, where):
    """What a site mails to its admins, with the variables of every frame."""
    text = tokens.issue(user, "t").text.reveal()
    if where == "find":
        monkeypatch.setattr(ApiToken.objects.all().__class__, "valid", lambda self: 1 / 0)
    else:
        monkeypatch.setattr("mediagen.models.token.hashlib.sha256", lambda value: 1 / 0)
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {text}"})
    report = report_of(request)
    monkeypatch.undo()

    assert "authenticate" in report
    assert not [form for form in forms_of(text) if form in report]
