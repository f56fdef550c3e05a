"""What the plugin asks the site: by its token alone, from a page without an origin, seeing what its user may see."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from mediagen import images
from mediagen.engine.exports import rows
from mediagen.engine.files import renditions
from mediagen.engine.library import trash
from mediagen.models import AssetExport, MediaAsset
from tests import pictures
from tests.api.callers import Caller, problem
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

FIGMA = "/api/v1/figma/"
KEY = "abcDEF123456"
ADA, BOB = "figma-plugin-ada", "figma-plugin-bob"


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def caller():
    return Caller(scopes=("figma",))


@pytest.fixture
def asset():
    return MediaAssetFactory(ready=True, name="Red fox")


@pytest.fixture
def export(asset):
    found = rows.begin(asset, "figma", file_key=KEY, page_id="0:1", frame_name="Hero", x=10, y=20)
    rows.wait_for_plugin(found)
    return found


def size(content):
    picture = images.inspect(content)
    return picture.width, picture.height


def at(export, action):
    return f"{FIGMA}exports/{export.pk}/{action}/"


class TestWhoAsks:
    @pytest.mark.parametrize("path", ["session/", "files/", f"exports/?file={KEY}", "assets/"])
    def test_needs_a_token_with_the_scope(self, path):
        assert problem(Client().get(FIGMA + path)) == "not-signed-in"
        assert problem(Caller(scopes=("read", "generate", "change", "approve")).get(FIGMA + path)) == "forbidden"
        assert Caller(scopes=("figma",)).get(FIGMA + path).status_code == 200

    def test_a_session_does_not_count(self):
        client = Client()
        client.force_login(UserFactory(is_superuser=True))
        assert problem(client.get(FIGMA + "session/")) == "not-signed-in"

    def test_the_token_opens_nothing_else(self, caller):
        assert not caller.token.allows("read")

    def test_session(self, caller):
        library = MediaLibraryFactory(name="Posters")
        said = caller.get(FIGMA + "session/").json()
        assert (said["user"], said["token"], said["may_send"]) == (caller.user.username, "test", True)
        assert {"id": str(library.pk), "name": "Posters"} in said["libraries"]

    def test_who_may_only_look_cannot_send(self):
        said = Caller(UserFactory(may=["view_mediaasset"]), scopes=("figma",)).get(FIGMA + "session/").json()
        assert (said["may_send"], said["libraries"]) == (False, [])


class TestTheOriginThatIsNone:
    def test_a_preflight_is_answered(self):
        response = Client().options(
            FIGMA + "session/",
            headers={"Origin": "null", "Access-Control-Request-Method": "GET",
                     "Access-Control-Request-Headers": "authorization"},
        )  # fmt: skip
        assert response.status_code == 204
        assert response["Access-Control-Allow-Origin"] == "null"
        assert "authorization" in response["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in response

    @pytest.mark.parametrize("origin", ["https://evil.example", "https://www.figma.com"])
    def test_other_origins_are_not_let_in(self, caller, origin):
        response = caller.get(FIGMA + "session/", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in response
        assert "Origin" in response["Vary"]

    def test_refusals_can_be_read_too(self):
        response = Client().get(FIGMA + "session/", headers={"Origin": "null"})
        assert (response.status_code, response["Access-Control-Allow-Origin"]) == (401, "null")

    def test_no_other_address_of_the_api_answers_to_it(self):
        response = Caller().get("/api/v1/schema/", headers={"Origin": "null"})
        assert "Access-Control-Allow-Origin" not in response


class TestWaiting:
    def test_files(self, caller, export):
        rows.wait_for_plugin(rows.begin(export.asset, "figma", file_key="otherKEY"))
        found = caller.get(FIGMA + "files/").json()
        assert [(row["file_key"], row["waiting"]) for row in found] == [("otherKEY", 1), (KEY, 1)]

    def test_exports_of_a_file_by_its_address(self, caller, export):
        said = caller.get(FIGMA + "exports/", {"file": f"https://www.figma.com/design/{KEY}/Campaign?t=x"}).json()
        assert said["file_key"] == KEY
        (found,) = said["results"]
        assert (found["id"], found["state"], found["page_id"], found["frame_name"], found["x"], found["y"]) == (
            str(export.pk), "waiting", "0:1", "Hero", 10.0, 20.0,
        )  # fmt: skip
        assert (found["asset"]["name"], found["asset"]["width"], found["asset"]["height"]) == ("Red fox", 64, 48)

    def test_not_those_that_have_ended_or_are_dry(self, caller, asset):
        for state in ("placed", "expired", "cancelled"):
            AssetExport.objects.create(asset=asset, target="figma", file_key=KEY, state=state)
        AssetExport.objects.create(asset=asset, target="figma", file_key=KEY, state="waiting", dry_run=True)
        rows.fail(rows.begin(asset, "figma", file_key=KEY), "Figma said no before it ever waited.")
        assert caller.get(FIGMA + "exports/", {"file": KEY}).json()["results"] == []

    def test_what_is_no_file(self, caller):
        response = caller.get(FIGMA + "exports/", {"file": "https://evil.example/design/abc"})
        assert (problem(response), response.json()["field"]) == ("invalid", "file_key")

    def test_nobody_sees_the_exports_of_what_he_may_not_see(self, caller):
        hidden = rows.begin(
            MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory())), "figma", file_key=KEY
        )
        rows.wait_for_plugin(hidden)
        assert caller.get(FIGMA + "exports/", {"file": KEY}).json()["results"] == []
        assert caller.get(FIGMA + "files/").json() == []
        for action, body in (
            ("claim", {"worker": ADA}),
            ("placed", {"token": 1, "node_id": "1:2"}),
            ("not-placed", {"token": 1, "reason": "error"}),
            ("give-back", {"token": 1}),
        ):
            assert problem(caller.send(at(hidden, action), body)) == "not-found"

    def test_a_token_of_one_library_sees_that_one(self, asset):
        other = MediaLibraryFactory()
        export = rows.begin(MediaAssetFactory(ready=True, library=other), "figma", file_key=KEY)
        rows.wait_for_plugin(export)
        rows.wait_for_plugin(rows.begin(asset, "figma", file_key=KEY))
        found = Caller(scopes=("figma",), library=other).get(FIGMA + "exports/", {"file": KEY}).json()["results"]
        assert [row["id"] for row in found] == [str(export.pk)]


class TestPlacing:
    def test_claim_and_report(self, caller, export):
        held = caller.send(at(export, "claim"), {"worker": ADA, "page_id": "0:1"}).json()
        assert (held["state"], held["token"], held["pages"]) == ("running", 1, ["0:1"])
        for _ in range(2):  # the first answer may be lost
            said = caller.send(at(export, "placed"), {"token": 1, "node_id": "12:34", "page_id": "0:1"})
            assert said.status_code == 200
        assert said.json()["url"] == f"https://www.figma.com/design/{KEY}/Hero?node-id=12-34"
        row = AssetExport.objects.get()
        assert (row.state, row.external_id, row.page_id) == ("placed", "12:34", "0:1")
        assert row.asset.tag_names == ["figma_exported"]

    def test_two_at_once(self, caller, export):
        caller.send(at(export, "claim"), {"worker": ADA})
        refused = caller.send(at(export, "claim"), {"worker": BOB})
        assert (problem(refused), refused.json()["export"]["state"]) == ("conflict", "running")

    def test_who_comes_next_is_told_where_to_look(self, caller, export):
        caller.send(at(export, "claim"), {"worker": ADA, "page_id": "0:7"})
        AssetExport.objects.update(lease_until=rows.db_now().replace(year=2020))
        held = caller.send(at(export, "claim"), {"worker": BOB, "page_id": "0:1"}).json()
        assert (held["token"], held["pages"]) == (2, ["0:7", "0:1"])

    def test_the_second_place_is_told_of_the_first(self, caller, export):
        caller.send(at(export, "claim"), {"worker": ADA})
        caller.send(at(export, "placed"), {"token": 1, "node_id": "12:34"})
        refused = caller.send(at(export, "placed"), {"token": 1, "node_id": "56:78"})
        assert (problem(refused), refused.json()["export"]["node_id"]) == ("conflict", "12:34")

    def test_a_page_that_is_gone_and_another_one(self, caller, export):
        caller.send(at(export, "claim"), {"worker": ADA})
        said = caller.send(
            at(export, "not-placed"), {"token": 1, "reason": "page_missing", "message": "no\n0:1"}
        ).json()
        assert said["state"] == "failed"
        assert said["message"].endswith("Figma says: no 0:1")
        assert caller.get(FIGMA + "exports/", {"file": KEY}).json()["results"][0]["state"] == "failed"
        assert problem(caller.send(at(export, "claim"), {"worker": ADA})) == "conflict"
        assert caller.send(at(export, "claim"), {"worker": ADA, "again": True}).json()["token"] == 2

    def test_give_back(self, caller, export):
        caller.send(at(export, "claim"), {"worker": ADA})
        assert caller.send(at(export, "give-back"), {"token": 1}).json()["state"] == "waiting"

    @pytest.mark.parametrize(
        ("action", "body", "field"),
        [
            ("claim", {}, "worker"), ("claim", {"worker": "x"}, "worker"),
            ("claim", {"worker": ADA, "page_id": "one"}, "page_id"),
            ("placed", {"token": 1}, "node_id"), ("placed", {"token": 1, "node_id": "x"}, "node_id"),
            ("placed", {"node_id": "1:2"}, "token"), ("not-placed", {"token": 1, "reason": "mood"}, "reason"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_said(self, caller, export, action, body, field):
        response = caller.send(at(export, action), body)
        assert (problem(response), response.json()["field"]) == ("invalid", field)


class TestTheLibrary:
    def test_search(self, caller, asset):
        MediaAssetFactory(ready=True, name="Blue whale")
        MediaAssetFactory(name="Red fox, not made yet")
        found = caller.get(FIGMA + "assets/", {"q": "fox"}).json()
        assert [row["id"] for row in found["results"]] == [asset.asset_id]
        assert len(caller.get(FIGMA + "assets/").json()["results"]) == 2

    def test_insert(self, caller, asset):
        response = caller.send(
            FIGMA + "exports/", {"asset": asset.asset_id, "file": KEY, "worker": ADA, "page_id": "0:2"}
        )
        said = response.json()
        assert response.status_code == 201
        assert (said["state"], said["token"], said["inserted"], said["pages"]) == ("running", 1, True, ["0:2"])
        assert AssetExport.objects.get().created_by == caller.user

    def test_what_one_may_not_see_cannot_be_inserted_or_fetched(self, caller):
        hidden = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
        body = {"asset": hidden.asset_id, "file": KEY, "worker": ADA}
        assert problem(caller.send(FIGMA + "exports/", body)) == "invalid"
        assert problem(caller.get(f"{FIGMA}assets/{hidden.pk}/picture/")) == "not-found"
        assert not AssetExport.objects.exists()

    def test_the_picture_as_it_is(self, caller, asset):
        response = caller.get(f"{FIGMA}assets/{asset.pk}/picture/")
        assert (response["Content-Type"], response.content) == ("image/png", renditions.source_of(asset))

    @pytest.mark.parametrize("format", ["webp", "avif", "gif"])
    def test_formats_that_figma_does_not_take(self, caller, format):
        content = pictures.picture(format)
        asset = MediaAssetFactory(ready=True, content=content, format=format)
        response = caller.get(f"{FIGMA}assets/{asset.pk}/picture/")
        assert response["Content-Type"] in ("image/png", "image/jpeg")

    def test_a_picture_that_is_too_large(self, caller):
        asset = MediaAssetFactory(ready=True, content=pictures.png(5000, 50), width=5000, height=50)
        response = caller.get(f"{FIGMA}assets/{asset.pk}/picture/")
        assert size(response.content) == (4096, 41)
        (shown,) = caller.get(FIGMA + "assets/").json()["results"]
        assert (shown["width"], shown["height"]) == (4096, 41)

    def test_a_thumbnail(self, caller):
        asset = MediaAssetFactory(ready=True, content=pictures.png(800, 400), width=800, height=400)
        response = caller.get(f"{FIGMA}assets/{asset.pk}/picture/", {"thumbnail": "1"})
        assert size(response.content) == (320, 160)

    def test_a_deleted_asset(self, caller, export):
        trash.delete([export.asset_id], caller.user, even_if_used=True)
        assert problem(caller.get(f"{FIGMA}assets/{export.asset_id}/picture/")) == "not-found"
        assert problem(caller.send(at(export, "claim"), {"worker": ADA})) == "not-found"


def send(caller, content=None, key="", **query):
    headers = {"Idempotency-Key": key} if key else {}
    path = FIGMA + "uploads/?" + "&".join(f"{name}={value}" for name, value in query.items())
    body = pictures.png(seed=9) if content is None else content
    return caller.post(path, body, content_type="image/png", headers=headers)


class TestSendingBack:
    def test_a_child_of_what_was_placed(self, caller, asset):
        response = send(caller, parent=asset.asset_id, file=KEY, node_id="12:34", name="Hero%20v2")
        said = response.json()
        assert (response.status_code, said["parent_id"], said["name"]) == (201, asset.asset_id, "Hero v2")
        child = MediaAsset.objects.get(pk=said["id"])
        assert (child.parent, child.library, child.source, child.created_by) == (
            asset, asset.library, "imported", caller.user,
        )  # fmt: skip
        assert child.parameters["figma"]["url"] == f"https://www.figma.com/design/{KEY}/file?node-id=12-34"
        assert child.tag_names == ["figma_imported"]
        assert child.is_ready

    def test_the_parent_is_found_by_the_node(self, caller, export):
        caller.send(at(export, "claim"), {"worker": ADA})
        caller.send(at(export, "placed"), {"token": 1, "node_id": "12:34"})
        assert send(caller, file=KEY, node_id="12:34").json()["parent_id"] == str(export.asset_id)

    def test_the_same_key_is_the_same_asset(self, caller, asset):
        first, second = (send(caller, key="node-1", parent=asset.asset_id) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json()["id"] == second.json()["id"]
        assert MediaAsset.objects.count() == 2

    def test_a_key_is_each_tokens_own(self, caller, asset):
        first = send(caller, key="node-1", parent=asset.asset_id).json()
        other = Caller(caller.user, scopes=("figma",), library=asset.library)
        again = send(other, key="node-1", parent=asset.asset_id)
        assert again.status_code == 201
        assert again.json()["id"] != first["id"]

    @pytest.mark.parametrize("parent", ["", "nonsense", "00000000-0000-4000-8000-000000000000"])
    def test_without_a_known_parent_it_goes_where_one_says(self, caller, parent):
        library = MediaLibraryFactory()
        said = send(caller, parent=parent, library=library.pk).json()
        assert (said["parent_id"], said["library"]) == (None, library.name)

    def test_not_into_a_library_that_one_may_not_change(self, caller):
        theirs = MediaLibraryFactory(owner=UserFactory())
        response = send(caller, library=theirs.pk)
        assert (problem(response), response.json()["field"]) == ("invalid", "library")

    def test_who_may_only_look_sends_nothing(self, asset):
        caller = Caller(UserFactory(may=["view_mediaasset"]), scopes=("figma",))
        assert problem(send(caller, parent=asset.asset_id)) == "invalid"
        assert MediaAsset.objects.count() == 1

    @pytest.mark.parametrize("content", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"PK\x03\x04"])
    def test_what_is_no_picture(self, caller, asset, content):
        assert problem(send(caller, content, parent=asset.asset_id)) == "invalid"
        assert MediaAsset.objects.count() == 1

    def test_only_pictures_are_read(self, caller):
        response = caller.post(FIGMA + "uploads/", {"a": 1}, content_type="application/json")
        assert problem(response) == "unsupported-media-type"

    def test_more_than_the_site_takes(self, caller, settings):
        settings.MEDIAGEN = {"MAX_IMAGE_BYTES": 100}
        assert problem(send(caller)) == "too-large"
