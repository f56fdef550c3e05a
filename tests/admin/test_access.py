"""Who may not see a library sees nothing of it anywhere in the admin, and cannot tell that it is there."""

import uuid

import pytest
from django.contrib.admin.models import LogEntry

from mediagen.models import MediaAsset, MediaLibrary
from mediagen.types import uuid7
from tests.admin.conftest import act, page, said
from tests.factories import (
    GenerationAttemptFactory,
    GroupFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
    MediaTagFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

EVERYTHING = (
    "view_mediaasset",
    "change_mediaasset",
    "add_mediaasset",
    "approve_mediaasset",
    "delete_mediaasset",
    "view_medialibrary",
    "change_medialibrary",
    "delete_medialibrary",
    "view_generationattempt",
    "view_mediatag",
)


@pytest.fixture
def anna():
    return UserFactory(may=EVERYTHING)


@pytest.fixture
def berta(signed_in):
    return signed_in(*EVERYTHING)


@pytest.fixture
def secret(anna):
    """Anna's asset, in a library of her own, with one attempt."""
    library = MediaLibraryFactory(name="Annas secret campaign", owner=anna)
    asset = MediaAssetFactory(ready=True, library=library, prompt="a secret product")
    GenerationAttemptFactory(asset=asset, message="a secret message")
    return asset


def answers_alike(client, model, view, known, missing, method="get", **data):
    """The page's answer for an id of somebody else and for one that nobody has, with the ids taken out."""
    found = []
    for pk in (known, missing):
        client.get("/admin/")  # shows and so forgets earlier messages
        response = getattr(client, method)(page(model, view, pk), data)
        text = response.content.decode() + response.headers.get("Location", "") + " ".join(said(response))
        found.append((response.status_code, text.replace(str(pk), "ID")))
    assert found[0] == found[1]
    return found[0]


def test_the_owner_sees_what_others_do_not(signed_in, anna, berta, secret):
    for model in ("mediaasset", "medialibrary", "generationattempt"):
        mine = signed_in(user=anna).get(page(model)).content.decode()
        hers = berta.get(page(model)).content.decode()

        assert "secret" in mine
        assert "secret" not in hers


@pytest.mark.parametrize("name", ["change", "history", "delete"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_foreign_asset_answers_as_one_that_is_not_there(berta, secret, name, method):
    status, text = answers_alike(berta, "mediaasset", name, secret.pk, uuid7(), method, name="mine now")

    assert status in (302, 403)
    assert "secret" not in text
    secret.refresh_from_db()
    assert secret.name != "mine now"


@pytest.mark.parametrize("name", ["change", "history", "delete"])
def test_a_foreign_library_answers_as_one_that_is_not_there(berta, secret, name):
    for method in ("get", "post"):
        status, text = answers_alike(berta, "medialibrary", name, secret.library_id, uuid7(), method, post="yes")

        assert status == 302
        assert "secret" not in text
    assert MediaLibrary.objects.filter(pk=secret.library_id).exists()


def test_a_foreign_attempt_answers_as_one_that_is_not_there(berta, secret):
    status, text = answers_alike(berta, "generationattempt", "change", secret.attempts.get().pk, uuid7())

    assert status == 302
    assert "secret" not in text


def test_filters_and_search_give_nothing_away(berta, secret):
    MediaLibraryFactory(name="for all"), MediaLibraryFactory(name="for all, too")
    text = berta.get(page("mediaasset")).content.decode()
    assert "for all, too" in text  # the filter's list of libraries
    assert "Annas" not in text

    for query in (
        {"q": "secret"},
        {"library__id__exact": str(secret.library_id)},
        {"library__id__exact": str(uuid.uuid4())},
        {"id__exact": str(secret.pk)},
    ):
        response = berta.get(page("mediaasset"), query)
        assert response.status_code == 200
        assert list(response.context["cl"].result_list) == []


@pytest.mark.parametrize("action", ["approve", "publish", "archive", "retry", "move", "tag", "trash", "undelete"])
def test_actions_do_not_reach_foreign_assets(berta, secret, action):
    for extra in ({}, {"select_across": "1"}):
        for answer in ({}, {"_go": "1", "expected": "1", "library": str(secret.library_id), "add": "mine"}):
            act(berta, "mediaasset", action, secret.pk, **extra, **answer)

    secret.refresh_from_db()
    assert secret.status == "draft"
    assert secret.reviewed_by is None
    assert secret.tag_names == []
    assert not LogEntry.objects.exists()


def test_a_parent_in_a_hidden_library_is_not_named(signed_in, anna, berta, secret):
    child = MediaAssetFactory(ready=True, parent=secret)
    own = page("mediaasset", "change", child.pk)

    hers = berta.get(own).content.decode()
    mine = signed_in(user=anna).get(own).content.decode()

    assert str(secret.pk) not in hers
    assert "a secret product" not in hers
    assert f'<a href="{page("mediaasset", "change", secret.pk)}">' in mine
    assert "a secret product" in mine


def test_the_parents_texts_cannot_be_guessed_through_the_lists_address(berta, secret):
    MediaAssetFactory(ready=True, parent=secret)

    for lookup in ("parent__prompt__contains", "parent__library__name__contains", "created_by__password__contains"):
        assert berta.get(page("mediaasset"), {lookup: "secret"}).status_code == 400, lookup


# ---------------------------------------------------------------------- to look and to change


@pytest.fixture
def shared(signed_in):
    """(client of a viewer, client of an editor, an asset of the library)."""
    viewers, editors = GroupFactory(), GroupFactory()
    library = MediaLibraryFactory(owner=UserFactory())
    library.viewer_groups.add(viewers)
    library.editor_groups.add(editors)
    viewer, editor = signed_in(*EVERYTHING), signed_in(*EVERYTHING)
    viewer.user.groups.add(viewers)
    editor.user.groups.add(editors)
    return viewer, editor, MediaAssetFactory(ready=True, library=library, name="before")


def edited(**changes):
    return {"name": "after", "description": "", "alt_text": "", "focal_x": "0.5", "focal_y": "0.5", **changes}


def test_who_may_only_look_sees_a_page_without_a_form(shared):
    viewer, editor, asset = shared
    own = page("mediaasset", "change", asset.pk)

    asset.tags.add(MediaTagFactory(name="of the sea"))

    assert 'name="alt_text"' not in viewer.get(own).content.decode()
    assert "of the sea" in viewer.get(own).content.decode()
    assert 'name="action"' not in viewer.get(own).content.decode()
    assert viewer.post(own, edited()).status_code == 403
    assert 'name="alt_text"' in editor.get(own).content.decode()
    assert editor.post(own, edited()).status_code == 302
    asset.refresh_from_db()
    assert asset.name == "after"


def test_who_may_only_look_changes_nothing_by_actions(shared):
    viewer, editor, asset = shared
    own = MediaAssetFactory(ready=True)  # in a library that belongs to nobody

    response = act(viewer, "mediaasset", "approve", asset.pk, own.pk)

    assert "Assets in libraries that you may only look into were left out." in said(response)
    assert set(MediaAsset.objects.filter(status="approved")) == {own}
    act(editor, "mediaasset", "approve", asset.pk)
    assert set(MediaAsset.objects.filter(status="approved")) == {own, asset}


def test_a_library_is_changed_by_its_editors_only(shared):
    viewer, editor, asset = shared
    own = page("medialibrary", "change", asset.library_id)

    asset.library.default_tags.add(MediaTagFactory(name="of the sea"))

    assert 'name="slug"' not in viewer.get(own).content.decode()
    assert "of the sea" in viewer.get(own).content.decode()
    assert viewer.post(own, {"name": "mine"}).status_code == 403
    assert 'name="slug"' in editor.get(own).content.decode()


def test_a_library_is_deleted_by_its_editors_only(shared):
    viewer, editor, asset = shared
    asset.attempts.all().delete()
    asset.delete()

    act(viewer, "medialibrary", "delete_selected", asset.library_id, post="yes")
    assert MediaLibrary.objects.filter(pk=asset.library_id).exists()

    act(editor, "medialibrary", "delete_selected", asset.library_id, post="yes")
    assert not MediaLibrary.objects.filter(pk=asset.library_id).exists()


def test_the_permission_for_all_libraries_opens_every_one(signed_in, secret):
    everywhere = signed_in(*EVERYTHING, "view_all_libraries")

    for model in ("mediaasset", "medialibrary", "generationattempt"):
        assert "secret" in everywhere.get(page(model)).content.decode()


def test_access_to_a_library_is_no_permission_for_a_model(signed_in, anna, secret):
    owner = UserFactory()
    MediaLibrary.objects.filter(pk=secret.library_id).update(owner=owner)

    client = signed_in(user=owner)

    assert client.get(page("mediaasset")).status_code == 403
    assert client.get(page("mediaasset", "change", secret.pk)).status_code == 403


def test_attempts_whose_asset_is_gone_stay_with_their_library(signed_in, anna, berta, secret):
    attempt = secret.attempts.get()
    attempt.asset = None
    attempt.save()

    assert "a secret message" in signed_in(user=anna).get(page("generationattempt")).content.decode()
    assert "a secret message" not in berta.get(page("generationattempt")).content.decode()


def test_attempts_follow_an_asset_into_another_library(signed_in, anna, berta, secret):
    secret.library = MediaLibraryFactory()
    secret.save()

    assert "a secret message" in berta.get(page("generationattempt")).content.decode()
