"""What those can do who have a signed address, or only guess: few new sizes, a wait, no names of groups."""

import logging

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from mediagen.engine.files import links, renditions
from mediagen.engine.library import strangers
from mediagen.models import MediaLibrary, Rendition
from tests.admin.conftest import page
from tests.api.callers import Caller, problem
from tests.factories import GroupFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

ASSETS = "/api/v1/assets/"


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


# ---------------------------------------------------------------------- signed addresses


def test_whoever_has_an_address_has_few_sizes_made(client, monkeypatch):
    monkeypatch.setattr(renditions, "STRANGERS_MAKE", 2)
    asset, other = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True)
    address = links.signed_url(asset)

    assert [client.get(address, {"w": width}).status_code for width in (8, 9, 10, 8)] == [200, 200, 429, 200]
    response = client.get(address, {"w": 11})
    assert response["Content-Type"] == "application/problem+json"
    assert int(response["Retry-After"]) > 0
    assert client.get(links.signed_url(other), {"w": 10}).status_code == 200
    assert Rendition.objects.filter(asset=asset).count() == 2

    client.force_login(UserFactory(may=["view_mediaasset"]))
    assert client.get(reverse("mediagen:asset-rendition", args=[asset.pk]), {"w": 12}).status_code == 200


@pytest.mark.parametrize(
    ("settings_", "origin", "allowed"),
    [
        ({}, "https://app.example", None),
        ({"LINK_ORIGINS": ["https://app.example"]}, "https://app.example", "https://app.example"),
        ({"LINK_ORIGINS": ["https://app.example"]}, "https://evil.example", None),
        ({"LINK_ORIGINS": ["*"]}, "https://evil.example", "*"),
    ],
)
def test_scripts_of_other_pages_read_what_the_site_lets_them(client, settings, settings_, origin, allowed):
    settings.MEDIAGEN = {**settings.MEDIAGEN, **settings_, "LINK_RESOURCE_POLICY": "same-site"}
    asset = MediaAssetFactory(ready=True)
    for address in (links.signed_url(asset), links.signed_url(asset)[:-3] + "x/"):
        response = client.get(address, headers={"Origin": origin})
        assert response.get("Access-Control-Allow-Origin") == allowed
    assert client.get(links.signed_url(asset))["Cross-Origin-Resource-Policy"] == "same-site"


def test_files_for_signed_in_people_are_for_this_origin_only(client, settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "LINK_ORIGINS": ["*"]}
    client.force_login(UserFactory(may=["view_mediaasset"], is_staff=False))
    asset = MediaAssetFactory(ready=True)
    for name in ("asset-file", "asset-rendition"):
        response = client.get(reverse(f"mediagen:{name}", args=[asset.pk]), headers={"Origin": "https://a.example"})
        assert response["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in response


# ---------------------------------------------------------------------- wrong ones in series


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (ASSETS, {"Authorization": "Bearer mgt_wrong"}),
        ("/api/v1/openai/v1/models", {"Authorization": "Bearer mgt_wrong"}),
        ("/api/v1/files/wrong/", {}),
    ],
)
def test_wrong_tokens_in_series_wait_and_are_logged_once(path, wrong, monkeypatch, caplog):
    monkeypatch.setattr(strangers, "MOST", 3)
    client = Client(headers=wrong)
    caplog.set_level(logging.WARNING, "mediagen.security")

    codes = [client.get(path).status_code for _ in range(6)]

    assert (codes[2] in (401, 403), codes[3:]) == (True, [429] * 3)
    assert int(client.get(path)["Retry-After"]) > 0
    (record,) = [one for one in caplog.records if one.name == "mediagen.security"]
    assert "127.0.0.1" in record.getMessage()
    assert "wrong/" not in record.getMessage()
    assert "mgt_" not in record.getMessage()
    assert Caller().get(ASSETS).status_code == 200  # a right one, from the same address


# ---------------------------------------------------------------------- names of groups

MAY = ["view_mediaasset", "view_medialibrary", "add_medialibrary", "change_medialibrary"]


def share(caller, *names):
    return caller.send("/api/v1/libraries/", {"name": f"of {names}", "viewer_groups": list(names)})


def test_no_group_is_told_to_exist():
    hidden, own = GroupFactory(name="merger-2027"), GroupFactory(name="mine")
    caller = Caller(UserFactory(may=MAY))
    caller.user.groups.add(own)

    there, not_there = share(caller, hidden.name), share(caller, "merger-2028")

    assert (problem(there), problem(not_there)) == ("invalid", "invalid")
    assert there.json()["detail"] == not_there.json()["detail"].replace("2028", "2027")
    assert share(caller, "mine").status_code == 201


def test_who_may_see_groups_may_name_them():
    hidden = GroupFactory()
    assert share(Caller(UserFactory(may=[*MAY, "auth.view_group"])), hidden.name).status_code == 201


def test_groups_that_a_library_has_stay(client):
    group = GroupFactory()
    owner = UserFactory(may=MAY, is_staff=True)
    library = MediaLibraryFactory(owner=owner)
    library.viewer_groups.add(group)
    GroupFactory(name="hidden-group")

    response = Caller(owner).send(f"/api/v1/libraries/{library.pk}/", {"viewer_groups": [group.name]}, "patch")
    assert response.status_code == 200

    client.force_login(owner)
    text = client.get(page("medialibrary", "change", library.pk)).content.decode()
    assert group.name in text
    assert "hidden-group" not in text
    assert MediaLibrary.objects.get(pk=library.pk).viewer_groups.get() == group


# ---------------------------------------------------------------------- pages


def test_private_pages_have_a_policy(client, settings):
    client.force_login(UserFactory(may=["view_mediaasset"], is_staff=False))
    asset = MediaAssetFactory(ready=True)
    pages = [reverse("mediagen:studio"), reverse("mediagen:asset", args=[asset.pk]), "/api/v1/docs/"]
    for path in pages:
        policy = client.get(path)["Content-Security-Policy"]
        assert "default-src 'self';" in policy
        assert "unsafe" not in policy

    settings.STATIC_URL = "https://cdn.example/static/"
    assert "default-src 'self' https://cdn.example;" in client.get(pages[0])["Content-Security-Policy"]
    settings.MEDIAGEN = {**settings.MEDIAGEN, "PAGES_CSP": None}
    assert "Content-Security-Policy" not in client.get(pages[0])


# ---------------------------------------------------------------------- a site where everything needs a sign-in


def test_what_is_for_strangers_stays_so_where_the_site_asks_everybody_to_sign_in(settings, client):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    asset = MediaAssetFactory(ready=True, status="published")
    assert client.get(links.signed_url(asset)).status_code == 200
    assert client.get(links.page_url(asset, None)).status_code == 200
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code in (200, 503)
    assert client.post(reverse("mediagen:webhook", args=["sdxl"])).status_code in (403, 404)
    assert client.get(reverse("mediagen:asset-file", args=[asset.pk])).status_code == 302
