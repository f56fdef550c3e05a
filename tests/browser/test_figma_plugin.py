"""The plugin whole in Chromium: its page in a frame without an origin, code.js beside it, requests as CORS allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from mediagen.engine.exports import rows
from mediagen.models import ApiToken, AssetExport, MediaAsset
from tests import pictures
from tests.factories import MediaAssetFactory, UserFactory

KEY = "abcDEF123456ghiJKL7890"
HOST = Path(__file__).parent.parent / "figma" / "host.html"


class Person:
    """Somebody with the plugin open. `page` is Figma's, `ui` the plugin's own."""

    def __init__(self, page: Any, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.ui = page.frame_locator("iframe")

    def open(self) -> Person:
        manifest = json.loads((self.folder / "manifest.json").read_text())
        read = {"code": manifest["main"], "html": manifest["ui"]}
        self.page.evaluate(
            "files => window.start(files)",
            {"manifest": manifest, **{key: (self.folder / name).read_text() for key, name in read.items()}},
        )
        return self

    def said(self, text: str) -> None:
        self.ui.locator("#said").filter(has_text=text).wait_for()

    def sign_in(self, token: str) -> None:
        self.ui.get_by_label("Token").fill(token)
        self.ui.get_by_role("button", name="Sign in").click()

    def choose(self, file: str) -> None:
        self.ui.get_by_label("Address or key of this file").fill(file)
        self.ui.get_by_role("button", name="This is the file").click()

    def layers(self, page: str = "0:1") -> list[dict[str, Any]]:
        seen = self.page.evaluate("window.fake.seen()")
        return list(next(one for one in seen["pages"] if one["id"] == page)["children"])


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def person(browser: Any, site: str, tmp_path: Path, complaints: list[str], request: Any) -> Iterator[Person]:
    call_command("figma_plugin", output=str(tmp_path / "plugin"), site=site, stdout=StringIO())
    scheme = getattr(request, "param", "light")
    context = browser.new_context(viewport={"width": 380, "height": 580}, color_scheme=scheme, locale="en-GB")
    context.set_default_timeout(15_000)
    context.add_cookies([{"name": "sessionid", "value": "not-to-be-sent", "url": site}])
    page = context.new_page()

    def heard(message: Any) -> None:
        # A refusal that a test provokes is logged by the browser as well.
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sent: list[Any] = []
    page.on("request", lambda asked: sent.append(asked) if asked.url.startswith(site) else None)
    page.goto(HOST.as_uri())
    person = Person(page, tmp_path / "plugin")
    yield person
    headers = [asked.all_headers() for asked in sent]
    context.close()
    assert not any("cookie" in one for one in headers)
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def token(site: str) -> str:
    user = UserFactory(username="anna", may=["view_mediaasset", "add_mediaasset"], is_staff=False)
    return ApiToken.objects.issue(user, "Figma", scopes=["figma"])[1]


def waiting(asset: MediaAsset, **place: Any) -> AssetExport:
    export = rows.begin(asset, "figma", file_key=KEY, **{"frame_name": "Hero", **place})
    rows.wait_for_plugin(export)
    return export


def asset_of(name: str) -> MediaAsset:
    return MediaAssetFactory(ready=True, name=name, content=pictures.png(320, 200), width=320, height=200)


def shoot(person: Person, tmp_path: Path, name: str) -> None:
    import os

    folder = Path(os.environ.get("MEDIAGEN_CI_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    person.page.screenshot(path=str(folder / f"{name}.png"))


@pytest.mark.parametrize("person", ["light", "dark"], indirect=True)
def test_from_the_token_to_the_child_asset(person, token, site, tmp_path, request):
    scheme = request.node.callspec.params["person"]
    asset = asset_of("Red fox in the snow")
    first, second = waiting(asset, page_id="0:2", x=10, y=20), waiting(asset_of("Blue whale"), frame_name="Side")
    person.open()
    person.ui.get_by_role("heading", name="Sign in").wait_for()
    shoot(person, tmp_path, f"figma-sign-in-{scheme}")
    person.sign_in("mgt_nonsense")
    person.said("unknown, revoked or expired")
    person.sign_in(token)

    person.ui.get_by_text("2 waiting").wait_for()
    shoot(person, tmp_path, f"figma-file-{scheme}")
    person.choose(f"https://www.figma.com/design/{KEY}/Campaign?node-id=0-1")
    person.ui.get_by_text(f"anna at {site}").wait_for()
    person.ui.get_by_role("tab", name="Waiting (2)").wait_for()
    person.ui.locator("#waiting-list img").nth(1).wait_for()
    shoot(person, tmp_path, f"figma-waiting-{scheme}")

    person.ui.get_by_role("button", name="Place: Hero").click()
    person.said("Placed.")
    (layer,) = person.layers("0:2")
    assert (layer["name"], layer["x"], layer["y"], layer["width"]) == ("Hero", 10, 20, 320)
    person.ui.get_by_role("button", name="Place all").click()
    person.said("Placed.")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.external_id, second.state) == ("placed", layer["id"], "placed")
    person.ui.get_by_text("Nothing waits for this file").wait_for()

    person.ui.get_by_role("tab", name="Library").click()
    person.ui.get_by_label("Search the library").fill("fox")
    person.ui.get_by_role("button", name="Search", exact=True).click()
    person.ui.get_by_role("button", name="Insert Red fox in the snow").wait_for()
    person.ui.get_by_role("button", name="Insert Blue whale").wait_for(state="detached")
    person.ui.locator("#library-list img").first.wait_for()
    shoot(person, tmp_path, f"figma-library-{scheme}")
    person.ui.get_by_role("button", name="Insert Red fox in the snow").click()
    person.said("Placed.")
    inserted = person.layers()[-1]

    person.ui.get_by_role("tab", name="Library").press("ArrowRight")
    person.ui.get_by_text("Select the one layer").wait_for()
    assert person.ui.get_by_role("button", name="Send back as a new version").is_disabled()
    person.page.evaluate(
        "id => { window.fake.find(id).name = 'Fox, cropped'; window.plugin.select([id]) }", inserted["id"]
    )
    person.ui.get_by_text("becomes a new version of the asset it shows").wait_for()
    shoot(person, tmp_path, f"figma-send-{scheme}")
    person.ui.get_by_role("button", name="Send back as a new version").click()
    person.said("as a new version")
    child = MediaAsset.objects.get(parent=asset)
    assert (child.name, child.width, child.source) == ("Fox, cropped", 320, "imported")

    person.ui.get_by_role("button", name="Sign out").click()
    person.ui.get_by_label("Token").wait_for()


def test_a_page_that_is_gone_is_placed_on_the_open_one(person, token, tmp_path):
    export = waiting(asset_of("Red fox"), page_id="9:9")
    person.open().sign_in(token)
    person.choose(KEY)
    person.ui.get_by_role("button", name="Place: Hero").click()
    person.said("not in the file any more")
    person.ui.get_by_role("button", name="Refresh").click()
    person.ui.get_by_text("The page is not in the file any more.").wait_for()
    shoot(person, tmp_path, "figma-failed")
    person.ui.get_by_role("button", name="Place on this page: Hero").click()
    person.said("Placed.")
    export.refresh_from_db()
    assert (export.state, export.page_id) == ("placed", "0:1")


def test_it_stays_signed_in_and_asks_again_in_a_copy(person, token):
    person.open().sign_in(token)
    person.choose(KEY)
    person.ui.get_by_text("Nothing waits for this file").wait_for()
    person.page.evaluate("document.querySelector('iframe').remove(); window.fake.root.name = 'Campaign (Copy)'")
    person.open()
    person.ui.get_by_text('This document is called "Campaign (Copy)"').wait_for()
    person.ui.get_by_role("button", name="It is the same file, with a new name").click()
    person.ui.get_by_text("Nothing waits for this file").wait_for()


def test_a_token_that_is_revoked_while_it_is_open(person, token):
    person.open().sign_in(token)
    person.choose(KEY)
    person.ui.get_by_text("Nothing waits for this file").wait_for()
    ApiToken.objects.update(revoked_at=rows.db_now())
    person.ui.get_by_role("button", name="Refresh").click()
    person.ui.get_by_label("Token").wait_for()


@pytest.mark.parametrize("person", ["light", "dark"], indirect=True)
def test_nothing_serious_for_axe(person, token):
    from axe_playwright_python.sync_playwright import Axe

    waiting(asset_of("Red fox"))
    person.open()
    person.ui.get_by_label("Token").wait_for()

    def look() -> list[str]:
        found = Axe().run(person.page.frames[-1])
        return [f"{one['id']}: {one['help']}" for one in found.response["violations"] if one["impact"] != "minor"]

    assert look() == []
    person.sign_in(token)
    person.ui.get_by_text("1 waiting").wait_for()
    assert look() == []
    person.choose(KEY)
    person.ui.get_by_role("button", name="Place: Hero").wait_for()
    assert look() == []
    person.ui.get_by_role("tab", name="Library").click()
    person.ui.get_by_role("button", name="Insert Red fox").wait_for()
    assert look() == []
    person.ui.get_by_role("tab", name="Send back").click()
    assert look() == []
