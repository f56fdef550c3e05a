"""code.js in a small Figma, against the site: placed once, found again, reported until heard, and sent back."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile

from mediagen.engine.exports import rows
from mediagen.models import ApiToken, AssetExport, MediaAsset
from mediagen.models.clock import db_now
from tests import pictures
from tests.factories import MediaAssetFactory, MediaLibraryFactory
from tests.figma.plugin import PluginRefused, understood

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "abcDEF123456ghiJKL7890"
ADDRESS = f"https://www.figma.com/design/{KEY}/Campaign?t=x"


@pytest.fixture
def asset():
    return MediaAssetFactory(ready=True, name="Red fox", content=pictures.png(80, 60), width=80, height=60)


def export(asset, **place):
    found = rows.begin(asset, "figma", file_key=KEY, **{"frame_name": "Hero", **place})
    rows.wait_for_plugin(found)
    return found


def state(found):
    found.refresh_from_db()
    return found.state


def lease_over():
    AssetExport.objects.filter(state="running").update(lease_until=db_now() - timedelta(seconds=1))


@pytest.fixture
def ada(figma, designer):
    return figma.open("ada").ready(designer[1], ADDRESS)


class TestSignIn:
    def test_with_a_token_that_stays_here(self, figma, designer, site):
        ada = figma.open("ada")
        assert ada.ask("start")["signed_in"] is False
        assert ada.ask("sign-in", token=f" {designer[1]}\n")["user"] == designer[0].username
        again = figma.open("ada").ask("start")
        assert (again["signed_in"], again["site"]) == (True, site)
        assert designer[1] not in json.dumps(figma.do("seen"))
        assert figma.open("ada").ask("sign-out")["signed_in"] is False

    @pytest.mark.whole
    def test_a_wrong_token(self, figma, site):
        with pytest.raises(PluginRefused, match="unknown, revoked or expired"):
            figma.open("ada").ask("sign-in", token="mgt_nonsense")

    @pytest.mark.whole
    def test_one_that_was_made_for_something_else(self, figma, designer):
        _, text = ApiToken.objects.issue(designer[0], "script", scopes=["read"])
        with pytest.raises(PluginRefused, match="scope figma"):
            figma.open("ada").ask("sign-in", token=text)

    def test_one_that_is_revoked_meanwhile(self, ada):
        ApiToken.objects.update(revoked_at=db_now())
        with pytest.raises(PluginRefused) as raised:
            ada.ask("exports")
        assert raised.value.code == "not-signed-in"
        assert ada.ask("start")["signed_in"] is False

    def test_no_cookie_is_ever_sent(self, ada, figma):
        assert all("cookie" not in request["headers"] for request in figma.do("requests"))


@pytest.mark.whole
class TestTheFile:
    def test_is_chosen_once_for_everybody(self, ada, figma, designer):
        bob = figma.open("bob")
        bob.ask("sign-in", token=designer[1])
        assert bob.ask("start")["file"] == {"key": KEY, "name": "Campaign", "is_sure": True}

    def test_what_is_no_file(self, figma, designer):
        ada = figma.open("ada")
        ada.ask("sign-in", token=designer[1])
        with pytest.raises(PluginRefused, match="address of a file"):
            ada.ask("choose-file", file="https://example.com/x")
        with pytest.raises(PluginRefused, match="which file this is"):
            ada.ask("exports")

    def test_a_copy_of_the_file_asks_again(self, ada, figma):
        figma.do("rename", name="Campaign (Copy)")
        assert ada.ask("start")["file"]["is_sure"] is False
        with pytest.raises(PluginRefused, match="still is the file"):
            ada.ask("exports")

    def test_files_that_wait(self, ada, asset):
        export(asset)
        assert [(one["file_key"], one["waiting"]) for one in ada.ask("files")] == [(KEY, 1)]


class TestPlacing:
    def test_on_its_page_where_it_was_asked_for(self, ada, figma, asset, site):
        found = export(asset, page_id="0:2", x=120, y=-40.5)
        (waiting,) = ada.ask("exports")["results"]
        placed = ada.ask("place", export=waiting["id"], page_id=waiting["page_id"])
        (layer,) = figma.layers("0:2")
        assert figma.layers("0:1") == []
        assert (layer["name"], layer["x"], layer["y"], layer["width"], layer["height"]) == ("Hero", 120, -40.5, 80, 60)
        assert layer["fill"]
        assert layer["shared"]["mediagen"] == {"site": site, "asset": asset.asset_id, "export": str(found.pk)}
        assert placed == {
            "export": str(found.pk), "node_id": layer["id"], "reported": True, "detail": "", "asset": waiting["asset"],
        }  # fmt: skip
        assert state(found) == "placed"
        assert (found.external_id, found.page_id) == (layer["id"], "0:2")
        assert found.url == f"https://www.figma.com/design/{KEY}/Hero?node-id={layer['id'].replace(':', '-')}"
        assert asset.tag_names == ["figma_exported"]
        assert ada.ask("exports")["results"] == []

    @pytest.mark.whole
    def test_without_a_page_where_one_looks(self, ada, figma, asset):
        found = export(asset)
        ada.ask("place", export=str(found.pk))
        (layer,) = figma.layers()
        assert (layer["x"], layer["y"]) == (460, 370)  # the middle of the view
        assert (state(found), found.page_id) == ("placed", "0:1")

    def test_a_second_run_updates_the_layer(self, ada, figma, asset):
        ada.ask("place", export=str(export(asset, page_id="0:1", x=0, y=0).pk), page_id="0:1")
        (before,) = figma.layers()
        figma.do("edit", node=before["id"], values={"name": "My name for it"})
        asset.file.save("new.png", ContentFile(pictures.png(80, 60, seed=5)))
        second = export(asset, page_id="0:1", x=50, y=60)
        ada.ask("place", export=str(second.pk), page_id="0:1")
        (after,) = figma.layers()
        assert (after["id"], after["name"], after["x"], after["y"]) == (before["id"], "My name for it", 50, 60)
        assert after["fill"] != before["fill"]
        assert (state(second), second.external_id) == ("placed", before["id"])

    @pytest.mark.whole
    @pytest.mark.parametrize("format", ["webp", "gif", "jpeg"])
    def test_every_format(self, ada, figma, format):
        asset = MediaAssetFactory(ready=True, content=pictures.picture(format), format=format)
        ada.ask("place", export=str(export(asset).pk))
        assert figma.layers()[0]["fill"]

    @pytest.mark.whole
    def test_a_picture_that_is_too_large_for_figma(self, ada, figma):
        asset = MediaAssetFactory(ready=True, content=pictures.png(5000, 50), width=5000, height=50)
        ada.ask("place", export=str(export(asset).pk))
        assert (figma.layers()[0]["width"], figma.layers()[0]["height"]) == (4096, 41)


@pytest.mark.whole
class TestFaults:
    def test_a_page_that_was_deleted_and_another_one(self, ada, figma, asset):
        found = export(asset, page_id="0:2")
        figma.do("removePage", page="0:2")
        with pytest.raises(PluginRefused, match="not in the file any more"):
            ada.ask("place", export=str(found.pk), page_id="0:2")
        assert state(found) == "failed"
        assert "Place it on another page" in found.message
        assert figma.layers() == []
        ada.ask("place", export=str(found.pk), again=True, here=True)
        assert (state(found), found.page_id, len(figma.layers())) == ("placed", "0:1", 1)

    def test_a_person_who_may_only_look(self, figma, designer, asset):
        found = export(asset)
        ada = figma.open("ada")
        ada.ready(designer[1], ADDRESS)
        viewer = figma.open("eve", readOnly=True)
        viewer.ask("sign-in", token=designer[1])
        with pytest.raises(PluginRefused, match="read-only"):
            viewer.ask("place", export=str(found.pk))
        assert state(found) == "failed"
        assert "Somebody who may has to place it" in found.message

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_one_lost_packet_is_nothing(self, ada, figma, asset, when):
        found = export(asset)
        figma.do("fault", faults=[{"match": f"{step}/", when: True} for step in ("claim", "picture", "placed")])
        ada.ask("place", export=str(found.pk))
        assert (state(found), len(figma.layers())) == ("placed", 1)

    def test_the_network_is_lost_while_it_is_reported(self, ada, figma, asset):
        """The layer stands; the site hears of it when the plugin is opened again."""
        found = export(asset)
        figma.do("fault", faults=[{"match": "placed/", "before": True}] * 4)
        placed = ada.ask("place", export=str(found.pk))
        assert placed["reported"] is False
        assert (state(found), len(figma.layers())) == ("running", 1)
        assert ada.ask("exports")["results"][0]["state"] == "running"
        again = figma.open("ada").ask("start")
        assert again["unreported"] == 0
        assert (state(found), found.external_id, len(figma.layers())) == ("placed", figma.layers()[0]["id"], 1)

    def test_the_answer_to_the_report_is_lost(self, ada, figma, asset):
        found = export(asset)
        figma.do("fault", faults=[{"match": "placed/", "after": True}] * 4)
        assert ada.ask("place", export=str(found.pk))["reported"] is False
        assert state(found) == "placed"
        figma.open("ada").ask("start")
        assert (state(found), len(figma.layers())) == ("placed", 1)

    def test_the_picture_cannot_be_had_just_now(self, ada, figma, asset):
        found = export(asset)
        figma.do("fault", faults=[{"match": "picture/", "before": True}] * 4)
        with pytest.raises(PluginRefused, match="was not reached"):
            ada.ask("place", export=str(found.pk))
        assert (state(found), figma.layers()) == ("waiting", [])

    def test_closed_half_way_and_taken_over(self, ada, figma, asset, designer):
        """Ada's plugin is closed as it reports. Bob, on another page, finds her layer and reports that one."""
        found = export(asset)
        figma.do("fault", faults=[{"match": "placed/", "before": True}] * 4)
        figma.do("cut", plugin="ada", action="place", arguments={"export": str(found.pk)}, at="placed/")
        bob = figma.open("bob")
        bob.ask("sign-in", token=designer[1])
        figma.do("goTo", plugin="bob", page="0:2")
        with pytest.raises(PluginRefused, match="Somebody else is placing it"):
            bob.ask("place", export=str(found.pk))
        lease_over()
        placed = bob.ask("place", export=str(found.pk))
        assert figma.layers("0:2") == []
        (layer,) = figma.layers("0:1")
        assert (placed["node_id"], state(found), found.page_id) == (layer["id"], "placed", "0:1")
        figma.open("ada").ask("start")  # her report comes late, and says the same
        assert (state(found), len(figma.layers("0:1"))) == ("placed", 1)

    def test_closed_before_anything_was_placed(self, ada, figma, asset):
        found = export(asset)
        figma.do("fault", faults=[{"match": "picture/", "before": True}] * 4)
        figma.do("cut", plugin="ada", action="place", arguments={"export": str(found.pk)}, at="picture/")
        lease_over()
        figma.open("ada").ask("place", export=str(found.pk))
        assert (state(found), len(figma.layers())) == ("placed", 1)

    def test_two_designers_at_once(self, ada, figma, asset, designer):
        figma.open("bob").ask("sign-in", token=designer[1])
        found = export(asset)
        answers = figma.do("race", plugins=["ada", "bob"], action="place", arguments={"export": str(found.pk)})
        assert sorted(bool(answer["error"]) for answer in answers) == [False, True]
        assert (state(found), len(figma.layers())) == ("placed", 1)

    def test_two_who_were_apart_and_both_placed_it(self, ada, figma, asset, designer):
        """Bob could not see Ada's layer; hers was reported first. His is taken away again."""
        found = export(asset)
        figma.do("fault", faults=[{"match": "placed/", "before": True}] * 4)
        ada.ask("place", export=str(found.pk))
        (hers,) = figma.layers()
        figma.do("edit", node=hers["id"], values={"shared": {}})
        lease_over()
        AssetExport.objects.update(options={})
        figma.open("bob").ask("sign-in", token=designer[1])
        rows.placed(found.pk, token=1, external_id=hers["id"])  # her late report arrives just before his
        figma.do("fault", faults=[])
        with pytest.raises(PluginRefused, match="placed already"):
            understood(figma.do("ask", plugin="bob", action="place", arguments={"export": str(found.pk)}))
        assert [layer["id"] for layer in figma.layers()] == [hers["id"]]

    def test_the_loser_takes_his_layer_away(self, ada, figma, asset):
        found = export(asset)
        figma.do("fault", faults=[{"match": "placed/", "before": True}] * 4)
        ada.ask("place", export=str(found.pk))
        assert len(figma.layers()) == 1
        rows.placed(found.pk, token=1, external_id="77:7")
        figma.open("ada").ask("start")
        assert figma.layers() == []
        assert (state(found), found.external_id) == ("placed", "77:7")

    def test_an_export_that_is_cancelled_meanwhile(self, ada, asset, figma):
        found = export(asset)
        rows.cancel([found.pk])
        with pytest.raises(PluginRefused, match="cancelled"):
            ada.ask("place", export=str(found.pk))
        assert figma.layers() == []


class TestTheLibrary:
    def test_search_and_insert(self, ada, figma, asset):
        MediaAssetFactory(ready=True, name="Blue whale")
        (found,) = ada.ask("search", q="fox")["results"]
        assert ada.ask("picture", asset=found["id"])["bytes"] > 100
        for _ in range(2):  # twice is two: this time a person asks for it
            assert ada.ask("insert", asset=found["id"])["reported"] is True
        assert len(figma.layers()) == 2
        assert AssetExport.objects.filter(state="placed", asset=asset).count() == 2

    @pytest.mark.whole
    def test_show(self, ada, figma, asset):
        node = ada.ask("place", export=str(export(asset, page_id="0:2").pk), page_id="0:2")["node_id"]
        assert ada.ask("show", node_id=node)["selection"]["id"] == node
        with pytest.raises(PluginRefused, match="not in the file"):
            ada.ask("show", node_id="9:99")


@pytest.mark.whole
class TestBack:
    def test_the_selected_layer_becomes_a_child(self, ada, figma, asset):
        node = ada.ask("insert", asset=asset.asset_id)["node_id"]
        figma.do("edit", node=node, values={"colour": [10, 120, 200], "name": "Fox, bluer"})
        figma.do("select", plugin="ada", ids=[node])
        assert figma.do("events", plugin="ada")[-1]["selection"]["asset"] == asset.asset_id
        sent = ada.ask("send", scale=2)
        child = MediaAsset.objects.get(pk=sent["id"])
        assert (child.parent, child.library, child.name, child.source) == (
            asset, asset.library, "Fox, bluer", "imported",
        )  # fmt: skip
        assert (child.width, child.height, child.format) == (160, 120, "png")
        assert child.parameters["figma"]["node_id"] == node

    def test_an_answer_that_was_lost_makes_no_second_one(self, ada, figma, asset):
        figma.do("select", plugin="ada", ids=[ada.ask("insert", asset=asset.asset_id)["node_id"]])
        figma.do("fault", faults=[{"match": "uploads/", "after": True}])
        ada.ask("send")
        assert MediaAsset.objects.filter(parent=asset).count() == 1

    def test_a_layer_that_shows_nothing_of_ours(self, ada, figma):
        library = MediaLibraryFactory()
        made = figma.do("figma", plugin="ada", code="const f = figma.createFrame(); f.name = 'Sketch'; return f.id;")
        figma.do("select", plugin="ada", ids=[made])
        sent = ada.ask("send", library=str(library.pk))
        assert (sent["parent_id"], sent["library"], sent["name"]) == (None, library.name, "Sketch")

    def test_nothing_or_too_much_is_selected(self, ada):
        with pytest.raises(PluginRefused, match="Select the one layer"):
            ada.ask("send")


@pytest.mark.whole
class TestTheFakeItself:
    """It has to throw where Figma throws, or the tests above prove little."""

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            ("figma.currentPage = figma.root.children[1]", "setCurrentPageAsync"),
            ("figma.getNodeById('0:1')", "getNodeByIdAsync"),
            ("return figma.root.children[1].children.length", "loadAsync"),
            ("figma.root.children[1].appendChild(figma.createFrame())", "loadAsync"),
            ("figma.root.children[1].findAllWithCriteria({})", "loadAsync"),
            ("figma.root.findAllWithCriteria({})", "loadAllPagesAsync"),
            ("figma.createImage(new Uint8Array([82, 73, 70, 70, 1, 2, 3, 4, 87, 69, 66, 80]))", "unsupported"),
            ("figma.createFrame().fills = [{type: 'IMAGE', imageHash: 'x', scaleMode: 'FILL'}]", "Invalid image hash"),
            ("figma.createFrame().setSharedPluginData('mg', 'a', 'b')", "at least 3"),
            ("figma.createFrame().setSharedPluginData('mediagen', 'a', 7)", "Expected string"),
            ("figma.createFrame().setRelaunchData({other: ''})", "relaunchButtons"),
            ("figma.createFrame().colour = 'red'", "not extensible"),
            ("const f = figma.createFrame(); f.remove(); f.x = 1", "does not exist"),
            ("figma.createFrame().resize(0, 10)", "at least 0.01"),
            ("return figma.currentUser.name", "permission currentuser"),
        ],
    )
    def test_throws(self, figma, site, code, says):
        figma.open("ada")
        with pytest.raises(AssertionError, match=says):
            figma.do("figma", plugin="ada", code=f"'use strict'; {code}")

    def test_the_file_key_is_unknown(self, figma, site):
        figma.open("ada")
        assert figma.do("figma", plugin="ada", code="return figma.fileKey === undefined") is True

    def test_only_the_sites_of_the_manifest_are_asked(self, figma, folder):
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["networkAccess"]["devAllowedDomains"] = ["http://localhost:1"]
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with type(figma)(folder) as other, pytest.raises(PluginRefused, match="networkAccess"):
            other.open("ada").ask("sign-in", token="mgt_x")
