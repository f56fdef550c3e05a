"""Wagtail's admin and its pages: doors, the block, and what an asset knows of the pages that show it."""

from __future__ import annotations

import json
import re

import pytest
from django.http import QueryDict
from django.urls import reverse
from wagtail.blocks import StreamBlockValidationError
from wagtail.models import Collection

from mediagen.contrib.wagtail import images
from mediagen.engine.library import elsewhere, pick, trash, usage
from mediagen.models import MediaAsset
from tests import pictures
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.outside.wagtail_host.models import HarbourPage, Photo, photo

TAKE = "/cms/mediagen/take/"


@pytest.fixture
def signed_in(client):
    def signed_in(user):
        client.force_login(user)
        return client

    return signed_in


def chosen(asset):
    return {"pick": pick(asset.pk)}


# ---------------------------------------------------------------- doors


def test_a_pick_becomes_an_image_and_the_dialog_goes_on_with_it(asset, editor, harbour, signed_in):
    client = signed_in(editor(harbour))
    answers = [client.post(TAKE + "?select_format=1", chosen(asset)).json() for _ in range(2)]
    image = Photo.objects.get()
    assert (
        answers
        == [{"url": f"/cms/images/chooser/{image.pk}/select_format/?select_format=1", "title": "Lighthouse"}] * 2
    )
    assert client.get(answers[0]["url"]).status_code == 200
    assert client.post(TAKE, chosen(asset)).json()["url"] == f"/cms/images/chooser/chosen/{image.pk}/"


def test_who_may_not_is_refused_at_every_door(asset, editor, harbour, signed_in, client):
    assert client.post(TAKE, chosen(asset)).status_code == 302  # to the login page
    assert signed_in(UserFactory(may=["view_mediaasset"])).post(TAKE, chosen(asset)).status_code == 302
    assert signed_in(editor(harbour, may=())).post(TAKE, chosen(asset)).status_code == 404
    assert signed_in(editor()).post(TAKE, chosen(asset)).status_code == 403
    assert signed_in(editor(harbour)).post(TAKE, {"pick": "x"}).status_code == 404
    foreign = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
    assert signed_in(editor(harbour)).post(TAKE, chosen(foreign)).status_code == 404
    assert not Photo.objects.exists()
    image = images.image_for(asset.pk, UserFactory(is_superuser=True))
    send = f"/cms/mediagen/images/{image.pk}/send/"
    elsewhere_only = editor(Collection.get_first_root_node().add_child(name="Elsewhere"))
    assert signed_in(elsewhere_only).get(send).status_code == 404
    assert signed_in(editor(harbour, may=())).post(send, {"library": asset.library_id}).status_code == 200
    assert MediaAsset.objects.count() == 2


def test_the_tab_the_menu_and_the_button_are_for_those_who_may(asset, editor, harbour, signed_in):
    image = images.image_for(asset.pk, UserFactory(is_superuser=True))
    for may, sees in ((("view_mediaasset", "add_mediaasset"), True), ((), False)):
        client = signed_in(editor(harbour, may=may))
        dialog = json.loads(client.get(reverse("wagtailimages_chooser:choose") + "?select_format=true").content)["html"]
        assert ("data-mediagen-panel" in dialog) is sees
        assert ("take/?select_format=true" in dialog) is sees
        assert ("tab-upload" in dialog) is True
        assert ("Picture studio" in client.get("/cms/").content.decode()) is sees
        edit = client.get(reverse("wagtailimages:edit", args=[image.pk])).content.decode()
        assert (f"/mediagen/assets/{asset.pk}/" in edit) is sees


def test_an_image_is_sent_from_its_page_and_from_the_list(library, editor, harbour, signed_in, settings):
    made = [photo(f"x{n}", pictures.picture("png", 64, 48, seed=n), collection=harbour) for n in range(2)]
    client = signed_in(editor(harbour))
    edit = client.get(reverse("wagtailimages:edit", args=[made[0].pk])).content.decode()
    send = f"/cms/mediagen/images/{made[0].pk}/send/"
    assert send in edit
    assert "Pier" in client.get(send).content.decode()
    answer = client.post(send, {"library": library.pk})
    asset = MediaAsset.objects.get()
    assert answer["Location"] == f"/mediagen/studio/assets/{asset.pk}/edit/"
    assert client.get(send)["Location"] == answer["Location"]
    many = reverse("wagtail_bulk_action", args=["harbour", "photo", "mediagen_send"])
    many += "?next=/cms/images/&" + "&".join(f"id={each.pk}" for each in made)
    assert client.get(many).status_code == 200
    assert client.post(many, {"library": library.pk}, follow=True).status_code == 200
    assert MediaAsset.objects.count() == 2


# ---------------------------------------------------------------- the block


def block():
    return HarbourPage._meta.get_field("body").stream_block


def sent(value, kind="picture"):
    data = QueryDict(mutable=True)
    data.update({"body-count": "1", "body-0-type": kind, "body-0-order": "0", "body-0-deleted": "", "body-0-id": ""})
    data.update({"body-0-value": value})
    return block().value_from_datadict(data, {}, "body")


def test_the_block_takes_picks_and_no_ids(asset):
    assert block().clean(sent(pick(asset.pk)))[0].value == asset
    small = MediaAssetFactory(ready=True)
    for value in (str(asset.pk), "", "x", pick(small.pk)):
        stream = sent(value)
        with pytest.raises(StreamBlockValidationError):
            block().clean(stream)
        block().get_form_state(stream)
    state = block().get_form_state(sent(pick(asset.pk)))[0]["value"]
    assert (state["name"], state["alt"], state["value"][:32]) == ("Lighthouse", "A lighthouse in the fog", asset.pk.hex)
    assert block().get_form_state(sent(str(asset.pk)))[0]["value"] is None


def test_a_page_keeps_shows_and_counts_it(
    asset, page, client, django_assert_num_queries, django_capture_on_commit_callbacks
):
    other = MediaAssetFactory(ready=True, name="Unused")
    page.body = [
        ("picture", asset),
        ("pair", {"left": asset, "note": "x"}),
        ("pair", {"left": None, "note": "y"}),
    ]
    page.cover = asset
    with django_capture_on_commit_callbacks(execute=True):
        page.save_revision().publish()
    again = HarbourPage.objects.get()
    assert again.body.raw_data[0]["value"] == str(asset.pk)
    with django_assert_num_queries(1):
        assert again.body[0].value == asset
    html = client.get(page.url).content.decode()
    assert re.search(r'<section><picture><source type="image/webp" srcset="/mediagen/pictures/p\.', html)
    assert 'alt="A lighthouse in the fog"' in html
    [place] = elsewhere.uses_of([asset.pk])[asset.pk]
    assert str(place) == "Harbour page Harbour"
    assert place.admin_url == ""
    page.cover = None
    with django_capture_on_commit_callbacks(execute=True):
        page.save_revision().publish()
    [place] = elsewhere.uses_of([asset.pk])[asset.pk]
    assert elsewhere.pointed_at([asset.pk, other.pk]) == {asset.pk}
    assert list(usage.unused()) == [other]
    page.delete()
    assert not elsewhere.uses_of([asset.pk])
    assert set(usage.unused()) == {asset, other}


def test_a_page_whose_asset_is_gone_is_shown_without_it(asset, page, client):
    page.body = [("picture", asset)]
    page.save_revision().publish()
    trash.delete([asset.pk], None, even_if_used=True)
    assert client.get(page.url).status_code == 200
    HarbourPage.objects.update(body=json.dumps([{"type": "picture", "value": "01a22829-6cd3-7965-9823-bc51b3f9dc2e"}]))
    assert client.get(page.url).status_code == 200
    HarbourPage.objects.update(body=json.dumps([{"type": "picture", "value": "nonsense"}]))
    assert client.get(page.url).status_code == 200
