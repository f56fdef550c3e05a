"""Generate and upload in the admin: what is asked for, what it may cost, and how it comes."""

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import resolve
from django.utils.html import escape

from mediagen.engine.files.links import thumbnail_url
from mediagen.models import MediaAsset, MediaLibrary, ProviderConfig
from mediagen.types import uuid7
from tests import pictures
from tests.admin.conftest import page, said
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

MAKER = ("view_mediaasset", "add_mediaasset")


@pytest.fixture
def library():
    return MediaLibraryFactory(name="Default")


def asked(library, **changes):
    form = {"prompt": "a pier", "size": "1024x1024", "count": "2", "library": library.pk, "tags": "sea"}
    return {**form, **changes}


def test_the_form_shows_the_options_of_the_chosen_provider(admin_client, library):
    text = admin_client.get(page("mediaasset", "generate")).content.decode()
    assert 'name="option-style_preset"' in text
    chosen = admin_client.post(page("mediaasset", "generate"), asked(library, provider="flux", _estimate="1"))

    assert 'name="option-style_preset"' not in chosen.content.decode()
    assert "Options of flux" in chosen.content.decode()
    assert not MediaAsset.objects.exists()


def test_the_estimate_is_said_before_anything_is_bought(admin_client, library, monkeypatch):
    monkeypatch.setenv("SDXL_API_KEY", "key")
    ProviderConfig.objects.exclude(name="sdxl").update(enabled=False)
    ProviderConfig.objects.filter(name="sdxl").update(dry_run=False)
    form = asked(library, count="3")

    shown = admin_client.post(page("mediaasset", "generate"), {**form, "_estimate": "1"})
    live = admin_client.post(page("mediaasset", "estimate"), form).json()

    assert "3 pictures, $" in live["text"]
    assert live["text"] in shown.content.decode()
    assert admin_client.post(page("mediaasset", "estimate"), asked(library, prompt="")).json() == {"text": ""}
    assert not MediaAsset.objects.exists()


def test_pictures_are_asked_for_once_and_their_page_follows(admin_client, admin_user, library, monkeypatch):
    soon = []
    monkeypatch.setattr("mediagen.studio.generation.prompt.work_soon", soon.extend)
    form = {**asked(library), "token": str(uuid7()), "_go": "1"}

    response = admin_client.post(page("mediaasset", "generate"), form)
    again = admin_client.post(page("mediaasset", "generate"), form)

    assets = list(MediaAsset.objects.order_by("pk"))
    assert len(assets) == 2
    assert {asset.created_by for asset in assets} == {admin_user}
    assert assets[0].tag_names == ["sea"]
    assert response.url == again.url == page("mediaasset", "generation", assets[0].generation_id)
    assert set(soon) == {asset.pk for asset in assets}
    assert LogEntry.objects.filter(change_message="Asked for.").exists()


def test_what_cannot_be_asked_for_is_said_at_its_field(admin_client, library):
    response = admin_client.post(page("mediaasset", "generate"), asked(library, prompt=" ", _go="1"))

    assert "prompt" in response.context["form"].errors
    assert "Say what the picture should show." in response.content.decode()
    assert not MediaAsset.objects.exists()


def test_the_tiles_fill_in_and_say_when_it_is_over(admin_client):
    number = uuid7()
    made = MediaAssetFactory(ready=True, generation_id=number)
    waiting = MediaAssetFactory(generation_id=number, name="still to come")
    own = page("mediaasset", "generation", number)

    text = admin_client.get(own).content.decode()
    news = admin_client.get(page("mediaasset", "tiles", number))

    assert escape(thumbnail_url(made)) in text
    assert f'data-mediagen-follow="{page("mediaasset", "tiles", number)}"' in text
    assert "Refresh" in text
    assert news.json()["is_over"] is False
    assert "still to come" in news.json()["html"]
    assert "no-store" in news["Cache-Control"]
    MediaAsset.objects.filter(pk=waiting.pk).update(
        generation_state="failed", failure="generate_image: refused.", failure_code="moderation"
    )
    over = admin_client.get(page("mediaasset", "tiles", number)).json()
    assert over["is_over"] is True
    assert "Word the prompt differently." in over["html"]
    assert "data-mediagen-over" in admin_client.get(own).content.decode()


def test_whoever_looks_at_waiting_tiles_has_them_taken_up(admin_client, monkeypatch):
    """A process that died left them; the page that waits for them is reason enough to go on."""
    soon = []
    monkeypatch.setattr("mediagen.engine.work.in_server.work_soon", soon.extend)
    waiting = MediaAssetFactory(generation_id=uuid7())

    admin_client.get(page("mediaasset", "generation", waiting.generation_id))

    assert soon == [waiting.pk]


def test_nobody_follows_what_they_may_not_see(signed_in):
    theirs = MediaAssetFactory(library=MediaLibraryFactory(owner=UserFactory()), generation_id=uuid7())
    client = signed_in(*MAKER)

    for name in ("generation", "tiles"):
        hidden = client.get(page("mediaasset", name, theirs.generation_id))
        missing = client.get(page("mediaasset", name, uuid7()))
        assert hidden.status_code == missing.status_code == 404


@pytest.mark.parametrize("name", ["generate", "estimate", "upload"])
def test_who_may_not_add_pictures_adds_none(signed_in, name):
    client = signed_in("view_mediaasset", "change_mediaasset")

    assert client.get(page("mediaasset", name)).status_code == 403
    assert client.post(page("mediaasset", name)).status_code == 403
    assert page("mediaasset", name) not in client.get(page("mediaasset")).content.decode()


def test_pictures_go_only_where_one_may_put_them(signed_in, library):
    theirs = MediaLibraryFactory(name="secret", owner=UserFactory())
    client = signed_in(*MAKER)
    file = SimpleUploadedFile("a.png", pictures.png())

    assert "secret" not in client.get(page("mediaasset", "generate")).content.decode()
    refused = client.post(page("mediaasset", "generate"), asked(theirs, _go="1"))
    also = client.post(page("mediaasset", "upload"), {"pictures": [file], "library": theirs.pk})

    assert "library" in refused.context["form"].errors
    assert "library" in also.context["form"].errors
    assert not MediaAsset.objects.exists()


def test_files_are_uploaded_and_what_is_no_picture_is_named(admin_client, admin_user, library):
    files = [
        SimpleUploadedFile("pier.png", pictures.png(), content_type="image/png"),
        SimpleUploadedFile("logo.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", content_type="image/svg+xml"),
    ]

    response = admin_client.post(
        page("mediaasset", "upload"), {"pictures": files, "library": library.pk, "tags": "own, sea"}
    )

    asset = MediaAsset.objects.get()
    assert response.url == page("mediaasset")
    assert (asset.source, asset.original_name, asset.created_by) == ("uploaded", "pier.png", admin_user)
    assert asset.tag_names == ["own", "sea"]
    refused, kept = said(response)
    assert refused.startswith("logo.svg: ")
    assert kept == "1 picture uploaded."


def test_one_upload_leads_to_its_page_and_none_is_said(admin_client, library):
    file = SimpleUploadedFile("pier.png", pictures.png())
    response = admin_client.post(page("mediaasset", "upload"), {"pictures": [file], "library": library.pk})
    assert response.url == page("mediaasset", "change", MediaAsset.objects.get().pk)

    empty = admin_client.post(page("mediaasset", "upload"), {"library": library.pk})
    assert "pictures" in empty.context["form"].errors


def test_a_site_without_the_default_library_gets_it_with_the_first_picture(admin_client, monkeypatch):
    monkeypatch.setattr("mediagen.studio.generation.prompt.work_soon", lambda ids: None)
    form = {"prompt": "a pier", "size": "1024x1024", "count": "1", "_go": "1"}

    assert admin_client.post(page("mediaasset", "generate"), form).status_code == 302
    assert MediaLibrary.objects.get().name == "Default"


@pytest.mark.parametrize("name", ["generate", "upload"])
def test_what_is_bought_or_stored_hangs_on_no_request_transaction(name):
    view = resolve(page("mediaasset", name)).func
    assert "default" in view._non_atomic_requests
