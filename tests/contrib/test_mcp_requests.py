"""Requests that a tool sends to our own API: in the name of whoever asked, and with no more than they have."""

from __future__ import annotations

import pytest
from django.urls import include, path
from rest_framework.response import Response

from mediagen.api.base import AsyncAPIView
from mediagen.contrib.mcp.inner import ask
from tests.api.callers import EVERYTHING, Caller
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class Outer(AsyncAPIView):
    """As the endpoint, without the protocol around it."""

    rights = {"POST": None}

    async def post(self, request):
        answer = await ask(request._request, "GET", "assets")
        return Response({"status": answer.status, **answer.json()})


urlpatterns = [path("outer/", Outer.as_view()), path("api/v1/", include("mediagen.api.urls"))]


@pytest.fixture
def owner():
    user = UserFactory(may=EVERYTHING, is_staff=False)
    for _ in range(2):
        MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=user))
    return user


@pytest.mark.parametrize("first", ["token", "session"])
def test_a_token_of_one_library_reads_no_other_in_whichever_order_callers_are_asked_who_they_are(
    first, settings, owner
):
    ways = {
        "token": "mediagen.api.authentication.TokenAuthentication",
        "session": "rest_framework.authentication.SessionAuthentication",
    }
    settings.MEDIAGEN = {"API_AUTHENTICATION": sorted(ways.values(), key=lambda way: way != ways[first])}
    library = owner.media_libraries.first()
    told = Caller(owner, library=library).send("/outer/", {}).json()
    assert [asset["library"] for asset in told["results"]] == [str(library.pk)]


def test_somebody_who_is_signed_in_reads_all_that_is_theirs(client, owner):
    client.force_login(owner)
    answer = client.post("/outer/", {}, content_type="application/json", headers={"if-none-match": "*"})
    assert len(answer.json()["results"]) == 2


@pytest.mark.urls("tests.outside.mcp_urls")
@pytest.mark.filterwarnings("default")
def test_a_body_that_is_too_large_is_refused(settings):
    pytest.importorskip("mcp")
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert Caller().send("/mcp/", {"jsonrpc": "2.0", "method": "x" * 100}).status_code == 413
