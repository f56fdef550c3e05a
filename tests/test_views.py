"""The gallery and an asset's page, in this project and in a site that gives nothing but the include()."""

import re

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils import translation
from django.utils.translation import trans_real

from mediagen.models import Rendition, asset_storage
from mediagen.studio.library import gallery
from mediagen.templatetags.mediagen import picture_url, thumbnail_url
from mediagen.types import uuid7
from tests import pictures
from tests.factories import (
    GenerationAttemptFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
    MediaTagFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

GALLERY = "/mediagen/"


@pytest.fixture
def reader(client):
    """A client of somebody who may look at pictures, and has no business in the admin."""
    client.user = UserFactory(may=["view_mediaasset"], is_staff=False)
    client.force_login(client.user)
    return client


def shown(response):
    assert response.status_code == 200
    return response.context["assets"]


# ---------------------------------------------------------------------- who


@pytest.mark.parametrize("name", ["gallery", "asset", "asset-file"])
def test_strangers_are_asked_to_sign_in(client, settings, name):
    settings.LOGIN_URL = "/who-are-you/"
    args = [] if name == "gallery" else [MediaAssetFactory(ready=True).pk]
    address = reverse(f"mediagen:{name}", args=args)

    response = client.get(address)

    assert response.status_code == 302
    assert response.url == f"/who-are-you/?next={address}"


@pytest.mark.parametrize("name", ["gallery", "asset", "asset-file"])
def test_the_permission_to_view_assets_is_needed(client, name):
    client.force_login(UserFactory(is_staff=True))
    args = [] if name == "gallery" else [MediaAssetFactory(ready=True).pk]

    answer = client.get(reverse(f"mediagen:{name}", args=args))

    assert answer.status_code == 403
    if name != "asset-file":
        assert "To the start page" in answer.content.decode()


@pytest.mark.parametrize("name", ["asset", "asset-file"])
def test_foreign_deleted_and_missing_assets_are_one_and_the_same(reader, name):
    foreign = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
    deleted = MediaAssetFactory(ready=True, status="deleted")

    answers = {reader.get(reverse(f"mediagen:{name}", args=[pk])).content for pk in (foreign.pk, deleted.pk, uuid7())}

    assert len(answers) == 1
    assert reader.get(reverse(f"mediagen:{name}", args=[foreign.pk])).status_code == 404


def test_the_gallery_has_only_what_the_user_may_see(reader):
    mine = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=reader.user))
    hidden = MediaLibraryFactory(owner=UserFactory(), name="Hidden")
    MediaAssetFactory(ready=True, library=hidden)
    MediaAssetFactory(ready=True, status="deleted")

    response = reader.get(GALLERY)

    assert shown(response) == [mine]
    assert "Hidden" not in response.content.decode()
    assert reader.get(GALLERY, {"library": hidden.pk}).status_code == 404
    assert reader.get(GALLERY, {"library": uuid7()}).status_code == 404


# ---------------------------------------------------------------------- gallery


def test_an_empty_gallery_says_how_pictures_come(reader):
    text = reader.get(GALLERY).content.decode()

    assert "No pictures yet" in text
    assert "as soon as somebody asks for one" in text


def test_a_search_without_hits_leads_back(reader):
    MediaAssetFactory()

    text = reader.get(GALLERY, {"q": "elephant"}).content.decode()

    assert "Nothing matches" in text
    assert f'href="{reverse("mediagen:studio")}">Show all pictures</a>' in text


def test_every_state_is_shown_well(reader):
    ready = MediaAssetFactory(ready=True, alt_text="A lighthouse & fog")
    MediaAssetFactory(placeholder=True, prompt="a drawn one")
    MediaAssetFactory(failed=True, prompt="nobody drew this")
    MediaAssetFactory(prompt="still to come")
    MediaAssetFactory(prompt="called off", generation_state="cancelled")

    text = reader.get(GALLERY).content.decode()

    found = text.split('<li class="mediagen-tile')[1:]
    tiles = {re.search(r'mediagen-caption"[^>]*>([^<]*)', tile).group(1): tile for tile in found}
    assert (
        f'<img src="{thumbnail_url(ready, 640).replace("&", "&amp;")}" alt="A lighthouse &amp; fog"'
        in tiles[str(ready)]
    )
    assert "placeholder" in tiles["a drawn one"]
    assert "No picture" in tiles["nobody drew this"]
    assert "pending" in tiles["still to come"]
    assert "cancelled" in tiles["called off"]
    assert all("<img" not in tiles[name] for name in ("nobody drew this", "still to come", "called off"))


def test_it_is_narrowed_by_library_state_and_words(reader):
    shelf = MediaLibraryFactory(name="Shelf")
    one = MediaAssetFactory(library=shelf, prompt="a red harbour")
    two = MediaAssetFactory(failed=True, library=shelf)
    three = MediaAssetFactory(prompt="a blue harbour")
    three.tags.add(MediaTagFactory(name="Campaign"))

    assert shown(reader.get(GALLERY, {"library": shelf.pk})) == [two, one]
    assert shown(reader.get(GALLERY, {"state": "failed"})) == [two]
    assert shown(reader.get(GALLERY, {"q": "harbour"})) == [three, one]
    assert shown(reader.get(GALLERY, {"q": "campaign"})) == [three]
    assert shown(reader.get(GALLERY, {"q": "harbour", "library": shelf.pk})) == [one]
    page = reader.get(GALLERY, {"q": 'har"b', "state": "pending"}).content.decode()
    assert 'value="har&quot;b"' in page
    assert '<option value="pending" selected>' in page


@pytest.mark.parametrize(
    "query", [{"state": "lost"}, {"before": "7"}, {"library": "x"}, {"q": "x" * 201}, {"q": "\x00"}]
)
def test_a_broken_address_is_no_page(reader, query):
    assert reader.get(GALLERY, query).status_code == 404


def test_pages_are_walked_by_the_last_id(reader, monkeypatch):
    monkeypatch.setattr(gallery, "PAGE", 2)
    assets = [MediaAssetFactory(prompt="a pier") for _ in range(5)]
    newest = assets[::-1]

    first = reader.get(GALLERY, {"q": "pier"})
    MediaAssetFactory(prompt="a pier that came meanwhile")
    second = reader.get(first.context["older"])
    third = reader.get(second.context["older"])

    assert [*shown(first), *shown(second), *shown(third)] == newest
    assert first.context["older"] == f"{GALLERY}?q=pier&before={newest[1].pk}"
    assert third.context["older"] == ""
    assert second.context["newest"] == f"{GALLERY}?q=pier"
    assert first.context["newest"] == ""
    assert 'rel="next"' in first.content.decode()


def test_a_page_behind_the_last_one_is_empty_and_leads_back(reader):
    first = MediaAssetFactory()

    text = reader.get(GALLERY, {"before": first.pk}).content.decode()

    assert "There is nothing older" in text
    assert f'<a href="{GALLERY}">Newest</a>' in text


def test_a_page_of_many_takes_the_queries_of_a_page_of_few(reader):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            reader.get(GALLERY)
        return [query["sql"] for query in captured]

    for _ in range(3):
        MediaAssetFactory(ready=True)
    few = queries()
    for _ in range(27):
        MediaAssetFactory(ready=True)

    assert len(queries()) == len(few) <= 8
    assert not [sql for sql in few if "COUNT(" in sql]


# ---------------------------------------------------------------------- one asset


def test_the_page_of_an_asset_tells_its_story(reader):
    asset = MediaAssetFactory(
        ready=True,
        prompt="a lighthouse\nin two lines",
        seed=7,
        fit_report={"seed": {"asked": 7, "honoured": False, "why": "flux has no seed"}},
    )
    asset.tags.add(MediaTagFactory(name="Spring"))
    GenerationAttemptFactory(asset=asset, rate_limited=True, position=1)
    GenerationAttemptFactory(asset=asset, unknown=True, position=2)

    text = reader.get(reverse("mediagen:asset", args=[asset.pk])).content.decode()

    for words in (
        f'<img src="{file_of(asset)}"',
        "a lighthouse\nin two lines",
        "$0.03",
        'PNG, <bdi dir="ltr">64×48</bdi>',
        "flux has no seed",
        "Spring",
        "rate limited",
        "HTTP 429",
        "up to $0.04",
        str(asset.pk),
    ):
        assert words in text, words
    assert "/admin/" not in text


def test_the_page_of_a_failed_one_says_why(reader):
    asset = MediaAssetFactory(failed=True)

    text = reader.get(reverse("mediagen:asset", args=[asset.pk])).content.decode()

    assert "Why there is no picture" in text
    assert "sdxl: unavailable: it did not answer." in text
    assert "Nobody was asked yet" in text


def test_an_asset_without_anything_has_a_page(reader):
    asset = MediaAssetFactory(prompt="", name="", parameters={})

    assert reader.get(reverse("mediagen:asset", args=[asset.pk])).status_code == 200


def test_staff_find_their_way_into_the_admin(client):
    client.force_login(UserFactory(may=["view_mediaasset"], is_staff=True))
    asset = MediaAssetFactory()

    text = client.get(reverse("mediagen:asset", args=[asset.pk])).content.decode()

    assert f'href="/admin/mediagen/mediaasset/{asset.pk}/change/"' in text


def test_a_page_takes_few_queries_whatever_its_story(reader):
    asset = MediaAssetFactory(ready=True)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            reader.get(reverse("mediagen:asset", args=[asset.pk]))
        return len(captured)

    few = queries()
    for number in range(20):
        GenerationAttemptFactory(asset=asset, skipped=True)
        asset.tags.add(MediaTagFactory(name=f"tag {number}"))

    assert queries() == few <= 12


# ---------------------------------------------------------------------- the file


def file_of(asset):
    return reverse("mediagen:asset-file", args=[asset.pk])


def test_a_file_is_sent_as_what_it_is_and_to_nobody_else(reader):
    asset = MediaAssetFactory(ready=True)

    response = reader.get(file_of(asset))

    assert response.content == pictures.png()
    assert response["Content-Type"] == "image/png"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert response["Cache-Control"] == "private, no-cache"
    assert reader.get(file_of(asset), headers={"if-none-match": response["ETag"]}).status_code == 304
    assert reader.head(file_of(asset)).status_code == 200


def test_a_file_of_an_unknown_format_is_not_shown_but_saved(reader):
    asset = MediaAssetFactory(ready=True, content=pictures.svg(), format="svg")

    response = reader.get(file_of(asset))

    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment")


def test_without_a_file_there_is_no_page_of_it(reader):
    lost = MediaAssetFactory(ready=True)
    lost.file.storage.delete(lost.file.name)

    assert reader.get(file_of(lost)).status_code == 404
    assert reader.get(file_of(MediaAssetFactory(failed=True))).status_code == 404


def test_a_picture_comes_from_our_view_and_from_the_storage_where_the_site_says_so(settings):
    asset = MediaAssetFactory(ready=True)
    assert picture_url(asset) == file_of(asset)

    settings.MEDIAGEN = {"SERVE_FILES": "storage"}
    assert picture_url(asset) == f"/media/{asset.file.name}"

    settings.MEDIA_URL = ""
    assert picture_url(asset) == file_of(asset)

    assert [of(nothing) for of in (picture_url, thumbnail_url) for nothing in (MediaAssetFactory(), None)] == [""] * 4


def test_a_rendition_is_fetched_from_the_storage_where_the_site_says_so(reader, settings):
    settings.MEDIAGEN = {"SERVE_FILES": "storage"}
    asset = MediaAssetFactory(ready=True)
    response = reader.get(thumbnail_url(asset, 32))
    made = Rendition.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/media/{made.file.name}")

    settings.MEDIA_URL = ""  # a storage without addresses
    assert reader.get(thumbnail_url(asset, 32)).status_code == 200


def test_a_storage_that_cannot_say_an_address_does_not_break_a_page(reader, monkeypatch, caplog, settings):
    settings.MEDIAGEN = {"SERVE_FILES": "storage"}
    asset = MediaAssetFactory(ready=True)

    def fail(name):
        raise RuntimeError("text that may hold a signature")

    monkeypatch.setattr(asset_storage(), "url", fail)

    assert reader.get(reverse("mediagen:asset", args=[asset.pk])).status_code == 200
    assert "RuntimeError" in caplog.text
    assert "signature" not in caplog.text


def test_a_storage_without_addresses_is_stood_in_for(monkeypatch, settings):
    settings.MEDIAGEN = {"SERVE_FILES": "storage"}
    asset = MediaAssetFactory(ready=True)

    def fail(name):
        raise NotImplementedError("subclasses of Storage must provide a url() method")

    monkeypatch.setattr(asset_storage(), "url", fail)

    assert picture_url(asset) == file_of(asset)


# ---------------------------------------------------------------------- as a guest in another site


FOREIGN_HOST = {
    "ROOT_URLCONF": "tests.test_views",
    # What startproject writes, and not even that: no folder of templates, no media, no context processors, no messages.
    "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    "MEDIA_URL": "",
    "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "mediagen"],
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
}
urlpatterns = [path("media-library/", include("mediagen.urls"))]


@pytest.fixture
def foreign_host():
    """A site that has the app, the include() and nothing else."""
    with override_settings(**FOREIGN_HOST):
        yield


def test_the_pages_work_in_a_site_that_gives_them_nothing(foreign_host, client):
    client.force_login(UserFactory(may=["view_mediaasset"], is_staff=True))
    asset = MediaAssetFactory(ready=True)
    GenerationAttemptFactory(asset=asset)
    MediaAssetFactory(failed=True)

    gallery = client.get("/media-library/")
    own = client.get(f"/media-library/assets/{asset.pk}/")
    (picture,) = re.findall(r'<img src="([^"]*/file/)"', own.content.decode())

    assert gallery.status_code == own.status_code == 200
    assert picture == f"/media-library/assets/{asset.pk}/file/"
    assert client.get(picture).content == pictures.png()
    assert "/admin/" not in gallery.content.decode()


def test_a_site_may_bring_its_own_frame(reader, tmp_path, settings):
    folder = tmp_path / "templates" / "mediagen"
    folder.mkdir(parents=True)
    (folder / "base.html").write_text("<html><body>OUR FRAME {% block content %}{% endblock %}</body></html>")
    engine = settings.TEMPLATES[0]
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path / "templates", *engine["DIRS"]]}]

    text = reader.get(GALLERY).content.decode()

    assert "OUR FRAME" in text
    assert "No pictures yet" in text


def test_the_pages_ask_nothing_of_other_hosts_and_have_nothing_inline(reader):
    asset = MediaAssetFactory(ready=True)
    GenerationAttemptFactory(asset=asset)

    text = (
        reader.get(GALLERY).content.decode() + reader.get(reverse("mediagen:asset", args=[asset.pk])).content.decode()
    )

    assert not re.findall(r"(?:https?:)?//[a-z]", text)
    assert not re.findall(r"<style| style=| on\w+=", text)
    assert set(re.findall(r"<script.*?</script>", text, re.DOTALL)) == {
        '<script type="module" src="/static/mediagen/studio/studio.js"></script>'
    }
    assert 'href="/static/mediagen/mediagen.css"' in text
    for landmark in ("<header", "<nav aria-label=", '<main id="content"', "<h1>", 'href="#content"', 'lang="en'):
        assert landmark in text


def test_the_texts_can_be_translated(reader, monkeypatch):
    """What the pages say goes through gettext: with a catalogue that shouts, they shout."""
    asset = MediaAssetFactory(failed=True, prompt="DATA", name="", library=MediaLibraryFactory(name="DATA"))
    GenerationAttemptFactory(asset=asset, rate_limited=True, message="DATA")
    real = trans_real.gettext

    def shouted(message):
        return re.sub(r"%\(\w+\)[SD]", lambda place: place[0].lower(), real(message).upper())

    monkeypatch.setattr(translation._trans, "gettext", shouted)

    text = reader.get(GALLERY).content.decode()

    for words in ("Media library", "All libraries", "No picture", "Show"):
        assert words not in text
        assert words.upper() in text


def test_nobody_is_not_a_user_who_may():
    request = RequestFactory().get(GALLERY)
    request.user = AnonymousUser()

    assert gallery.GalleryView.as_view()(request).status_code == 302
