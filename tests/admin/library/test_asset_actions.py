"""What an editor does with assets: the steps of the review, and another try."""

import re
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import resolve
from django.utils import timezone

from mediagen.engine.files.links import picture_url, thumbnail_url
from mediagen.engine.library import review, usage
from mediagen.models import AssetDescription, BackgroundJob, MediaAsset
from tests.admin.conftest import act, page, said
from tests.factories import MediaAssetFactory, MediaLibraryFactory, MediaTagFactory, UserFactory

pytestmark = pytest.mark.django_db


# ---------------------------------------------------------------------- review


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("approve", "draft", "approved"),
        ("publish", "draft", "published"),
        ("publish", "approved", "published"),
        ("archive", "published", "archived"),
        ("restore", "archived", "draft"),
    ],
)
def test_a_step_is_kept_with_who_and_when(admin_client, admin_user, action, before, after):
    asset = MediaAssetFactory(ready=True, status=before)

    response = act(admin_client, "mediaasset", action, asset.pk)

    asset.refresh_from_db()
    assert (asset.status, asset.reviewed_by) == (after, admin_user)
    assert asset.reviewed_at is not None
    assert said(response)[0].startswith("1 asset ")
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user) == (str(asset.pk), admin_user)
    assert entry.change_message.startswith("Review: ")


def test_what_cannot_take_the_step_is_left_and_named(admin_client):
    ready, failed, gone = (
        MediaAssetFactory(ready=True),
        MediaAssetFactory(failed=True),
        MediaAssetFactory(ready=True, status="archived"),
    )
    drawn = MediaAssetFactory(placeholder=True)

    response = act(admin_client, "mediaasset", "approve", ready.pk, failed.pk, gone.pk, drawn.pk)

    assert said(response) == [
        "2 assets approved.",
        "1 of them is a placeholder.",
        "1 was left out: no picture.",
        "1 was left out: wrong status.",
    ]
    assert set(MediaAsset.objects.filter(status="approved")) == {ready, drawn}


def test_too_many_at_once_are_refused_whole(admin_client, monkeypatch):
    monkeypatch.setattr(review, "MAX_AT_ONCE", 2)
    assets = [MediaAssetFactory(ready=True) for _ in range(3)]

    response = act(admin_client, "mediaasset", "approve", *[asset.pk for asset in assets], select_across="1")

    assert said(response) == ["3 assets are too many at once. Take at most 2."]
    assert not MediaAsset.objects.filter(status="approved").exists()


def test_the_assets_own_page_offers_what_can_be_done_and_comes_back(admin_client):
    asset = MediaAssetFactory(ready=True)
    own = page("mediaasset", "change", asset.pk)

    def offered():
        return re.findall(r'name="action" value="(\w+)" formaction', admin_client.get(own).content.decode())

    assert offered() == ["generate_again", "make_variants", "approve", "publish", "archive", "move", "trash"]
    response = act(admin_client, "mediaasset", "archive", asset.pk, index="0", _own_page="1")
    assert response.url == own
    assert offered() == ["generate_again", "make_variants", "restore", "move", "trash"]


def test_to_change_is_not_to_approve(signed_in):
    """Two permissions: who describes pictures need not be who lets them out."""
    editor = signed_in("view_mediaasset", "change_mediaasset")
    reviewer = signed_in("view_mediaasset", "approve_mediaasset")
    asset = MediaAssetFactory(ready=True)
    own = page("mediaasset", "change", asset.pk)

    act(editor, "mediaasset", "approve", asset.pk)
    asset.refresh_from_db()
    assert asset.status == "draft"
    assert 'value="approve"' not in editor.get(own).content.decode()

    assert 'value="approve"' in reviewer.get(own).content.decode()
    act(reviewer, "mediaasset", "approve", asset.pk)
    asset.refresh_from_db()
    assert (asset.status, asset.reviewed_by) == ("approved", reviewer.user)
    assert 'name="alt_text"' not in reviewer.get(own).content.decode()


def test_enter_in_the_form_saves_and_starts_no_action(admin_client):
    """A browser presses the first button of a form."""
    asset = MediaAssetFactory(ready=True)
    text = admin_client.get(page("mediaasset", "change", asset.pk)).content.decode()

    form = re.sub(r'<button[^>]* form="mediagen-suggested"[^>]*>', "", text[text.index('id="mediaasset_form"') :])
    assert re.search(r'<(?:input|button) type="submit"[^>]*name="(\w+)"', form).group(1) == "_save"


# ---------------------------------------------------------------------- order


def test_assets_move_to_a_library_that_one_may_change(admin_client):
    shelf, assets = MediaLibraryFactory(name="Shelf"), [MediaAssetFactory(ready=True) for _ in range(2)]
    pks = [asset.pk for asset in assets]

    asked = act(admin_client, "mediaasset", "move", *pks)
    assert asked.status_code == 200
    assert "2 assets:" in asked.content.decode()
    response = act(admin_client, "mediaasset", "move", *pks, _go="1", library=shelf.pk)

    assert said(response) == ["2 assets moved to Shelf."]
    assert set(shelf.assets.all()) == set(assets)
    assert LogEntry.objects.filter(change_message="Moved to the library Shelf.").count() == 2


def test_nothing_moves_into_a_library_that_one_may_not_change(signed_in):
    client = signed_in("view_mediaasset", "change_mediaasset")
    theirs, asset = MediaLibraryFactory(name="secret", owner=UserFactory()), MediaAssetFactory(ready=True)

    asked = act(client, "mediaasset", "move", asset.pk)
    response = act(client, "mediaasset", "move", asset.pk, _go="1", library=theirs.pk)

    assert "secret" not in asked.content.decode()
    assert response.status_code == 200  # asked again
    assert "library" in response.context["form"].errors
    asset.refresh_from_db()
    assert asset.library != theirs


def test_tags_are_added_and_taken_off_many(admin_client):
    assets = [MediaAssetFactory(), MediaAssetFactory()]
    assets[0].tags.add(MediaTagFactory(name="old"))
    pks = [asset.pk for asset in assets]

    empty = act(admin_client, "mediaasset", "tag", *pks, _go="1")
    assert "at least one tag" in empty.content.decode()
    response = act(admin_client, "mediaasset", "tag", *pks, _go="1", add="Sea, spring", remove="OLD")

    assert said(response) == ["Tags of 2 assets changed."]
    assert [asset.tag_names for asset in assets] == [["Sea", "spring"]] * 2


# ---------------------------------------------------------------------- delete and undo


def test_a_delete_asks_once_and_can_be_undone(admin_client, admin_user):
    asset = MediaAssetFactory(ready=True, status="approved")
    asked = act(admin_client, "mediaasset", "trash", asset.pk)
    assert "had back for 30 days" in asked.content.decode()

    response = act(admin_client, "mediaasset", "trash", asset.pk, _go="1", expected="1")

    assert said(response)[0].startswith("1 asset deleted. It can be had back for 30 days")
    asset.refresh_from_db()
    assert (asset.status, asset.deleted_by) == ("deleted", admin_user)
    assert Path(asset.file.path).exists()
    assert list(admin_client.get(page("mediaasset")).context["cl"].result_list) == []
    shown = admin_client.get(page("mediaasset"), {"status__exact": "deleted"})
    assert list(shown.context["cl"].result_list) == [asset]
    assert "Deleted by admin" in admin_client.get(page("mediaasset", "change", asset.pk)).content.decode()

    response = admin_client.post(
        page("mediaasset") + "?status__exact=deleted",
        {"action": "undelete", "_selected_action": [str(asset.pk)]},
    )
    assert said(response)[-1] == "1 asset is back."
    asset.refresh_from_db()
    assert (asset.status, asset.deleted_at) == ("approved", None)


def test_what_is_in_use_needs_a_second_yes(admin_client):
    used, other = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True)
    usage.record_usage(used, "Spring", "web")
    pks = [used.pk, other.pk]

    asked = act(admin_client, "mediaasset", "trash", *pks)
    assert "Spring (web)" in asked.content.decode()
    once = act(admin_client, "mediaasset", "trash", *pks, _go="1", expected="2")
    assert once.status_code == 200
    assert not MediaAsset.objects.filter(status="deleted").exists()
    act(admin_client, "mediaasset", "trash", *pks, _go="1", expected="2", even_if_used="1")

    assert MediaAsset.objects.filter(status="deleted").count() == 2


def test_the_picture_of_a_deleted_one_is_for_those_who_may_have_it_back(signed_in):
    asset = MediaAssetFactory(ready=True, status="deleted", deleted_at=timezone.now())
    theirs = MediaAssetFactory(ready=True, status="deleted", library=MediaLibraryFactory(owner=UserFactory()))
    reader, keeper = signed_in("view_mediaasset"), signed_in("view_mediaasset", "delete_mediaasset")

    for address in (picture_url, thumbnail_url):
        assert keeper.get(address(asset)).status_code == 200
        assert keeper.get(address(theirs)).status_code == 404
        assert reader.get(address(asset)).status_code == 404


def test_only_as_many_as_were_confirmed_are_deleted(admin_client):
    first = MediaAssetFactory(ready=True)
    asked = act(admin_client, "mediaasset", "trash", first.pk, select_across="1")
    assert 'name="expected" value="1"' in asked.content.decode()
    MediaAssetFactory(ready=True)

    again = act(admin_client, "mediaasset", "trash", first.pk, select_across="1", _go="1", expected="1")

    assert again.status_code == 200
    assert 'name="expected" value="2"' in again.content.decode()
    assert not MediaAsset.objects.filter(status="deleted").exists()


def test_deleted_ones_are_there_for_those_who_may_have_them_back(signed_in):
    asset = MediaAssetFactory(ready=True, status="deleted", deleted_at=timezone.now())
    reader, keeper = signed_in("view_mediaasset"), signed_in("view_mediaasset", "delete_mediaasset")
    own = page("mediaasset", "change", asset.pk)

    assert list(reader.get(page("mediaasset"), {"status__exact": "deleted"}).context["cl"].result_list) == []
    assert reader.get(own).status_code == 302
    assert list(keeper.get(page("mediaasset"), {"status__exact": "deleted"}).context["cl"].result_list) == [asset]
    assert re.findall(r'name="action" value="(\w+)"', keeper.get(own).content.decode()) == ["undelete"]


# ---------------------------------------------------------------------- again


def test_failed_ones_and_placeholders_wait_to_be_made_again(admin_client, monkeypatch):
    soon = []
    monkeypatch.setattr("mediagen.engine.work.in_server.work_soon", soon.extend)
    failed, drawn = MediaAssetFactory(failed=True, prompt="a pier"), MediaAssetFactory(placeholder=True)

    response = act(admin_client, "mediaasset", "retry", failed.pk, drawn.pk)

    assert said(response) == ["2 assets are made again."]
    failed.refresh_from_db()
    assert (failed.generation_state, failed.failure) == ("pending", "")
    assert set(soon) == {failed.pk, drawn.pk}
    assert LogEntry.objects.filter(change_message="Generated again.").count() == 2


def test_a_real_picture_is_not_made_again_under_its_id(admin_client):
    real = MediaAssetFactory(ready=True)

    response = act(admin_client, "mediaasset", "retry", real.pk)

    (message,) = said(response)
    assert "Only failed, cancelled, interrupted and placeholder assets" in message
    real.refresh_from_db()
    assert real.is_ready


def test_actions_run_outside_a_sites_request_transaction():
    """With ATOMIC_REQUESTS an error after a purchase would take the rows about it with it."""
    assert "default" in resolve(page("mediaasset")).func._non_atomic_requests


def test_a_form_that_is_sent_twice_buys_once(admin_client):
    """A double click, on the page that asks and on the asset's own."""
    one, two = (MediaAssetFactory(ready=True, prompt="a fox", source="generated") for _ in range(2))

    def token(page):
        return re.search(r'name="token" value="([^"]+)"', page.content.decode()).group(1)

    for action, fields in (("generate_again", {"how": "new_seed"}), ("suggest_alt_text", {"language": "en"})):
        sent = {"token": token(act(admin_client, "mediaasset", action, one.pk, two.pk)), "_go": "1", **fields}
        urls = {act(admin_client, "mediaasset", action, one.pk, two.pk, **sent).url for _ in range(2)}
        assert len(urls) == 1
        assert BackgroundJob.objects.count() == 1
        BackgroundJob.objects.all().delete()

    sent = {"token": token(admin_client.get(page("mediaasset", "change", one.pk))), "_own_page": "1"}
    for _ in range(2):
        act(admin_client, "mediaasset", "suggest_alt_text", one.pk, **sent)
    assert AssetDescription.objects.filter(asset=one).count() == 1
