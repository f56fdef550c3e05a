"""Pictures worked on: by the chain, and cropped here; with prices said before, and a history."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from mediagen.models import MediaAsset, ProviderConfig
from tests import pictures
from tests.engine.work.working import Local, use_local
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.fakes import picture
from tests.studio.conftest import JSON

pytestmark = pytest.mark.django_db


class Editor(Local):
    """Enlarges for $0.10 and can do nothing else."""

    def estimate_upscale(self, **asked):
        return Decimal("0.10")

    async def upscale_image(self, images, prompt, width, height, **options):
        return picture(width, height, cost=Decimal("0.10"))


def edit(asset):
    return reverse("mediagen:studio-edit", args=[asset.pk])


def page(client, asset):
    return client.get(edit(asset)).content.decode()


@pytest.fixture
def asset():
    return MediaAssetFactory(ready=True, name="Tower")


def test_an_instruction_with_a_mask_makes_a_child_and_the_mask_goes_to_the_trash(boss, asset):
    mask = SimpleUploadedFile("mask.png", pictures.png())
    said = {"operation": "edit_image", "prompt": "Make it night", "mask": mask, "token": asset.pk}

    answer = boss.post(edit(asset), said, headers=JSON)

    child = MediaAsset.objects.get(parent=asset)
    assert answer.json()["next"] == f"{edit(child)}?said=work"
    assert (child.prompt, child.generation_state, child.created_by) == ("Make it night", "pending", boss.user)
    assert child.parameters["sources"] == [str(asset.pk)]
    assert MediaAsset.objects.get(pk=child.parameters["mask"]).status == "deleted"
    boss.post(edit(asset), {**said, "mask": ""}, headers=JSON)
    assert MediaAsset.objects.filter(parent=asset).count() == 1  # the same form, sent twice


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ({"operation": "upscale_image", "factor": "4"}, (256, 192)),
        ({"operation": "outpaint_image", "left": "16", "up": "10"}, (80, 58)),
        ({"operation": "remove_background"}, (64, 48)),
        ({"operation": "vary_image"}, (64, 48)),
    ],
)
def test_each_operation_is_asked_for_with_its_size(boss, asset, said, size):
    assert boss.post(edit(asset), said).status_code == 302

    asked = MediaAsset.objects.get(parent=asset).parameters
    assert (asked["width"], asked["height"], asked["operation"]) == (*size, said["operation"])


def test_prices_are_said_before_and_what_nobody_can_do_is_not_offered(boss, settings):
    use_local(settings)
    settings.MEDIAGEN["PROVIDERS"] = {"local": "tests.studio.test_workbench.Editor"}
    ProviderConfig.objects.filter(name="local").update(adapter="local")
    poor = MediaLibraryFactory(budget_limit=Decimal("0.05"))
    asset, of_poor = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True, library=poor)

    shown = page(boss, asset)

    assert "2× (128 × 96)" in shown
    assert "1 picture, $0.10" in shown
    assert "No provider of this site can do it." in shown
    upscale = {"operation": "upscale_image", "factor": "2"}
    assert boss.post(edit(asset), {**upscale, "estimate": "1"}, headers=JSON).json()["text"] == "1 picture, $0.10"
    assert boss.post(edit(of_poor), upscale, headers=JSON).status_code == 400
    assert not MediaAsset.objects.exclude(parent=None).exists()


def test_a_part_is_cut_out_and_turned_here(boss, asset):
    boss.post(edit(asset), {"do": "crop", "x": "4", "y": "8", "width": "30", "height": "20", "quarters": "1"})

    child = MediaAsset.objects.get(parent=asset)
    assert (child.width, child.height, child.source, child.status) == (20, 30, "variant", "draft")
    outside = boss.post(edit(asset), {"do": "crop", "x": "900", "y": "0", "width": "5", "height": "5"})
    assert outside.status_code == 400
    assert "is not in the picture" in outside.content.decode()


def test_what_must_stay_in_sight_is_kept(boss, asset):
    assert boss.post(edit(asset), {"do": "focus", "focal_x": "25", "focal_y": "80"}).status_code == 302
    assert boss.post(edit(asset), {"do": "focus", "focal_x": "nan", "focal_y": "1"}).status_code == 400

    asset.refresh_from_db()
    assert (asset.focal_x, asset.focal_y) == (0.25, 0.8)


def test_the_history_shows_what_one_may_see(boss, asset):
    child = MediaAssetFactory(ready=True, parent=asset, library=asset.library)
    grandchild = MediaAssetFactory(ready=True, parent=child, library=asset.library)
    foreign = MediaAssetFactory(ready=True, parent=asset, library=MediaLibraryFactory(owner=UserFactory()))

    shown = page(boss, grandchild)

    assert [shown.count(f'href="{edit(each)}"') for each in (asset, child, grandchild, foreign)] == [1, 1, 1, 0]
    assert f"?id={asset.pk}&amp;id={grandchild.pk}" in shown


def test_somebody_who_may_only_look_can_do_nothing(person, asset):
    looker = person()

    assert "data-easel" not in page(looker, asset)
    for said in ({"operation": "vary_image"}, {"do": "crop"}, {"do": "focus"}):
        assert looker.post(edit(asset), said).status_code == 403
    foreign = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
    assert looker.get(edit(foreign)).status_code == 404
