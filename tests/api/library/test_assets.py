"""Assets through the API: to those who may, in the form that the schema says."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from mediagen.api.addresses import Addresses
from mediagen.api.shown import SHOWN, AssetSerializer, shown_asset
from mediagen.engine.files import links
from mediagen.images import inspect
from mediagen.models import AssetUsage, MediaAsset, MediaLibrary, asset_storage
from mediagen.types import uuid7
from tests import pictures
from tests.api.callers import EVERYTHING, Caller, problem
from tests.factories import (
    GenerationAttemptFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
    MediaTagFactory,
    UserFactory,
)

URL = "/api/v1/assets/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(db) -> Caller:
    return Caller()


def hidden(**how):
    return MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()), **how)


def at(asset, *more):
    return "/".join([URL.rstrip("/"), str(getattr(asset, "pk", asset)), *more, ""])


def picture_file(content=None, name="pier.png", content_type="image/png"):
    return SimpleUploadedFile(name, pictures.png() if content is None else content, content_type)


class TestTheList:
    def test_pages_by_cursor_the_newest_first(self, caller):
        assets = [MediaAssetFactory() for _ in range(5)]
        hidden()
        MediaAssetFactory(status="deleted")

        first = caller.get(URL, {"page_size": 3}).json()
        second = caller.get(first["next"]).json()

        found = [row["id"] for page in (first, second) for row in page["results"]]
        assert found == [str(asset.pk) for asset in reversed(assets)]
        assert second["next"] is None

    def test_is_narrowed_by_the_filters_of_all(self, caller):
        asset = MediaAssetFactory(ready=True, prompt="a pier")
        asset.tags.add(MediaTagFactory(name="sea"))
        MediaAssetFactory(prompt="a pier")

        for query in (
            "state=ready",
            "tag=SEA",
            "q=pier&provider=sdxl",
            f"library={asset.library.slug}",
            "max_cost=0.03",
        ):
            assert [row["id"] for row in caller.get(f"{URL}?{query}").json()["results"]] == [str(asset.pk)], query
        assert caller.get(f"{URL}?q=nothing").json()["results"] == []

    def test_shows_the_trash_to_whoever_asks_for_it(self, caller):
        deleted = MediaAssetFactory(status="deleted")

        assert [row["id"] for row in caller.get(f"{URL}?review=deleted").json()["results"]] == [str(deleted.pk)]

    def test_has_only_the_fields_that_were_asked_for(self, caller, django_assert_num_queries):
        MediaAssetFactory(ready=True)

        [row] = caller.get(f"{URL}?fields=name,id,width").json()["results"]

        assert list(row) == ["id", "width", "name"] or set(row) == {"id", "width", "name"}
        response = caller.get(f"{URL}?fields=id,password")
        assert (problem(response), response.json()["field"]) == ("invalid", "fields")

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("state=done", "state"),
            ("min_width=-1", "min_width"),
            ("parent=1", "parent"),
            ("created_from=soon", "created_from"),
            ("q=%00", "q"),
            ("cursor=x", "cursor"),
            ("page_size=0", "page_size"),
            ("page_size=1e9", "page_size"),
        ],
    )
    def test_says_what_it_cannot_read(self, caller, query, field):
        response = caller.get(f"{URL}?{query}")
        assert response.status_code == 400
        assert response.json()["field"] == field

    def test_takes_few_queries_whatever_its_length(self, caller, django_assert_max_num_queries):
        for _ in range(12):
            MediaAssetFactory(ready=True).tags.add(MediaTagFactory())
        caller.get(URL)

        with django_assert_max_num_queries(8) as captured:
            assert len(caller.get(URL).json()["results"]) == 12
        assert not any("COUNT(" in query["sql"] for query in captured.captured_queries)


def test_what_is_written_quickly_is_what_the_schema_says(rf):
    asset = MediaAssetFactory(ready=True, seed=3)
    asset.tags.add(MediaTagFactory(name="sea"))
    asset = MediaAsset.objects.get(pk=asset.pk)
    plain = shown_asset(asset, Addresses("https://site.example", "mediagen_api"))

    described = AssetSerializer(asset)

    assert set(SHOWN) == set(described.fields)
    made = {"url", "file_url", "thumbnail_url", "may", "failure", "created_by", "reviewed_by", "deleted_by"}
    own = set(SHOWN) - made - {"content_credentials"}
    for name in own:
        field = described.fields[name]
        value = field.get_attribute(asset)
        assert plain[name] == (None if value is None else field.to_representation(value)), name


class TestOne:
    def test_tells_all_of_it_and_gives_its_file_to_whoever_has_the_address(self, caller, client):
        asset = MediaAssetFactory(ready=True, name="Pier")

        body = caller.get(at(asset)).json()

        assert (body["id"], body["name"], body["cost"]) == (str(asset.pk), "Pier", "0.030000")
        assert body["url"] == f"http://testserver{at(asset)}"
        assert client.get(body["file_url"]).content == pictures.png()
        assert inspect(client.get(body["thumbnail_url"]).content).format == "webp"
        assert caller.get(at(MediaAssetFactory())).json()["file_url"] is None
        assert set(caller.get(at(asset), {"fields": "id,review"}).json()) == {"id", "review"}

    def test_a_storage_with_addresses_of_its_own_is_named_where_the_site_says_so(self, caller, settings):
        settings.MEDIAGEN = {**settings.MEDIAGEN, "SERVE_FILES": "storage"}
        asset = MediaAssetFactory(ready=True)

        assert caller.get(at(asset)).json()["file_url"] == f"http://testserver/media/{asset.file.name}"

    def test_what_people_write_is_written_and_nothing_else(self, caller):
        asset, there = MediaAssetFactory(ready=True), MediaLibraryFactory(name="There")

        body = caller.send(
            at(asset), {"name": "New", "alt_text": "", "focal_x": 0.2, "library": "there"}, "patch"
        ).json()

        assert (body["name"], body["alt_text"], body["focal_x"], body["library"]) == ("New", "", 0.2, str(there.pk))
        for wrong in (
            {"review": "published"},
            {"focal_x": 2},
            {"name": None},
            {"name": "x" * 256},
            {"alt_text": "\x00"},
            [],
        ):
            assert caller.send(at(asset), wrong, "patch").status_code == 400, wrong

    def test_it_is_moved_to_no_library_of_somebody_else(self, caller):
        asset, foreign = MediaAssetFactory(ready=True), MediaLibraryFactory(owner=UserFactory())

        answers = [caller.send(at(asset), {"library": name}, "patch") for name in (str(foreign.pk), str(uuid7()))]

        assert [problem(answer) for answer in answers] == ["invalid", "invalid"]
        words = [answer.json()["detail"].split("'")[2] for answer in answers]
        assert words[0] == words[1]

    def test_is_deleted_and_had_back(self, caller):
        asset = MediaAssetFactory(ready=True, status="approved")

        assert caller.delete(at(asset)).status_code == 204
        assert caller.get(at(asset)).status_code == 404
        assert caller.delete(at(asset)).status_code == 404
        assert caller.send(at(asset, "undelete"), {}).json()["review"] == "approved"
        assert problem(caller.send(at(asset, "undelete"), {})) == "conflict"

    def test_in_use_it_needs_a_second_yes(self, caller):
        asset = MediaAssetFactory(ready=True)
        AssetUsage.objects.create(asset=asset, campaign="Spring", channel="mail")

        refused = caller.delete(at(asset))
        assert (refused.status_code, problem(refused)) == (409, "asset-in-use")
        assert refused.json()["used"] == ["Spring (mail)"]
        assert caller.delete(at(asset) + "?even_if_used=maybe").status_code == 400
        assert caller.delete(at(asset) + "?even_if_used=true").status_code == 204

    def test_goes_through_the_review(self, caller):
        asset = MediaAssetFactory(ready=True)

        assert caller.send(at(asset, "approve"), {"notes": "good"}).json()["review"] == "approved"
        assert caller.generic("POST", at(asset, "publish")).json()["review"] == "published"
        assert problem(caller.send(at(asset, "approve"), {})) == "conflict"
        assert caller.send(at(asset, "archive"), {}).json()["review"] == "archived"
        assert caller.send(at(asset, "restore"), {}).json()["review"] == "draft"
        assert problem(caller.send(at(MediaAssetFactory()), {}, "post")) == "method-not-allowed"
        assert problem(caller.send(at(MediaAssetFactory(), "approve"), {})) == "conflict"
        asset.refresh_from_db()
        assert asset.review_notes == "good"

    def test_gets_and_loses_tags(self, caller):
        asset = MediaAssetFactory()
        asset.tags.add(MediaTagFactory(name="old"))

        assert caller.send(at(asset, "tags"), {"add": ["Sea"], "remove": ["OLD"]}).json()["tags"] == ["Sea"]
        assert caller.send(at(asset, "tags"), {"add": ["  "]}).status_code == 400
        assert caller.send(at(asset, "tags"), {"set": ["x"]}).status_code == 400


class TestUploads:
    def test_a_picture_becomes_an_asset(self, caller):
        library = MediaLibraryFactory(name="Press")
        earlier = MediaAssetFactory(ready=True)

        response = caller.post(
            URL, {"file": picture_file(), "library": "press", "tags": ["sea", "sky"], "name": "Pier"}
        )

        body = response.json()
        assert response.status_code == 201
        assert response["Location"] == body["url"]
        assert (body["source"], body["state"], body["name"]) == ("uploaded", "ready", "Pier")
        assert (body["library"], body["tags"]) == (str(library.pk), ["sea", "sky"])
        assert body["duplicates"] == [str(earlier.pk)]
        assert MediaAsset.objects.get(pk=body["id"]).created_by == caller.user

    def test_what_it_is_counts(self, caller):
        body = caller.post(URL, {"file": picture_file(pictures.webp(), "lie.png")}).json()
        assert body["format"] == "webp"

    @pytest.mark.parametrize(
        "content",
        [
            pictures.svg(),
            pictures.html(),
            pictures.zip_archive(),
            pictures.truncated(pictures.png()),
            b"",
        ],
    )
    def test_what_is_no_picture_is_refused(self, caller, content):
        response = caller.post(URL, {"file": picture_file(content)})

        assert response.status_code in (400, 415)
        assert response.json()["field"] == "file"
        assert not MediaAsset.objects.exists()

    def test_what_hangs_behind_a_picture_is_not_kept(self, caller):
        response = caller.post(URL, {"file": picture_file(pictures.polyglot())})

        assert response.status_code == 201
        with MediaAsset.objects.get().file.open() as file:
            assert b"PK\x03\x04" not in file.read()

    def test_bodies_that_are_broken(self, caller):
        whole = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + pictures.png()
        multipart = "multipart/form-data; boundary=x"

        for body, content_type in [
            (whole[:200], multipart),
            (whole, "multipart/form-data"),
            (b"", multipart),
            (b"{}", "application/json"),
            (pictures.png(), "image/png"),
            (json.dumps({"file": "x"}).encode(), "application/json"),
        ]:
            response = caller.generic("POST", URL, body, content_type=content_type)
            assert response.status_code in (400, 415), (content_type, response.status_code)
        assert caller.post(URL, {"file": "text"}).json()["field"] == "file"
        assert not MediaAsset.objects.exists()

    def test_to_libraries_that_one_may_use(self, caller):
        foreign = MediaLibraryFactory(owner=UserFactory())
        shared = MediaLibraryFactory(owner=UserFactory())
        from django.contrib.auth.models import Group

        group = Group.objects.create(name="viewers")
        caller.user.groups.add(group)
        shared.viewer_groups.add(group)

        answers = {
            name: caller.post(URL, {"file": picture_file(), "library": name}).status_code
            for name in (str(foreign.pk), str(uuid7()), str(shared.pk))
        }

        assert list(answers.values()) == [400, 400, 403]
        assert not MediaAsset.objects.exists()

    def test_a_tokens_own_library_is_its_default(self):
        own = MediaLibraryFactory()
        caller = Caller(library=own)

        assert caller.post(URL, {"file": picture_file()}).json()["library"] == str(own.pk)
        other = caller.post(URL, {"file": picture_file(), "library": str(MediaLibraryFactory().pk)})
        assert other.status_code == 400

    def test_a_storage_that_is_full(self, caller, monkeypatch):
        monkeypatch.setattr(type(asset_storage()), "_save", lambda *args: (_ for _ in ()).throw(OSError("full")))
        response = caller.post(URL, {"file": picture_file()})
        assert (response.status_code, problem(response)) == (503, "unavailable")


class TestWhatBelongsToIt:
    def test_attempts(self, caller):
        asset = MediaAssetFactory(failed=True)
        GenerationAttemptFactory(asset=asset, unavailable=True)

        [row] = caller.get(at(asset, "attempts")).json()["results"]
        assert (row["provider"], row["outcome"]) == ("sdxl", "unavailable")

    def test_duplicates_as_far_as_one_may_see(self, caller):
        asset, same = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True)
        hidden()
        MediaAssetFactory(ready=True, content=pictures.png(seed=4))

        assert [row["id"] for row in caller.get(at(asset, "duplicates")).json()["results"]] == [str(same.pk)]

    def test_variants(self, caller):
        asset = MediaAssetFactory(ready=True)

        made = caller.send(at(asset, "variants"), {"sizes": ["32x16", "x12"]})
        again = caller.send(at(asset, "variants"), {"sizes": ["32x16"]})

        assert made.status_code == again.status_code == 201
        assert [(row["width"], row["height"], row["parent"]) for row in made.json()["results"]] == [
            (32, 16, str(asset.pk)),
            (16, 12, str(asset.pk)),
        ]
        assert again.json()["results"][0]["id"] == made.json()["results"][0]["id"]
        assert len(caller.get(at(asset, "variants")).json()["results"]) == 2
        assert caller.send(at(asset, "variants"), {"sizes": ["huge"]}).json()["field"] == "sizes"
        assert problem(caller.send(at(MediaAssetFactory(), "variants"), {"sizes": ["8x"]})) == "conflict"

    def test_usage_and_figures(self, caller):
        asset = MediaAssetFactory(ready=True)

        used = caller.send(at(asset, "usages"), {"campaign": "Spring", "url": "https://example.org/a"}).json()
        counted = caller.send(
            at(asset, "metrics"), {"campaign": "Spring", "totals": {"impressions": 200}, "add": {"clicks": 5}}
        ).json()
        ended = caller.send(at(asset, "usages"), {"campaign": "Spring", "ended": True}).json()

        assert (used["url"], used["click_rate"]) == ("https://example.org/a", None)
        assert (counted["clicks"], counted["click_rate"]) == (5, 0.025)
        assert ended["ended_at"] is not None
        assert len(caller.get(at(asset, "usages")).json()["results"]) == 1
        best = caller.get(f"{URL}best/", {"campaign": "Spring"}).json()["results"]
        assert [(row["asset"]["id"], row["click_rate"]) for row in best] == [(str(asset.pk), 0.025)]

    @pytest.mark.parametrize(
        "body",
        [
            {"campaign": "x", "add": {"clicks": -1}},
            {"campaign": "x", "add": {"likes": 1}},
            {"campaign": "x", "add": {"clicks": 1}, "totals": {"clicks": 1}},
            {"add": {"clicks": 1}},
            {"campaign": "x", "add": {"clicks": 2**63}},
            {"campaign": "x", "add": 3},
        ],
    )
    def test_figures_that_cannot_be(self, caller, body):
        assert caller.send(at(MediaAssetFactory(ready=True), "metrics"), body).status_code == 400

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "campaign=",
            "campaign=x&by=luck",
            "campaign=x&limit=0",
            "campaign=x&min_impressions=-1",
            "campaign=x&channel=%00",
        ],
    )
    def test_the_best_of_nothing(self, caller, query):
        assert caller.get(f"{URL}best/?{query}").status_code == 400


class TestFiles:
    def test_a_download_is_saved_under_its_name(self, caller):
        asset = MediaAssetFactory(ready=True, name="The pier")

        response = caller.get(at(asset, "download"))

        assert response.content == pictures.png()
        assert response["Content-Disposition"] == 'attachment; filename="The-pier.png"'
        assert response["X-Content-Type-Options"] == "nosniff"
        assert caller.get(at(asset, "download"), headers={"if-none-match": response["ETag"]}).status_code == 304
        assert caller.get(at(asset, "download"), headers={"range": "bytes=0-3"}).status_code == 206
        assert problem(caller.get(at(MediaAssetFactory(), "download"))) == "conflict"

    def test_a_file_that_is_gone_is_a_404(self, caller):
        asset = MediaAssetFactory(ready=True)
        asset_storage().delete(asset.file.name)
        assert problem(caller.get(at(asset, "download"))) == "not-found"
        assert problem(caller.get(at(asset, "renditions"), {"w": 8})) == "unavailable"

    def test_renditions(self, caller):
        asset = MediaAssetFactory(ready=True)

        response = caller.get(at(asset, "renditions"), {"w": 32, "h": 32, "fit": "cover", "format": "jpeg", "q": 50})

        picture = inspect(response.content)
        assert (picture.format, picture.width, picture.height) == ("jpeg", 32, 32)
        for query, field in (
            (("w", "0"), "width"),
            (("format", "bmp"), "format"),
            (("fit", "x"), "fit"),
            (("q", "0"), "quality"),
        ):
            refused = caller.get(at(asset, "renditions"), dict([query]))
            assert (refused.status_code, refused.json()["field"]) == (400, field)

    def test_a_signed_address_for_whoever_has_it(self, caller, client):
        asset = MediaAssetFactory(ready=True)

        made = caller.send(at(asset, "link"), {"expires_s": 60, "download": True})

        assert made.status_code == 201
        assert client.get(made.json()["url"])["Content-Disposition"].startswith("attachment")
        assert caller.send(at(asset, "link"), {"expires_s": 0}).status_code == 400
        assert caller.generic("POST", at(asset, "link")).status_code == 201

    def test_the_apis_own_signed_address_refuses_in_its_form(self, client):
        asset = MediaAssetFactory(ready=True)
        token = links.token(asset)

        assert client.get(f"/api/v1/files/{token}/").content == pictures.png()
        refused = client.get(f"/api/v1/files/{token}x/")
        assert (refused.status_code, problem(refused)) == (403, "link-refused")


# --- who may


POSTS = {
    "undelete": {},
    "approve": {},
    "publish": {},
    "archive": {},
    "restore": {},
    "tags": {"add": ["x"]},
    "variants": {"sizes": ["8x8"]},
    "crops": {"width": 8},
    "usages": {"campaign": "x"},
    "metrics": {"campaign": "x", "add": {"clicks": 1}},
    "link": {},
}
GETS = ["attempts", "duplicates", "variants", "usages", "download", "renditions"]
NEEDS = {
    "undelete": "delete_mediaasset",
    **dict.fromkeys(("approve", "publish", "archive", "restore"), "approve_mediaasset"),
    **dict.fromkeys(("tags", "usages", "metrics"), "change_mediaasset"),
    "variants": "add_mediaasset",
    "crops": "add_mediaasset",
    "link": "view_mediaasset",
}


def asked(caller, asset):
    """Every way to ask for one asset: {(method, part): response}."""
    answers = {("GET", part): caller.get(at(asset, part)) for part in GETS}
    answers |= {("POST", part): caller.send(at(asset, part), body) for part, body in POSTS.items()}
    answers["GET", ""] = caller.get(at(asset))
    answers["PATCH", ""] = caller.send(at(asset), {"name": "x"}, "patch")
    answers["DELETE", ""] = caller.delete(at(asset))
    return answers


def test_what_one_may_not_see_is_answered_as_what_does_not_exist(caller):
    there, nowhere = asked(caller, hidden()), asked(caller, uuid7())

    for key, response in there.items():
        assert response.status_code == 404, key
        assert response.content == nowhere[key].content, key


def test_nobody_without_signing_in(client):
    asset = MediaAssetFactory(ready=True)

    for path in (URL, at(asset), at(asset, "download"), "/api/v1/jobs/"):
        assert client.get(path).status_code in (401, 403)


@pytest.mark.parametrize("missing", EVERYTHING)
def test_each_right_is_needed_where_it_is_needed(missing):
    user = UserFactory(may=[name for name in EVERYTHING if name != missing], is_staff=False)
    asset = MediaAssetFactory(ready=True)

    answers = asked(Caller(user), asset)

    needs = {
        **{("GET", part): "view_mediaasset" for part in [*GETS, ""]},
        **{("POST", part): NEEDS[part] for part in POSTS},
        ("PATCH", ""): "change_mediaasset",
        ("DELETE", ""): "delete_mediaasset",
    }
    for key, response in answers.items():
        if needs[key] == missing:
            assert response.status_code == 403, key
        elif missing == "view_mediaasset":
            assert response.status_code == 404, key  # what one may not look at is not there
        else:
            assert response.status_code not in (401, 403, 500), key


def test_a_token_that_may_only_read_changes_nothing():
    asset = MediaAssetFactory(ready=True)

    answers = asked(Caller(scopes=("read",)), asset)

    for (method, part), response in answers.items():
        assert (response.status_code == 403) == (method != "GET" and part != "link"), (method, part)


def test_who_may_only_look_into_a_library_is_told_so(caller):
    from django.contrib.auth.models import Group

    group = Group.objects.create(name="viewers")
    caller.user.groups.add(group)
    library: MediaLibrary = MediaLibraryFactory(owner=UserFactory())
    library.viewer_groups.add(group)
    asset = MediaAssetFactory(ready=True, library=library)

    answers = asked(caller, asset)

    for (method, part), response in answers.items():
        expected = (
            response.status_code == 200 if method == "GET" else response.status_code == (201 if part == "link" else 403)
        )
        assert expected, (method, part, response.status_code)
