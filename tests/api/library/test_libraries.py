from __future__ import annotations

from decimal import Decimal
from io import BytesIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group

from mediagen.models import MediaLibrary
from tests import pictures
from tests.api.callers import EVERYTHING, Caller, problem
from tests.factories import GroupFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory

URL = "/api/v1/libraries/"
EDIT = [*EVERYTHING, "add_medialibrary", "change_medialibrary", "delete_medialibrary"]
MANAGE = [*EDIT, "change_budget"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> Caller:
    return Caller(UserFactory(may=MANAGE))


def test_only_those_that_may_be_looked_into():
    caller = Caller()
    shared, mine = MediaLibraryFactory(), MediaLibraryFactory(owner=caller.user)
    MediaLibraryFactory(owner=UserFactory())

    body = caller.get(URL).json()

    owners = {one["id"]: one["owner"] for one in body["results"]}
    assert owners == {str(mine.pk): caller.user.username, str(shared.pk): None}


def test_what_may_only_be_looked_into_says_so():
    caller, group = Caller(), GroupFactory()
    caller.user.groups.add(group)
    library = MediaLibraryFactory(owner=UserFactory())
    library.viewer_groups.add(group)

    assert caller.get(f"{URL}{library.pk}/").json()["may_add"] is False


def test_queries_do_not_grow_with_the_libraries(django_assert_max_num_queries):
    caller = Caller()
    MediaLibraryFactory.create_batch(20)

    with django_assert_max_num_queries(12):
        assert len(caller.get(URL).json()["results"]) == 20


def test_counters():
    library = MediaLibraryFactory()
    asset = MediaAssetFactory(library=library, ready=True)
    MediaAssetFactory(library=library)

    body = Caller().get(f"{URL}{library.pk}/").json()

    assert (body["asset_count"], body["total_bytes"]) == (1, asset.file_size)


def test_make_one(manager):
    manager.user.groups.add(Group.objects.create(name="Press"))
    values = {"name": "Sea", "default_tags": ["sea", "Sea"], "editor_groups": ["Press"], "budget_limit": "12.50"}

    response = manager.send(URL, values)

    library = MediaLibrary.objects.get(name="Sea")
    assert response.status_code == 201
    assert response["Location"].endswith(f"{URL}{library.pk}/")
    assert (library.owner, library.budget_limit) == (manager.user, Decimal("12.50"))
    assert [tag.lower() for tag in response.json()["default_tags"]] == ["sea"]
    assert response.json()["editor_groups"] == ["Press"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"name": "new", "budget_limit": "-1"}, "budget_limit"),
        ({"name": "new", "budget_limit": "NaN"}, "budget_limit"),
        ({"name": "new", "budget_limit": "1" * 30}, "budget_limit"),
        ({"name": "new", "budget_period": "week"}, "budget_period"),
        ({"name": "new", "viewer_groups": ["nobody"]}, "viewer_groups"),
        ({"name": "new", "default_tags": ["a,b" * 50]}, "default_tags"),
        ({"name": "new", "owner": "me"}, "owner"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(manager, wrong, field):
    MediaLibraryFactory(name="taken")

    response = manager.send(URL, wrong)

    assert (response.status_code, problem(response)) == (400, "invalid")
    assert response.json()["field"].partition(".")[0] == field
    assert MediaLibrary.objects.count() == 1


def test_a_name_that_is_taken(manager):
    MediaLibraryFactory(name="taken")
    mine = MediaLibraryFactory(owner=manager.user)

    for response in (
        manager.send(URL, {"name": "taken"}),
        manager.send(f"{URL}{mine.pk}/", {"name": "taken"}, "patch"),
    ):
        assert (response.status_code, problem(response)) == (409, "conflict")


def test_change_one(manager):
    library = MediaLibraryFactory(name="Sea", description="old")

    response = manager.send(f"{URL}{library.pk}/", {"description": "", "budget_limit": None}, "patch")

    assert response.status_code == 200
    library.refresh_from_db()
    assert (library.name, library.description, library.budget_limit) == ("Sea", "", None)


@pytest.mark.parametrize("change", [{"budget_limit": None}, {"budget_limit": "999"}, {"budget_period": "day"}])
def test_a_budget_needs_a_permission_of_its_own(change):
    editor = Caller(UserFactory(may=EDIT))
    library = MediaLibraryFactory(name="Sea", budget_limit=Decimal("12.50"), owner=editor.user)
    address = f"{URL}{library.pk}/"

    refused = editor.send(address, {"description": "new", **change}, "patch")
    assert (refused.status_code, problem(refused)) == (403, "forbidden")
    assert "mediagen.change_budget" in refused.json()["detail"]
    library.refresh_from_db()
    assert (library.description, library.budget_limit, library.budget_period) == ("", Decimal("12.50"), "month")
    assert problem(editor.send(URL, {"name": "new", "budget_limit": "1"})) == "forbidden"
    # What stands there already is no change, and the rest is theirs.
    same = {"description": "new", "budget_limit": "12.50", "budget_period": "month"}
    assert editor.send(address, same, "patch").status_code == 200
    assert editor.send(URL, {"name": "new"}).status_code == 201


def test_remove_an_empty_one_only(manager):
    empty, full = MediaLibraryFactory(), MediaAssetFactory().library

    assert manager.delete(f"{URL}{empty.pk}/").status_code == 204
    response = manager.delete(f"{URL}{full.pk}/")
    assert (response.status_code, problem(response)) == (409, "conflict")


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_one_of_somebody_else_is_as_if_it_were_not_there(manager, method):
    hidden = MediaLibraryFactory(owner=UserFactory())

    answers = [manager.send(f"{URL}{pk}/", {}, method) for pk in (hidden.pk, uuid4())]

    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].content == answers[1].content
    assert MediaLibrary.objects.filter(pk=hidden.pk).exists()


def test_those_without_the_permission(manager):
    library = MediaLibraryFactory()
    caller, reader = Caller(), Caller(manager.user, scopes=("read",))

    for one in (caller, reader):
        assert one.send(URL, {"name": "new"}).status_code == 403
        assert one.send(f"{URL}{library.pk}/", {"name": "new"}, "patch").status_code == 403
        assert one.delete(f"{URL}{library.pk}/").status_code == 403


def test_one_that_may_only_be_looked_into_is_not_changed(manager):
    group = GroupFactory()
    manager.user.groups.add(group)
    library = MediaLibraryFactory(owner=UserFactory())
    library.viewer_groups.add(group)

    assert manager.send(f"{URL}{library.pk}/", {"name": "new"}, "patch").status_code == 403


def test_a_token_of_one_library_knows_no_other(manager):
    library, _ = MediaLibraryFactory(), MediaLibraryFactory()
    bound = Caller(manager.user, library=library)

    assert [one["id"] for one in bound.get(URL).json()["results"]] == [str(library.pk)]
    assert bound.send(URL, {"name": "new"}).status_code == 403


class TestOneNamespace:
    """A word means one library at most, wherever it is said, among those that whoever says it may see."""

    @pytest.mark.parametrize("name", ["press-room", "Press-Room", "PRESS ROOM"])
    def test_no_library_is_called_as_another_ones_name_or_slug(self, manager, name):
        MediaLibraryFactory(name="Press room", owner=UserFactory())

        assert problem(manager.send(URL, {"name": name})) == "conflict"

    def test_a_slug_that_follows_from_a_name_is_nobodys_name(self):
        MediaLibraryFactory(name="sea-air", slug="other")

        assert MediaLibraryFactory(name="Sea air").slug == "sea-air-2"

    @pytest.mark.parametrize("is_shared", [True, False])
    def test_a_library_that_was_called_so_before_gets_nothing_that_is_meant_for_another(self, manager, is_shared):
        group = Group.objects.create(name="everybody")
        manager.user.groups.add(group)
        meant = MediaLibraryFactory(name="Press room", owner=manager.user)
        trap = MediaLibraryFactory(name="press-room", slug="trap", owner=UserFactory())
        if is_shared:
            trap.editor_groups.add(group)
        generation = manager.send("/api/v1/generations/", {"prompt": "x", "library": "press-room"})
        upload = manager.post("/api/v1/assets/", {"file": BytesIO(pictures.png()), "library": "press-room"})
        batch = manager.send("/api/v1/batches/", {"manifest": "prompt\nx\n", "library": "press-room"})
        openai = manager.send("/api/v1/openai/v1/images/generations", {"prompt": "x", "library": "press-room"})
        listed = manager.get("/api/v1/assets/?library=press-room")

        assert not trap.assets.exists()
        if is_shared:
            for refusal in (generation, upload, listed):
                assert (refusal.status_code, refusal.json()["field"]) == (400, "library")
                assert str(meant.pk) in refusal.json()["detail"]
                assert str(trap.pk) in refusal.json()["detail"]
            assert batch.status_code == openai.status_code == 400
        else:
            assert (generation.status_code, upload.status_code, openai.status_code) == (202, 201, 200)
            assert meant.assets.count() >= 3
            assert len(listed.json()["results"]) >= 3
