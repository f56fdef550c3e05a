"""Tiles that tell what is happening, pages of tiles for a script, and uploads."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mediagen.engine import get_media_engine
from mediagen.engine.library import Access
from mediagen.engine.work import in_server
from mediagen.errors import Unavailable
from mediagen.models import MediaAsset, ProviderConfig
from mediagen.studio.generation import words
from mediagen.studio.library import gallery
from mediagen.types import uuid7
from tests import pictures
from tests.engine.work.working import use_local
from tests.factories import GenerationAttemptFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.images.test_recipes import with_text
from tests.studio.conftest import JSON

pytestmark = pytest.mark.django_db

PROGRESS = reverse("mediagen:studio-progress")
UPLOAD = reverse("mediagen:studio-upload")


def look(client, *assets):
    answer = client.get(PROGRESS, {"id": [getattr(asset, "pk", asset) for asset in assets]}, headers=JSON)
    assert answer.status_code == 200
    return answer.json()


def tile(client, asset):
    return look(client, asset)["tiles"][asset.asset_id]


# ---------------------------------------------------------------------- progress


def test_a_tile_says_who_is_asked_and_who_gave_up(person):
    asset = MediaAssetFactory(generation_state="running")
    began = timezone.now() - timedelta(minutes=5)
    # A run that has ended long ago is not what is happening now.
    GenerationAttemptFactory(asset=asset, refused=True, provider_name="flux", started_at=began)
    GenerationAttemptFactory(asset=asset, unavailable=True, provider_name="sdxl", position=1)
    GenerationAttemptFactory(asset=asset, skipped=True, provider_name="figma_api", position=2)
    GenerationAttemptFactory(asset=asset, in_flight=True, provider_name="openai_images", position=3)

    now = tile(person(), asset)

    assert not now["settled"]
    assert "Asking openai_images" in now["html"]
    assert "sdxl did not deliver" in now["html"]
    assert "flux" not in now["html"]
    assert "figma_api" not in now["html"]


def test_between_two_providers(person):
    asset = MediaAssetFactory(generation_state="running")
    GenerationAttemptFactory(asset=asset, unavailable=True)

    assert "Asking the next provider" in tile(person(), asset)["html"]


def test_one_that_was_put_off_says_why(person):
    asset = MediaAssetFactory(failure="every provider is cooling down\nmore")

    assert "It waits, and is tried again by itself." in tile(person(), asset)["html"]


def test_one_that_nobody_takes_says_what_may_be_wrong(person):
    asset = MediaAssetFactory()
    MediaAsset.objects.update(updated_at=timezone.now() - timedelta(minutes=5))

    assert "Still waiting for a worker; is one running?" in tile(person(), asset)["html"]


def test_one_that_is_being_cancelled_says_so(person):
    asset = MediaAssetFactory(generation_state="running", cancel_requested_at=timezone.now())
    GenerationAttemptFactory(asset=asset, in_flight=True)

    assert "Being cancelled" in tile(person(), asset)["html"]


def test_a_tile_that_is_settled_says_so(person):
    reader = person()
    ready, failed = MediaAssetFactory(ready=True), MediaAssetFactory(failed=True)

    assert tile(reader, ready)["settled"]
    assert "<img" in tile(reader, ready)["html"]
    now = tile(reader, failed)
    assert (now["settled"], now["state"]) == (True, "failed")
    assert "it did not answer" not in now["html"]  # machine words
    assert "data-action" not in now["html"]
    assert "Try again" in tile(person("add_mediaasset"), failed)["html"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("budget", "A budget is used up. Wait for the next period"),
        ("moderation", "Word the prompt differently."),
        ("outage", "Try again in a few minutes."),
        ("misconfigured", "Tell who runs the site"),
    ],
)
def test_a_failure_names_its_cause_and_what_can_be_done(person, code, words):
    asset = MediaAssetFactory(failed=True, failure_code=code, failure="generate_image: noop_media: skipped: x")
    reader = person("add_mediaasset")

    shown = tile(reader, asset)["html"]

    assert words in shown
    assert "noop_media" not in shown
    assert words in reader.get(reverse("mediagen:asset", args=[asset.pk])).content.decode()


def test_an_outage_that_ends_in_a_placeholder_says_so_and_can_be_tried_again(person, settings):
    async def away(prompt):
        raise Unavailable("local: away.")

    use_local(settings, away, PROVIDERS={"local": "tests.engine.work.working.Local"})
    ProviderConfig.objects.filter(name="noop_media").update(enabled=True)
    asset = get_media_engine().generate_asset_from_prompt_sync("A lighthouse")

    shown = tile(person("add_mediaasset"), asset)["html"]

    assert (asset.is_placeholder, asset.dry_run, asset.failure_code) == (True, False, "outage")
    assert "mediagen-stands-in" in shown
    assert "Only a placeholder. The providers could not be reached" in shown
    assert f"/{asset.pk}/renew/" in shown
    dry = MediaAssetFactory(placeholder=True, dry_run=True)
    assert "stands-in" not in tile(person("add_mediaasset"), dry)["html"]


def test_foreign_deleted_and_missing_tiles_are_gone_alike(person):
    foreign = MediaAssetFactory(library=MediaLibraryFactory(owner=UserFactory()))
    deleted, missing = MediaAssetFactory(status="deleted"), uuid7()

    said = look(person(), foreign, deleted, missing)

    assert said == {"tiles": {}, "gone": [str(pk) for pk in (foreign.pk, deleted.pk, missing)]}


def test_nonsense_is_refused_and_a_stranger_is_told(person, client):
    assert person().get(PROGRESS, {"id": "x"}).status_code == 400
    assert client.get(PROGRESS, headers=JSON).status_code == 401


def test_who_watches_has_taken_up_what_waits(person, settings, monkeypatch):
    """The process that had it in hand may have ended."""
    fed = []
    monkeypatch.setattr(gallery, "work_soon", lambda ids: fed.extend(ids))
    waiting, ready = MediaAssetFactory(), MediaAssetFactory(ready=True)

    look(person(), waiting, ready)

    assert fed == [waiting.pk]
    assert in_server.is_wanted() is False  # in this suite


def test_many_tiles_take_no_more_queries_than_few(person):
    reader = person()

    def queries(*assets):
        with CaptureQueriesContext(connection) as captured:
            look(reader, *assets)
        return len(captured)

    assets = [MediaAssetFactory(generation_state="running", library=MediaLibraryFactory()) for _ in range(12)]
    for asset in assets:
        GenerationAttemptFactory(asset=asset, in_flight=True)

    assert queries(*assets) == queries(*assets[:2]) <= 8


# ---------------------------------------------------------------------- more pages


def test_a_script_gets_the_next_tiles_only(person, monkeypatch):
    monkeypatch.setattr(gallery, "PAGE", 2)
    assets = [MediaAssetFactory(prompt="a pier") for _ in range(3)][::-1]
    reader = person()

    first = reader.get("/mediagen/studio/", {"q": "pier", "part": "1"}).json()
    second = reader.get(first["older"] + "&part=1").json()

    assert first["older"] == f"/mediagen/studio/?q=pier&before={assets[1].pk}"
    assert [f"asset-{asset.pk}" in first["html"] for asset in assets] == [True, True, False]
    assert f"asset-{assets[2].pk}" in second["html"]
    assert second["older"] == ""


def test_the_filters_of_all_lists_are_those_of_the_gallery(person):
    reader = person()
    made = MediaAssetFactory(ready=True, provider_name="flux", status="approved")
    MediaAssetFactory(ready=True)
    child = MediaAssetFactory(placeholder=True, parent=made, source="variant")

    def shown(**query):
        return reader.get("/mediagen/studio/", query).context["assets"]

    assert shown(provider="flux") == shown(status="approved") == [made]
    assert shown(parent=made.pk) == shown(source="variant") == shown(is_placeholder="true") == [child]
    assert shown(min_width="65") == []
    assert len(shown(created_from="2020-01-01", created_to="2100-01-01")) == 3


def test_a_mistake_in_a_filter_is_said_on_the_page(person):
    answer = person().get("/mediagen/studio/", {"created_from": "yesterday"})

    assert answer.status_code == 400
    assert "Enter a valid date" in answer.content.decode()


# ---------------------------------------------------------------------- uploads


def png(name="boat.png", seed=1):
    return SimpleUploadedFile(name, pictures.png(seed=seed), content_type="image/png")


def test_a_form_puts_pictures_into_a_library(maker):
    library = MediaLibraryFactory()

    answer = maker.post(UPLOAD, {"library": library.pk, "files": [png("one.png"), png("two.png", seed=2)]})

    assets = MediaAsset.objects.filter(library=library, source="uploaded", created_by=maker.user)
    assert answer.url == "/mediagen/studio/?said=upload"
    assert sorted(asset.name for asset in assets) == ["one", "two"]
    assert "Uploaded." in maker.get(answer.url).content.decode()


def test_a_script_gets_the_tile(maker):
    answer = maker.post(UPLOAD, {"files": png()}, headers=JSON)

    asset = MediaAsset.objects.get()
    assert answer.status_code == 201
    assert f'id="asset-{asset.pk}"' in answer.json()["html"]
    assert asset.library.name == "Default"


@pytest.mark.parametrize(
    "content", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"PK\x03\x04", b"", pictures.png()[:50]]
)
def test_what_is_no_picture_is_refused_with_a_word(maker, content):
    lie = SimpleUploadedFile("boat.png", content, content_type="image/png")

    told = maker.post(UPLOAD, {"files": lie}, headers=JSON)
    lie.seek(0)
    shown = maker.post(UPLOAD, {"files": lie})

    assert told.status_code == shown.status_code == 400
    assert "Not everything could be uploaded" in shown.content.decode()
    assert not MediaAsset.objects.exists()


def test_one_bad_file_keeps_the_others_from_nothing(maker):
    answer = maker.post(UPLOAD, {"files": [png(), SimpleUploadedFile("b.png", b"no")]})

    assert answer.status_code == 400
    assert "1 picture was taken." in answer.content.decode()
    assert MediaAsset.objects.count() == 1


def test_nothing_and_too_much_are_refused(maker):
    assert maker.post(UPLOAD, {}).status_code == 400
    assert maker.post(UPLOAD, {"files": [png() for _ in range(21)]}).status_code == 400
    assert not MediaAsset.objects.exists()


def test_somebody_who_may_not_add_uploads_nothing(person, maker):
    foreign = MediaLibraryFactory(owner=UserFactory())

    assert person().post(UPLOAD, {"files": png()}).status_code == 403
    assert maker.post(UPLOAD, {"files": png(), "library": foreign.pk}).status_code == 400
    assert not MediaAsset.objects.exists()


def test_numbers_in_attributes_are_the_same_in_whichever_language(person, admin_client, settings):
    """A site may group thousands with a dot; width="1.536" is no width to a browser."""
    settings.USE_THOUSAND_SEPARATOR, settings.LANGUAGE_CODE = True, "de"
    asset = MediaAssetFactory(ready=True, width=1536, height=1024)
    client = person("add_mediaasset")
    pages = [
        client.get(reverse("mediagen:studio")),
        client.get(reverse("mediagen:asset", args=[asset.pk])),
        admin_client.get(reverse("admin:mediagen_mediaasset_change", args=[asset.pk])),
    ]
    for answer in pages:
        html = answer.content.decode()
        assert 'width="1536" height="1024"' in html
        assert '="1.536' not in html
        assert '="1.024"' not in html


def test_a_stream_is_offered_to_those_who_may_look_and_not_where_it_would_hold_a_worker(person):
    address = reverse("mediagen:studio-events")

    assert person().get(address).status_code == 204  # this client is WSGI

    async def status(client):
        answer = await client.get(address)
        return answer.status_code, answer.headers.get("Content-Type")

    looker, nobody = AsyncClient(), AsyncClient()
    looker.force_login(person().user)
    assert async_to_sync(status)(looker) == (200, "text/event-stream")
    assert async_to_sync(status)(nobody)[0] == 204


def test_a_stream_is_no_error_where_the_site_has_every_request_in_a_transaction(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)

    async def status():
        return (await AsyncClient().get(reverse("mediagen:studio-events"))).status_code

    assert async_to_sync(status)() == 204


# ---------------------------------------------------------------------- by address


@pytest.mark.parametrize("address", ["https://127.0.0.1/x.png", "https://10.0.0.8/x.png", "file:///etc/passwd", "x"])
def test_only_what_is_public_is_fetched(maker, address):
    answer = maker.post(UPLOAD, {"address": address}, headers=JSON)

    assert answer.status_code == 400
    assert not MediaAsset.objects.exists()


def test_a_picture_is_taken_by_its_address(maker, monkeypatch):
    fetched = []

    async def fetch(address):
        fetched.append(address)
        return pictures.png()

    monkeypatch.setattr("mediagen.engine.files.fetched_uploads._fetch", fetch)

    assert maker.post(UPLOAD, {"address": " https://pictures.test/a%20boat.png "}, headers=JSON).status_code == 201

    asset = MediaAsset.objects.get()
    assert (asset.name, asset.source, fetched) == ("a boat", "uploaded", ["https://pictures.test/a%20boat.png"])


# ---------------------------------------------------------------------- order


@pytest.mark.parametrize(
    ("sort", "order"),
    [("", "dcba"), ("oldest", "abcd"), ("cost", "bdac"), ("rating", "cdab"), ("name", "acbd")],
)
def test_the_gallery_is_sorted_and_pages_go_on_in_that_order(person, monkeypatch, sort, order):
    monkeypatch.setattr(gallery, "PAGE", 3)
    for which, name, cost, rating in (
        ("a", "1", "0.02", 3),
        ("b", "3", "0.09", None),
        ("c", "2", None, 5),
        ("d", "4", "0.03", 3),
    ):
        MediaAssetFactory(ready=True, name=f"{name} {which}", cost=cost, rating=rating)
    reader = person()

    page = reader.get(reverse("mediagen:studio"), {"sort": sort, "part": "1"}).json()
    rest = reader.get(f"{page['older']}&part=1" if "?" in page["older"] else f"{page['older']}?part=1").json()

    shown = (page["html"] + rest["html"]).split('mediagen-caption" dir="auto">')[1:]
    assert "".join(part.partition("<")[0][-1] for part in shown) == order
    assert rest["older"] == ""


def test_only_mine(person):
    reader = person()
    MediaAssetFactory(ready=True, name="Mine", created_by=reader.user)
    MediaAssetFactory(ready=True, name="Theirs")

    shown = reader.get(reverse("mediagen:studio"), {"mine": "1"}).content.decode()

    assert "Mine" in shown
    assert "Theirs" not in shown


def test_an_uploaded_png_brings_its_prompt_along(maker):
    content = with_text("parameters", "a tower\nNegative prompt: people\nSteps: 20, Seed: 1234, Model: dream")

    maker.post(UPLOAD, {"files": SimpleUploadedFile("t.png", content)}, headers=JSON)

    asset = MediaAsset.objects.get()
    assert (asset.prompt, asset.negative_prompt, asset.seed, asset.model_name) == ("a tower", "people", 1234, "dream")
    assert asset.digital_source_type == "trainedAlgorithmicMedia"
    assert asset.parameters["made_with"] == "A1111"
    page = maker.get(reverse("mediagen:asset", args=[asset.pk])).content.decode()
    assert all(text in page for text in ("uploaded: t.png, dream", "Made with: A1111", "1234"))
    with asset.file.open() as file:
        assert b"Negative prompt" not in file.read()


def test_only_what_somebody_has_asked_for_is_offered_again():
    user = UserFactory()
    for prompt, source in (("mine", "generated"), ("of a file", "uploaded"), ("a colleague's, cut", "variant")):
        MediaAssetFactory(ready=True, created_by=user, prompt=prompt, source=source)

    assert words.recent_prompts(Access(user)) == ["mine"]
