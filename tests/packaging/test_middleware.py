"""config/middleware.py and config/static_files.py: Django's steps, without a thread where nothing waits."""

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.urls import include, path

from config import middleware

pytestmark = pytest.mark.django_db


def plain(request):
    return HttpResponse("plain")


def note(request):
    request.session["seen"] = request.session.get("seen", 0) + 1
    messages.info(request, "noted")
    return HttpResponse(str(request.session["seen"]))


def told(request):
    return HttpResponse(", ".join(str(message) for message in messages.get_messages(request)))


def who(request):
    return HttpResponse(request.user.get_username())


urlpatterns = [
    path("plain/", plain),
    path("note/", note),
    path("told/", told),
    path("who/", who),
    path("", include("config.urls")),
]


@pytest.fixture(params=[Client, AsyncClient], ids=["wsgi", "asgi"])
def get(request, settings):
    """The answer to a GET of one and the same visitor, through the project's middleware."""
    settings.ROOT_URLCONF = __name__
    client = request.param()

    def ask(address):
        return async_to_sync(client.get)(address) if isinstance(client, AsyncClient) else client.get(address)

    ask.client = client
    return ask


def test_sessions_and_messages_are_kept(get):
    assert get("/note/").content == b"1"
    again = get("/note/")
    assert again.content == b"2"
    assert "Cookie" in again["Vary"]

    assert get("/told/").content == b"noted, noted"
    assert get("/told/").content == b""


def test_a_visitor_who_has_signed_in_is_known(get):
    get.client.force_login(get_user_model().objects.create_user("ann"))

    assert get("/who/").content == b"ann"


def test_the_answer_is_the_same_as_on_a_synchronous_server(settings):
    settings.ROOT_URLCONF = __name__
    sync, asgi = Client().get("/plain/"), async_to_sync(AsyncClient().get)("/plain/")

    assert sync.content == asgi.content == b"plain"
    assert dict(sync.items()) == dict(asgi.items())
    assert async_to_sync(AsyncClient().get)("/plain")["Location"] == "/plain/"


def test_what_waits_for_nothing_takes_no_thread(settings, monkeypatch):
    settings.ROOT_URLCONF = __name__
    taken = []

    def noted(function):
        taken.append(function.__qualname__)

        async def run(*args):
            return function(*args)

        return run

    monkeypatch.setattr(middleware, "sync_to_async", noted)

    assert async_to_sync(AsyncClient().get)("/plain/").status_code == 200
    assert taken == []


def test_static_files(settings, tmp_path):
    pytest.importorskip("whitenoise")
    from config.static_files import StaticFiles

    (tmp_path / "one.txt").write_text("a file")
    settings.STATIC_ROOT, settings.STATIC_URL = str(tmp_path), "/static/"

    async def passed_on(request):
        return HttpResponse("passed on")

    asgi, wsgi = StaticFiles(passed_on), StaticFiles(lambda request: HttpResponse("passed on"))
    assert iscoroutinefunction(asgi)
    assert not iscoroutinefunction(wsgi)

    for address, said in (("/static/one.txt", b"a file"), ("/other/", b"passed on")):
        answers = [
            async_to_sync(asgi)(AsyncRequestFactory().get(address)),
            wsgi(RequestFactory().get(address)),
        ]
        assert [b"".join(answer) for answer in answers] == [said, said]
        for answer in answers:
            answer.close()
