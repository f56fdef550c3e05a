"""Nodes of a Figma file on their way into the library: children of what was placed, and every way to fail."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from mediagen.engine import get_media_engine
from mediagen.engine.exports import rows
from mediagen.errors import GenerationFailed, InvalidRequest
from mediagen.models import GenerationAttempt, MediaAsset
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()
KEY = "abcDEF123456789012345"


@pytest.fixture
def server(live):
    return live("figma_api")[0]


def fetch(server, nodes=("1:2",), **options):
    return engine.import_from_figma_sync(server.file_key, nodes, **options)


class TestDry:
    def test_gives_marked_placeholders(self):
        found = engine.import_from_figma_sync(KEY, ["1:2", "1-3"])
        assert (found.dry_run, found.failures, len(found.assets)) == (True, (), 2)
        assert all(asset.is_placeholder and asset.dry_run and asset.is_ready for asset in found.assets)
        assert engine.import_from_figma_sync(KEY, "1:2").assets[0].content_hash == found.assets[0].content_hash
        assert GenerationAttempt.objects.filter(operation="import_from_figma", dry_run=True).exists()


class TestLive:
    def test_each_node_is_an_asset(self, server):
        user, library = UserFactory(), MediaLibraryFactory()
        found = fetch(server, ["1:2", "1:3"], library_id=library.pk, by=user)
        assert [(asset.width, asset.height) for asset in found.assets] == [(800, 600), (400, 300)]
        first = found.assets[0]
        assert (first.source, first.library, first.created_by, first.parent, first.format) == (
            "imported", library, user, None, "png",
        )  # fmt: skip
        assert first.parameters["figma"] == {
            "file_key": server.file_key, "node_id": "1:2",
            "url": f"https://www.figma.com/design/{server.file_key}/file?node-id=1-2",
        }  # fmt: skip
        assert first.tag_names == ["figma_imported"]
        (asked,) = server.requests_for("render")  # one call for both: they are rare
        assert asked.query == {"ids": "1:2,1:3", "format": "png", "scale": "1"}
        attempt = GenerationAttempt.objects.get(operation="import_from_figma", state="succeeded")
        assert (attempt.asset, attempt.library) == (None, library)

    def test_what_we_placed_is_the_parent(self, server):
        asset = MediaAssetFactory(ready=True, name="Red fox", alt_text="A fox")
        export = rows.begin(asset, "figma", file_key=server.file_key)
        rows.placed(export.pk, token=None, external_id="1:2")
        (child,) = fetch(server).assets
        assert (child.parent, child.library, child.name, child.alt_text) == (asset, asset.library, "Red fox", "A fox")

    def test_a_parent_that_the_person_may_not_add_to_is_left_out(self, server):
        asset = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
        export = rows.begin(asset, "figma", file_key=server.file_key)
        rows.placed(export.pk, token=None, external_id="1:2")
        (found,) = fetch(server, by=UserFactory(may=["view_mediaasset", "add_mediaasset"])).assets
        assert (found.parent, found.library.name) == (None, "Default")

    def test_scale_and_format(self, server):
        (asset,) = fetch(server, format="jpg", scale=0.5).assets
        assert (asset.width, asset.height, asset.format, asset.fit_report) == (400, 300, "jpeg", {})

    def test_addresses_are_as_good_as_ids(self, server):
        address = f"https://www.figma.com/design/{server.file_key}/Campaign?node-id=1-2&t=x"
        assert len(engine.import_from_figma_sync(address, [address, "1:2"]).assets) == 1

    def test_the_address_of_a_render_is_asked_without_the_token(self, server):
        server.deliver_elsewhere()
        fetch(server)
        assert server.leaks == []


class TestFaults:
    def test_a_node_that_cannot_be_rendered_stops_no_other(self, server):
        found = fetch(server, ["1:2", "9:9"])
        assert len(found.assets) == 1
        assert found.failures[0].node_id == "9:9"
        assert "not in the file, or shows nothing" in found.failures[0].message

    def test_an_address_that_has_expired_is_asked_for_once_more(self, server):
        server.fault("download", Fault.expired())
        assert len(fetch(server).assets) == 1
        assert len(server.requests_for("render")) == 2

    def test_an_address_that_stays_expired(self, server):
        server.fault("download", Fault.expired(), times=None)
        found = fetch(server)
        assert "expired" in found.failures[0].message
        assert (len(server.requests_for("render")), MediaAsset.objects.count()) == (2, 0)

    @pytest.mark.parametrize("fault", [Fault.not_a_picture(), Fault.truncated_picture(), Fault.html_200()])
    def test_what_is_no_picture(self, server, fault):
        server.fault("download", fault, times=None)
        assert len(fetch(server).failures) == 1
        assert MediaAsset.objects.count() == 0

    def test_an_address_inside_the_house_is_not_asked(self, server):
        server.fault("render", Fault.foreign_url("http://169.254.169.254/latest/"), times=None)
        assert len(fetch(server).failures) == 1

    def test_a_render_that_takes_too_long_is_halved_once(self, server):
        server.fault("render", Fault.http(500))
        found = fetch(server, ["1:2", "1:3"])
        assert len(found.assets) == 2
        assert [request.query["ids"] for request in server.requests_for("render")] == ["1:2,1:3", "1:2", "1:3"]

    def test_a_single_one_comes_at_half_the_scale_and_says_so(self, server):
        server.fault("render", Fault.http(500))
        (asset,) = fetch(server, scale=2).assets
        assert (asset.width, asset.fit_report["scale"]["asked"], asset.fit_report["scale"]["made"]) == (800, 2, 1.0)

    def test_a_render_at_figmas_limit_says_that_it_may_be_smaller(self, server, settings):
        server.files[server.file_key]["nodes"]["5:5"] = (8000, 4000)
        (asset,) = fetch(server, ["5:5"]).assets
        assert "32 megapixels" in asset.fit_report["size"]["why"]

    def test_a_wait_of_days(self, server):
        server.fault("render", Fault.rate_limited(400_000), times=None)
        with pytest.raises(GenerationFailed, match=r"4\.6 days.*View or Collab"):
            fetch(server)
        assert GenerationAttempt.objects.get(state="failed").outcome == "rate_limited"
        with pytest.raises(GenerationFailed):  # and Figma is not asked again meanwhile
            fetch(server)
        assert len(server.requests_for("render")) == 1

    def test_a_token_that_is_no_good(self, server):
        server.fault("render", Fault.http(403), times=None)
        with pytest.raises(GenerationFailed, match="Check the credential"):
            fetch(server)

    def test_a_file_that_is_not_there(self, server):
        with pytest.raises(GenerationFailed, match="not shared with the owner of the token"):
            engine.import_from_figma_sync("otherKEY", ["1:2"])

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"file_key": "no key"}, "file_key"), ({"node_ids": ["x"]}, "node_ids"), ({"node_ids": []}, "node_ids"),
            ({"node_ids": [f"1:{n}" for n in range(201)]}, "node_ids"), ({"format": "svg"}, "format"),
            ({"scale": 5}, "scale"), ({"scale": True}, "scale"), ({"library_id": "x"}, "library_id"),
        ],
    )  # fmt: skip
    def test_what_nobody_can_render(self, server, change, field):
        with pytest.raises(InvalidRequest) as raised:
            engine.import_from_figma_sync(**{"file_key": server.file_key, "node_ids": ["1:2"], **change})
        assert raised.value.field == field
        assert server.requests == []


class TestCommand:
    def run(self, *arguments):
        out, errors = StringIO(), StringIO()
        try:
            call_command("figma_import", *arguments, stdout=out, stderr=errors)
        except CommandError as exc:
            return exc.returncode, out.getvalue(), errors.getvalue() + str(exc)
        return 0, out.getvalue(), errors.getvalue()

    def test_all_of_them(self, server):
        code, out, _ = self.run(
            server.file_key, "1:2", "1:3", "--scale", "0.5", "--library", MediaLibraryFactory().name
        )
        assert code == 0
        assert "1:2: " in out
        assert "400 x 300" in out

    def test_not_all(self, server):
        code, out, errors = self.run(server.file_key, "1:2", "9:9", "--json")
        told = [json.loads(line) for line in out.splitlines()]
        assert (code, [bool(one["asset_id"]) for one in told]) == (1, [True, False])
        assert "1 of 2 nodes failed" in errors

    def test_nobody_can(self, server):
        assert self.run("otherKEY", "1:2")[0] == 1

    @pytest.mark.parametrize(
        "arguments",
        [("no key", "1:2"), (KEY, "x"), (KEY, "1:2", "--library", "none"), (KEY, "1:2", "--live", "--dry-run")],
    )
    def test_bad_usage(self, arguments):
        assert self.run(*arguments)[0] == 2
