"""The studio in a real browser: pictures asked for and watched, with a keyboard, on a phone, without scripts."""

from __future__ import annotations

import re
import threading

import pytest

from mediagen.errors import Refused
from mediagen.models import MediaAsset
from tests import pictures
from tests.browser.conftest import PHONE
from tests.engine.work.serving_thread import in_server, wait_until  # noqa: F401 - a fixture
from tests.engine.work.working import use_local
from tests.factories import GenerationAttemptFactory, MediaAssetFactory, MediaLibraryFactory

ALL = ("view_mediaasset", "add_mediaasset", "approve_mediaasset", "delete_mediaasset", "change_mediaasset")


@pytest.fixture
def provider(in_server, settings):  # noqa: F811
    """Answers when it is let: `provider.go.set()`; refuses while `provider.refuses`."""
    import asyncio

    class Provider:
        go = threading.Event()
        refuses = False
        asked = 0

    async def answer(prompt):
        Provider.asked += 1
        while not Provider.go.is_set():
            await asyncio.sleep(0.02)
        if Provider.refuses:
            raise Refused("local: its moderation refused the prompt.")

    Provider.go.clear()
    kept = {"RUN_IN_SERVER": True}
    Provider.local = use_local(settings, answer, **kept)
    yield Provider
    Provider.go.set()


def tiles(page):
    return page.locator(".mediagen-tile")


def generate(page, prompt="A lighthouse in the fog", count=1):
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_label("Pictures", exact=True).fill(str(count))
    page.get_by_role("button", name="Generate").click()


# ---------------------------------------------------------------------- making


def test_tiles_are_there_at_once_and_fill_in_as_the_pictures_come(page, sign_in, provider):
    sign_in(*ALL)
    page.goto("/studio/")

    generate(page, count=3)

    tiles(page).nth(2).wait_for()
    page.locator("[data-unsettled]", has_text="Asking local").first.wait_for()
    assert page.locator(".mediagen-tile img").count() == 0
    provider.go.set()
    page.locator(".mediagen-tile img").nth(2).wait_for()
    assert tiles(page).count() == 3
    assert page.locator("[data-unsettled]").count() == 0
    loaded = "image => image.decode().then(() => image.naturalWidth > 0)"
    assert page.locator(".mediagen-tile img").first.evaluate(loaded)
    assert provider.asked == 3


def test_a_reload_in_between_loses_nothing(page, sign_in, provider):
    sign_in(*ALL)
    page.goto("/studio/")
    generate(page, count=2)
    page.locator("[data-unsettled]").nth(1).wait_for()

    page.reload()
    assert page.locator("[data-unsettled]").count() == 2
    provider.go.set()

    page.locator(".mediagen-tile img").nth(1).wait_for()
    assert provider.asked == 2


def test_a_failure_says_why_and_can_be_tried_again(page, sign_in, provider):
    sign_in(*ALL)
    provider.refuses = True
    provider.go.set()
    page.goto("/studio/")

    generate(page)

    failed = page.locator(".mediagen-is-failed")
    failed.get_by_text("Word the prompt differently").wait_for()
    asset_id = failed.get_attribute("data-asset")
    provider.refuses = False
    failed.get_by_role("button", name="Try again").click()
    page.locator(".mediagen-is-ready img").wait_for()
    assert page.locator(".mediagen-tile").get_attribute("data-asset") == asset_id


def test_the_price_is_said_while_one_writes(page, sign_in, provider):
    sign_in(*ALL)
    page.goto("/studio/")

    page.get_by_label("Prompt", exact=True).fill("A lighthouse")
    page.get_by_text("1 picture, $0.10").wait_for()
    page.get_by_label("Pictures", exact=True).fill("4")

    page.get_by_text("4 pictures, $0.40").wait_for()
    assert not MediaAsset.objects.exists()


def test_a_mistake_is_said_beside_its_field_and_the_prompt_stays(page, sign_in, complaints):
    sign_in(*ALL)
    page.goto("/studio/")

    generate(page, count=44)

    error = page.locator("#problem-count")
    error.wait_for()
    assert page.get_by_label("Pictures", exact=True).get_attribute("aria-describedby") == "problem-count"
    assert page.get_by_label("Prompt", exact=True).input_value() == "A lighthouse in the fog"
    complaints.clear()  # Chromium reports every 400


def test_the_keyboard_sends_too(page, sign_in, provider):
    provider.go.set()
    sign_in(*ALL)
    page.goto("/studio/")

    page.get_by_label("Prompt", exact=True).fill("A lighthouse")
    page.keyboard.press("Control+Enter")

    page.locator(".mediagen-is-ready img").wait_for()


def test_an_own_size_and_the_options_of_one_provider(page, sign_in):
    sign_in(*ALL)
    page.goto("/studio/")
    width = page.get_by_label("Width pixels")
    assert not width.is_visible()

    page.get_by_text("Own size").click()
    page.get_by_label("Provider", exact=True).select_option("flux")
    page.locator("#mediagen-composer summary", has_text="More").click()
    page.get_by_text("Options of the providers").click()

    assert width.is_visible()
    assert page.get_by_label("Safety tolerance").is_visible()
    assert not page.get_by_label("Style preset").is_visible()


def test_the_prompt_box_is_one_line_until_somebody_comes_to_it(page, sign_in, complaints):
    picture = MediaAssetFactory(ready=True, prompt="A red boat", seed=7)
    sign_in(*ALL)
    page.set_viewport_size(PHONE)
    page.goto("/studio/?q=boat")

    assert tiles(page).first.bounding_box()["y"] < 500
    assert not page.get_by_label("Pictures", exact=True).is_visible()
    page.get_by_label("Prompt", exact=True).focus()
    page.get_by_text("Own size").click()
    assert page.get_by_label("Pictures", exact=True).is_visible()
    page.get_by_label("Width pixels").fill("5000")
    page.get_by_label("Height pixels").fill("20")
    page.get_by_label("Prompt", exact=True).fill("A ruler")
    page.get_by_role("button", name="Generate").click()
    page.get_by_label("Make it all the same").wait_for()
    assert MediaAsset.objects.count() == 1
    tiles(page).first.click()
    page.get_by_role("link", name="Edit prompt").click()
    page.wait_for_url(f"**/studio/?q=boat&from={picture.pk}")
    assert page.get_by_label("Keep the seed 7").is_visible()
    complaints.clear()  # Chromium reports the 400


# ---------------------------------------------------------------------- looking


@pytest.fixture
def shelf(transactional_db):
    """Five pictures; newest first: 4, 3, 2, 1, 0."""
    library = MediaLibraryFactory(name="Shelf")
    assets = [MediaAssetFactory(ready=True, name=f"Picture {n}", library=library) for n in range(5)]
    for asset in assets:
        GenerationAttemptFactory(asset=asset, message="as asked")
    return assets


def test_a_picture_opens_with_its_story_and_the_keyboard_goes_on(page, sign_in, shelf):
    sign_in(*ALL)
    page.goto("/studio/")
    page.locator(".mediagen-tile a").first.focus()

    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent").strip().endswith("Picture 3")
    page.keyboard.press("Enter")

    dialog = page.get_by_role("dialog")
    dialog.get_by_role("heading", name="Picture 3").wait_for()
    dialog.get_by_text("Who was asked").click()
    assert dialog.get_by_text("as asked", exact=True).is_visible()
    page.get_by_role("heading", name="Picture 3").focus()
    page.keyboard.press("ArrowRight")
    dialog.get_by_role("heading", name="Picture 2").wait_for()
    page.reload()
    dialog.get_by_role("heading", name="Picture 2").wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.textContent").strip().endswith("Picture 2")
    assert "#" not in page.url


def test_the_way_back_closes_the_picture(page, sign_in, shelf):
    sign_in(*ALL)
    page.goto("/studio/")
    page.locator(".mediagen-tile a").first.click()
    page.get_by_role("heading", name="Picture 4").wait_for()

    page.go_back()

    page.get_by_role("dialog").wait_for(state="hidden")
    assert page.url.endswith("/studio/")


def test_it_is_approved_deleted_and_had_back_without_leaving_the_page(page, sign_in, shelf):
    sign_in(*ALL)
    page.goto("/studio/")
    page.locator(".mediagen-tile a").first.click()
    dialog = page.get_by_role("dialog")

    dialog.get_by_role("button", name="Approve").click()
    dialog.get_by_text("approved").first.wait_for()
    # "Approve" is gone: the focus is on what it was about, and not lost.
    assert page.evaluate("document.activeElement.id") == "mediagen-title"
    dialog.get_by_role("button", name="Delete").click()
    dialog.wait_for(state="hidden")
    assert tiles(page).count() == 4
    page.get_by_role("button", name="Undo").click()

    page.locator(f"#asset-{shelf[4].pk} a:focus").wait_for()
    assert tiles(page).first.get_attribute("data-asset") == str(shelf[4].pk)
    shelf[4].refresh_from_db()
    assert shelf[4].status == "approved"


def test_many_are_ticked_by_click_shift_and_space_deleted_and_had_back(page, sign_in, shelf):
    sign_in(*ALL)
    page.goto("/studio/")
    boxes = page.get_by_role("checkbox", name="Choose Picture")

    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=["Shift"])
    page.get_by_text("3 chosen").wait_for()
    page.locator(".mediagen-tile a").nth(1).focus()
    page.keyboard.press("Space")
    page.get_by_text("2 chosen").wait_for()
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Done with 2 pictures.").wait_for()
    page.locator(f"#asset-{shelf[4].pk} .mediagen-status-approved").wait_for()
    assert page.evaluate("document.activeElement.closest('.mediagen-tile') !== null")

    boxes.nth(1).check()
    boxes.nth(2).check()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    tiles(page).nth(4).wait_for()
    order = page.locator(".mediagen-caption").all_inner_texts()
    assert order == [f"Picture {n}" for n in (4, 3, 2, 1, 0)]

    boxes.nth(0).check()
    page.get_by_label("All that this search finds").check()
    page.get_by_text("(5)").wait_for()
    page.locator("summary", has_text="Tags").click()
    page.get_by_label("Tags to add").fill("coast")
    page.get_by_role("button", name="Change tags").click()
    page.get_by_text("Done with 5 pictures.").wait_for()
    assert MediaAsset.objects.filter(tags__name="coast").count() == 5


def test_candidates_are_rated_by_keys_compared_and_one_is_picked(page, sign_in, serious, shoot, is_too_wide, shelf):
    MediaAsset.objects.update(generation_id=shelf[0].pk)
    sign_in(*ALL)
    page.goto("/studio/")
    page.locator(".mediagen-tile a").first.focus()

    page.keyboard.press("4")
    page.get_by_text("Rated.").wait_for()
    page.locator(f"#asset-{shelf[4].pk}", has_text="★4").wait_for()
    page.get_by_role("checkbox", name="Choose Picture 4").check()
    page.get_by_role("checkbox", name="Choose Picture 3").check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/studio/compare/?id=*")
    over = page.get_by_label("How much of the first is seen")
    over.focus()
    page.keyboard.press("End")
    assert page.locator("[data-over]").evaluate("e => e.style.getPropertyValue('--mg-over')") == "100%"
    shoot("compare")
    assert serious() == []
    page.set_viewport_size(PHONE)
    assert not is_too_wide()
    page.get_by_role("button", name="Use this one").first.click()
    page.get_by_text("Picked.").wait_for()
    assert list(MediaAsset.objects.order_by("-pk").values_list("status", flat=True)[:3]) == [
        "approved",
        "archived",
        "draft",
    ]

    page.goto(f"/studio/#asset-{shelf[2].pk}")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="5 of 5").click()
    dialog.get_by_role("button", name="5 of 5", pressed=True).wait_for()
    assert page.evaluate("document.activeElement.dataset.star") == "5"
    dialog.get_by_role("button", name="Use this one").click()
    page.get_by_text("Picked. The other 2 are archived.").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Done with 2 pictures.").wait_for()
    assert MediaAsset.objects.filter(status="draft").count() == 2


def test_what_others_do_is_seen_and_their_new_pictures_wait_behind_a_note(page, context, sign_in, shelf):
    sign_in(*ALL)
    page.goto("/studio/")
    tiles(page).nth(4).wait_for()
    with page.expect_response("**/studio/events/"):
        page.reload()
    colleague = context.new_page()
    colleague.goto(f"/studio/#asset-{shelf[3].pk}")
    colleague.get_by_role("dialog").get_by_role("button", name="Approve").click()

    page.locator(f"#asset-{shelf[3].pk} .mediagen-status-approved").wait_for()
    colleague.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.locator(f"#asset-{shelf[3].pk}").wait_for(state="detached")
    MediaAssetFactory(ready=True, name="Theirs", library=shelf[0].library)
    note = page.get_by_role("button", name="1 new picture")
    note.wait_for()
    assert page.get_by_text("Theirs", exact=True).count() == 0
    note.click()
    page.get_by_text("Theirs", exact=True).wait_for()
    assert page.evaluate("document.activeElement.textContent").strip().endswith("Theirs")


def test_it_is_described_beside_the_picture(page, sign_in, shelf):
    sign_in(*ALL)
    page.goto("/studio/")
    page.locator(".mediagen-tile a").first.click()
    dialog = page.get_by_role("dialog")

    dialog.get_by_role("button", name="Suggest from the prompt").click()
    dialog.get_by_label("Name", exact=True).fill("The tower")
    dialog.get_by_role("button", name="Save").click()

    page.get_by_text("Saved.").wait_for()
    dialog.get_by_role("heading", name="The tower").wait_for()
    assert page.evaluate("document.activeElement.textContent.trim()") == "Save"
    shelf[4].refresh_from_db()
    assert (shelf[4].name, shelf[4].alt_text) == ("The tower", shelf[4].prompt)


def test_other_sizes_appear_beside_their_picture(page, sign_in, shelf):
    sign_in(*ALL)
    page.goto("/studio/")
    page.locator(".mediagen-tile a").first.click()
    dialog = page.get_by_role("dialog")

    dialog.get_by_text("Other sizes").first.click()
    dialog.get_by_label("Others").fill("32x32")
    dialog.get_by_role("button", name="Make these sizes").click()

    page.locator("#mediagen-grid .mediagen-tile").nth(5).wait_for()
    assert MediaAsset.objects.filter(parent=shelf[4], width=32).exists()


def test_the_link_is_copied(page, sign_in, shelf, context, site):
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
    sign_in(*ALL)
    page.goto("/studio/")
    page.locator(".mediagen-tile a").first.click()

    page.get_by_role("link", name="Copy link").click()

    page.get_by_text("The link is copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").endswith(f"/assets/{shelf[4].pk}/")


SHIFTS = """() => {
  window.shifted = 0;
  const add = (entry) => (window.shifted += entry.value);
  new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({type: "layout-shift", buffered: true});
}"""


def test_older_pictures_come_by_themselves(page, sign_in, monkeypatch):
    monkeypatch.setattr("mediagen.studio.library.gallery.PAGE", 4)
    oldest, *_others = [MediaAssetFactory(ready=True, name=f"Picture {number}") for number in range(11)]
    sign_in("view_mediaasset")

    page.set_viewport_size({"width": 800, "height": 500})
    page.goto(f"/studio/#asset-{oldest.pk}")

    # Not on the page, and it opens all the same.
    page.get_by_role("dialog").get_by_role("heading", name="Picture 0").wait_for()
    page.keyboard.press("Escape")
    page.evaluate(SHIFTS)
    page.mouse.wheel(0, 5000)
    page.get_by_text("Picture 0", exact=True).wait_for(state="attached")
    assert tiles(page).count() == 11
    assert page.locator("[data-older]").count() == 0
    assert page.evaluate("window.shifted") < 0.05


def test_a_search_is_in_the_address_with_nothing_else(page, sign_in, shelf):
    sign_in("view_mediaasset")
    page.goto("/studio/")

    page.get_by_role("searchbox").fill("Picture 3")
    page.keyboard.press("Enter")

    page.wait_for_url("**/studio/?q=Picture+3#mediagen-filter")
    page.locator(f"#asset-{shelf[3].pk} a").click()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert page.url.split("#")[0].endswith("/studio/?q=Picture+3")


def test_somebody_who_may_only_look_finds_no_buttons(page, sign_in, shelf):
    sign_in("view_mediaasset")
    page.goto("/studio/")
    page.locator(".mediagen-tile a").first.click()
    page.get_by_role("heading", name="Picture 4").wait_for()

    assert page.locator("#mediagen-composer, #mediagen-upload").count() == 0
    names = {"Make another", "Approve", "Publish", "Archive", "Delete", "Other sizes"}
    assert not [name for name in names if page.get_by_role("button", name=name).count()]
    assert page.get_by_role("link", name="Download").is_visible()


# ---------------------------------------------------------------------- uploading


def test_a_file_is_chosen_and_uploaded(page, sign_in, tmp_path):
    (tmp_path / "boat.png").write_bytes(pictures.png())
    sign_in(*ALL)
    page.goto("/studio/")

    page.get_by_text("Upload pictures").click()
    page.locator("#id_files").set_input_files(tmp_path / "boat.png")
    page.get_by_role("button", name="Upload").click()

    page.locator(".mediagen-tile", has_text="boat").locator("img").wait_for()
    assert MediaAsset.objects.get().source == "uploaded"


DROP = """([bytes, name]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
    if (kind === "dragover") window.wasMarked = document.documentElement.classList.contains("mediagen-dropping");
  }
}"""


def test_a_file_is_dropped_onto_the_page(page, sign_in, complaints):
    sign_in(*ALL)
    page.goto("/studio/")

    page.evaluate(DROP, [list(pictures.png()), "dropped.png"])

    page.locator(".mediagen-tile", has_text="dropped").locator("img").wait_for()
    assert page.evaluate("window.wasMarked")
    page.evaluate(DROP, [list(b"<svg/>"), "lie.png"])
    page.get_by_text("lie.png:").wait_for()
    assert MediaAsset.objects.count() == 1
    complaints.clear()  # Chromium reports the 400


PASTE = """(bytes) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "pasted.png", {type: "image/png"}));
  document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
}"""


def test_a_picture_is_pasted_and_one_that_was_lost_on_the_way_is_sent_again(page, sign_in, complaints):
    sign_in(*ALL)
    page.goto("/studio/")
    page.route("**/studio/upload/", lambda route: route.abort(), times=1)

    page.evaluate(PASTE, list(pictures.png()))
    page.get_by_role("button", name="Try again").click()

    page.locator(".mediagen-tile", has_text="pasted").locator("img").wait_for()
    assert MediaAsset.objects.count() == 1
    page.get_by_text("Upload pictures").click()
    page.get_by_label("Or the address of one").fill("https://127.0.0.1/boat.png")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.get_by_text("could not be fetched").wait_for()
    assert MediaAsset.objects.count() == 1
    complaints.clear()  # Chromium reports what was aborted, and the 400


# ---------------------------------------------------------------------- without scripts, for everybody


def test_the_essentials_work_without_javascript(browser, site, sign_in, context, provider, complaints):
    sign_in(*ALL)
    provider.go.set()
    plain = browser.new_context(base_url=site, java_script_enabled=False)
    plain.add_cookies(context.cookies())
    page = plain.new_page()
    page.goto("/studio/")

    page.get_by_label("Prompt", exact=True).fill("A lighthouse")
    page.get_by_role("button", name="Say the price").click()
    page.get_by_text("1 picture, $0.10").wait_for()
    assert page.get_by_label("Prompt", exact=True).input_value() == "A lighthouse"
    page.get_by_role("button", name="Generate").click()
    assert "generation_id=" in page.url
    wait_until(lambda: MediaAsset.objects.filter(generation_state="ready").exists())
    page.reload()
    page.locator(".mediagen-tile a").click()
    assert page.get_by_role("heading", level=1).inner_text() == "A lighthouse"
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Approved.").wait_for()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("It is back.").wait_for()
    assert MediaAsset.objects.get().status == "approved"
    plain.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE["width"], 1280])
def test_axe_finds_nothing_in_any_state(page, sign_in, serious, is_too_wide, shoot, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(*ALL)
    name = f"studio-{width}-{scheme}"
    page.goto("/studio/")
    shoot(f"{name}-empty")
    assert serious() == []
    library = MediaLibraryFactory(name="A library with quite a long name for its size")
    for traits in (
        {"ready": True},
        {"failed": True},
        {"placeholder": True, "status": "published"},
        {"generation_state": "cancelled"},
        {"generation_state": "running"},
        {"prompt": "averylongwordwithoutanyspaces" * 6},
    ):
        asset = MediaAssetFactory(library=library, **traits)
        GenerationAttemptFactory(asset=asset, in_flight=not asset.is_ready)
    page.goto("/studio/?state=ready&tag=none&min_width=1")
    assert serious() == []
    page.goto("/studio/")
    page.get_by_label("Prompt", exact=True).focus()
    page.locator("#mediagen-composer summary", has_text="More").click()
    page.get_by_text("Options of the providers").click()
    page.get_by_text("Upload pictures").click()
    shoot(f"{name}-full")
    assert serious() == []
    assert not is_too_wide()
    page.locator(".mediagen-pick").first.check()
    shoot(f"{name}-many")
    assert serious() == []
    assert not is_too_wide()
    page.locator(".mediagen-pick").first.uncheck()
    page.locator(".mediagen-is-ready a").first.click()
    page.get_by_role("dialog").get_by_text("Other sizes").first.click()
    shoot(f"{name}-lightbox")
    assert serious() == []
    assert not is_too_wide()
    page.goto(page.locator(".mediagen-is-failed a").first.get_attribute("href"))
    shoot(f"{name}-asset")
    assert serious() == []
    assert not is_too_wide()


def test_nothing_moves_for_those_who_do_not_want_it(page, sign_in):
    """The browser of these tests asks for reduced motion."""
    MediaAssetFactory(generation_state="running")
    sign_in(*ALL)
    page.goto("/studio/")

    for element in (".mediagen-spinner", ".mediagen-frame"):
        assert page.locator(element).first.evaluate("e => getComputedStyle(e).animationName") == "none"


def test_texts_of_others_do_nothing_on_the_page(page, sign_in, transactional_db):
    evil = '"><img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    asset = MediaAssetFactory(failed=True, prompt=evil, name=evil, failure=f"a\n 1. sdxl: {evil}")
    GenerationAttemptFactory(asset=asset, message=evil)
    sign_in(*ALL)
    page.goto("/studio/")
    page.locator(".mediagen-tile a").first.click()
    page.get_by_role("dialog").get_by_role("heading", level=2).first.wait_for()

    assert page.evaluate("window.hit") is None
    assert re.search("onerror", page.locator(".mediagen-tile").inner_text())
