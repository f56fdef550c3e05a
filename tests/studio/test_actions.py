"""What is done with an asset: by whom, from which state, and what the page is told."""

import pytest
from django.urls import reverse

from mediagen.engine.library import Right
from mediagen.models import AssetExport, AssetUsage, MediaAsset, ProviderConfig
from mediagen.studio.library.actions import ACTIONS, possible
from mediagen.types import uuid7
from tests import pictures
from tests.factories import (
    GenerationAttemptFactory,
    GroupFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
    MediaTagFactory,
    UserFactory,
)
from tests.studio.conftest import JSON

pytestmark = pytest.mark.django_db


def do(client, asset, action, *, headers=None, **said):
    address = reverse("mediagen:studio-action", args=[getattr(asset, "pk", asset), action])
    return client.post(address, said, headers=headers or {})


def story(client, asset):
    return client.get(reverse("mediagen:studio-story", args=[asset.pk])).content.decode()


def offered(text):
    return {name for name in ACTIONS if f'data-action="{name}"' in text}


# ---------------------------------------------------------------------- who


PERMISSIONS = {
    "again": "add",
    "another": "add",
    "renew": "add",
    "variants": "add",
    "cancel": "add",
    "approve": "approve",
    "publish": "approve",
    "archive": "approve",
    "restore": "approve",
    "delete": "delete",
    "undelete": "delete",
    "describe": "change",
    "rate": "change",
    "pick": "approve",
    "style": "change",
    "figma": "change",
    "canva": "change",
}
FITTING = {
    "again": {"failed": True},
    "renew": {"placeholder": True},
    "cancel": {},
    "restore": {"ready": True, "status": "archived"},
    "undelete": {"ready": True, "status": "deleted"},
}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_asks_for_its_right_in_the_assets_library(person, action):
    needed = PERMISSIONS[action]
    group = GroupFactory()
    library = MediaLibraryFactory(owner=UserFactory())
    library.viewer_groups.add(group)
    asset = MediaAssetFactory(library=library, **FITTING.get(action, {"ready": True}))
    everything = ["add_mediaasset", "change_mediaasset", "approve_mediaasset", "delete_mediaasset"]
    without = person(*(may for may in everything if may != f"{needed}_mediaasset"), user=None)
    library.editor_groups.add(editors := GroupFactory())
    without.user.groups.add(editors)
    looker, stranger = person(*everything), person(*everything)
    looker.user.groups.add(group)
    before = MediaAsset.objects.values().get()

    hidden = 404 if action == "undelete" else 403
    assert do(without, asset, action).status_code == hidden
    assert do(looker, asset, action).status_code == hidden
    assert do(looker, asset, action, headers=JSON).status_code == hidden
    assert action not in offered(story(looker, asset) if action != "undelete" else "")
    assert do(stranger, asset, action).status_code == 404
    assert do(stranger, uuid7(), action).content == do(stranger, asset, action).content
    assert MediaAsset.objects.values().get() == before


def test_what_no_action_is_is_not_found(boss):
    asset = MediaAssetFactory(ready=True)

    assert do(boss, asset, "explode").status_code == 404
    assert boss.get(reverse("mediagen:studio-action", args=[asset.pk, "delete"])).status_code == 405


def test_forms_from_elsewhere_are_refused(boss):
    boss.handler.enforce_csrf_checks = True
    asset = MediaAssetFactory(ready=True)

    assert do(boss, asset, "delete").status_code == 403
    assert MediaAsset.objects.get().status == "draft"


def test_the_story_offers_what_can_be_done_now(boss):
    assert offered(story(boss, MediaAssetFactory(ready=True))) >= {
        "another",
        "approve",
        "publish",
        "archive",
        "variants",
        "figma",
        "delete",
    }
    assert offered(story(boss, MediaAssetFactory(failed=True))) == {"again", "archive", "delete", "describe"}
    assert offered(story(boss, MediaAssetFactory())) == {"cancel", "archive", "delete", "describe"}
    assert "renew" in offered(story(boss, MediaAssetFactory(placeholder=True)))


# ---------------------------------------------------------------------- generating


def test_a_failed_one_is_tried_again_under_its_id(boss):
    asset = MediaAssetFactory(failed=True)

    answer = do(boss, asset, "again", headers=JSON).json()

    asset.refresh_from_db()
    assert (asset.generation_state, asset.failure) == ("pending", "")
    assert answer["message"] == "It will be made again."
    assert "Waiting to begin" in answer["tile"]
    assert "Waiting to begin" in answer["story"]


def test_without_javascript_the_assets_page_says_what_was_done(boss):
    asset = MediaAssetFactory(failed=True)

    answer = do(boss, asset, "again")

    assert answer.url == reverse("mediagen:asset", args=[asset.pk]) + "?said=again"
    assert "It will be made again." in boss.get(answer.url).content.decode()
    assert "<b>" not in boss.get(answer.url.replace("again", "<b>")).content.decode()


def test_another_one_is_asked_as_the_first_was(boss):
    asset = MediaAssetFactory(
        ready=True, seed=7, negative_prompt="people", parameters={"width": 64, "height": 48, "options": {"steps": 20}}
    )
    asset.tags.add(
        MediaTagFactory(name="Spring"), MediaTagFactory(name="generated"), MediaTagFactory(name="generated-sdxl")
    )

    answer = do(boss, asset, "another", headers=JSON, token=uuid7())

    made = MediaAsset.objects.exclude(pk=asset.pk).get()
    assert (made.prompt, made.negative_prompt, made.seed, made.parent) == (asset.prompt, "people", None, asset)
    assert (made.parameters, made.library, made.created_by) == (asset.parameters, asset.library, boss.user)
    assert made.tag_names == ["Spring"]
    assert f'id="asset-{made.pk}"' in answer.json()["made"]


def test_another_one_by_a_double_click_is_one(boss):
    asset, token = MediaAssetFactory(ready=True), uuid7()

    addresses = {do(boss, asset, "another", token=token).url for _ in range(2)}

    assert len(addresses) == 1
    assert MediaAsset.objects.count() == 2


def test_one_that_waits_is_cancelled(boss):
    asset = MediaAssetFactory()

    do(boss, asset, "cancel")

    asset.refresh_from_db()
    assert asset.generation_state == "cancelled"


def test_a_placeholder_is_replaced_under_its_id(boss):
    asset = MediaAssetFactory(placeholder=True)

    do(boss, asset, "renew")

    asset.refresh_from_db()
    assert asset.generation_state == "pending"


# ---------------------------------------------------------------------- review, trash


@pytest.mark.parametrize(
    ("before", "step", "after"),
    [("draft", "approve", "approved"), ("approved", "publish", "published"), ("draft", "archive", "archived"),
     ("archived", "restore", "draft")],
)  # fmt: skip
def test_the_steps_of_the_review(boss, before, step, after):
    asset = MediaAssetFactory(ready=True, status=before)

    answer = do(boss, asset, step, headers=JSON)

    asset.refresh_from_db()
    assert answer.status_code == 200
    assert (asset.status, asset.reviewed_by) == (after, boss.user)


def test_a_step_that_came_too_late_is_refused_with_a_word(boss):
    asset = MediaAssetFactory(ready=True, status="approved")

    told, shown = do(boss, asset, "approve", headers=JSON), do(boss, asset, "approve")

    assert told.status_code == shown.status_code == 409
    assert "not in a state for that" in told.json()["problem"]
    assert "not in a state for that" in shown.content.decode()


def test_what_is_deleted_can_be_had_back(boss):
    asset = MediaAssetFactory(ready=True, status="approved")

    answer = do(boss, asset, "delete")

    assert boss.get(reverse("mediagen:asset", args=[asset.pk])).status_code == 404
    page = boss.get(answer.url).content.decode()
    assert "Deleted." in page
    undo = reverse("mediagen:studio-action", args=[asset.pk, "undelete"])
    assert f'action="{undo}"' in page
    do(boss, asset, "undelete")
    asset.refresh_from_db()
    assert asset.status == "approved"


def test_a_script_is_told_how_to_have_it_back(boss):
    asset = MediaAssetFactory(ready=True)

    gone = do(boss, asset, "delete", headers=JSON).json()
    back = boss.post(gone["undo"]["address"], headers=JSON).json()

    assert gone["gone"] is True
    assert f'id="asset-{asset.pk}"' in back["tile"]


def test_undo_is_offered_to_nobody_else(boss, person):
    asset = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=boss.user))
    page = do(boss, asset, "delete").url

    other = person("delete_mediaasset").get(page).content.decode()

    assert "Deleted." in other
    assert str(asset.pk) not in other


def test_what_is_in_use_is_not_deleted(boss):
    asset = MediaAssetFactory(ready=True)
    AssetUsage.objects.create(asset=asset, campaign="Spring", channel="web")

    answer = do(boss, asset, "delete", headers=JSON)

    assert answer.status_code == 409
    assert "Spring" in answer.json()["problem"]
    asset.refresh_from_db()
    assert asset.status == "draft"


# ---------------------------------------------------------------------- other sizes, other tools


def test_other_sizes_become_assets_of_their_own(boss):
    asset = MediaAssetFactory(ready=True, content=pictures.png())

    answer = do(boss, asset, "variants", sizes=["32x32"], own_sizes="16x16, 20x", headers=JSON)

    children = MediaAsset.objects.filter(parent=asset)
    assert answer.json()["made"].count("<li ") == 3
    assert {(child.width, child.height) for child in children} >= {(32, 32), (16, 16)}
    assert f'<a href="{reverse("mediagen:studio")}?parent={asset.pk}">' in story(boss, asset)


@pytest.mark.parametrize("sizes", ["", "huge", "0x0", "99999x1"])
def test_sizes_that_cannot_be_are_refused(boss, sizes):
    answer = do(boss, MediaAssetFactory(ready=True), "variants", own_sizes=sizes, headers=JSON)

    assert answer.status_code == 409
    assert answer.json()["problem"]
    assert MediaAsset.objects.count() == 1


def test_an_export_to_figma_has_its_place_in_the_story(person, monkeypatch):
    monkeypatch.setenv("FIGMA_API_TOKEN", "made-up")
    reader, asset = person("change_mediaasset"), MediaAssetFactory(ready=True)

    answer = do(reader, asset, "figma", file_key="https://www.figma.com/design/AbCdEf123456/Name", headers=JSON)

    export = AssetExport.objects.get()
    assert answer.status_code == 200, answer.content
    assert (export.asset, export.target, export.created_by) == (asset, "figma", reader.user)
    assert "Figma" in answer.json()["story"]


def test_an_export_to_canva_waits_for_whoever_sends_it(person):
    editor, asset = person("change_mediaasset"), MediaAssetFactory(ready=True)

    answer = do(editor, asset, "canva", title="Spring", create_design="1", headers=JSON)

    export = AssetExport.objects.get()
    assert answer.status_code == 200, answer.content
    assert (export.asset, export.target, export.state, export.frame_name) == (asset, "canva", "pending", "Spring")
    assert (export.options["create_design"], export.created_by) == (True, editor.user)
    assert "Canva" in answer.json()["story"]


def test_a_file_of_figma_that_is_none_is_refused(person):
    ProviderConfig.objects.filter(name="figma_api").update(dry_run=False)  # in a dry run any words will do
    answer = do(person("change_mediaasset"), MediaAssetFactory(ready=True), "figma", file_key="../../etc", headers=JSON)

    assert answer.status_code == 409
    assert not AssetExport.objects.exists()


# ---------------------------------------------------------------------- the story


def test_the_story_has_every_attempt_and_no_markup_of_others(boss):
    asset = MediaAssetFactory(failed=True, prompt="<script>alert(1)</script>", name="")
    GenerationAttemptFactory(asset=asset, refused=True, message="<img src=x onerror=alert(1)>")

    text = story(boss, asset)

    assert "refused" in text
    assert "<script>alert" not in text
    assert "<img src=x" not in text


def test_a_foreign_story_is_not_there(person):
    foreign = MediaAssetFactory(library=MediaLibraryFactory(owner=UserFactory()))
    reader = person()

    answers = [reader.get(reverse("mediagen:studio-story", args=[pk])) for pk in (foreign.pk, uuid7())]

    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].content == answers[1].content


def test_a_parent_that_one_may_not_see_is_not_named(person):
    parent = MediaAssetFactory(ready=True, name="Hidden", library=MediaLibraryFactory(owner=UserFactory()))

    assert "Hidden" not in story(person(), MediaAssetFactory(ready=True, parent=parent))


@pytest.mark.parametrize(("values", "action"), [({"generation_state": "failed"}, "again"), ({"ready": True}, "renew")])
def test_what_was_made_of_a_picture_without_words_can_be_made_again(values, action):
    parameters = {"operation": "upscale_image", "sources": ["01a22795-c826-7b0c-82bc-a1a9bac734b8"]}
    asset = MediaAssetFactory(prompt="", parameters=parameters, is_placeholder=True, **values)

    assert action in {each.name for each in possible(asset, {Right.GENERATE})}
