"""Assets made out of assets: really cut out, enlarged and extended in dry run, and bought once where it costs money."""

from __future__ import annotations

from io import BytesIO

import pytest
from asgiref.sync import async_to_sync
from PIL import Image, ImageDraw

from mediagen.chain import MediaGeneratorChain
from mediagen.engine import get_media_engine
from mediagen.engine.files import storage, uploads, variants
from mediagen.engine.generation import claims, estimates, sources
from mediagen.engine.maintenance import fetching
from mediagen.errors import GenerationFailed, InvalidRequest
from mediagen.models import GenerationAttempt, MediaAsset, ProviderConfig
from tests.engine.generation.test_running import killed_while_polling
from tests.factories import MediaLibraryFactory
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()


def disc(size=(96, 64), ground="white", format="PNG"):
    """A red disc in the middle of plain ground."""
    image = Image.new("RGB", size, ground)
    middle = size[0] // 2, size[1] // 3
    ImageDraw.Draw(image).ellipse((middle[0] - 12, middle[1] - 12, middle[0] + 12, middle[1] + 12), fill="red")
    out = BytesIO()
    image.save(out, format)
    return out.getvalue()


def uploaded(content=None, **values):
    return uploads.upload(content or disc(), library=MediaLibraryFactory(), by=None, **values)


def opened(asset):
    content = async_to_sync(storage.read_file)(asset)
    return Image.open(BytesIO(content))


class TestInDryRun:
    def test_a_background_is_really_cut_out(self):
        source = uploaded(name="Disc", alt_text="a red disc")
        made = engine.remove_background_sync(source.pk)
        image = opened(made)

        assert image.size == (96, 64)
        assert image.getpixel((0, 0))[3] == 0
        assert image.getpixel((48, 21)) == (255, 0, 0, 255)
        assert (made.parent_id, made.library_id, made.origin) == (source.pk, source.library_id, "edited")
        assert (made.name, made.alt_text) == ("Disc", "a red disc")
        assert (made.is_placeholder, made.dry_run) == (True, True)

    def test_an_enlarged_picture_is_the_same_one_with_more_pixels(self):
        made = engine.upscale_asset_sync(uploaded().pk, 3)
        image = opened(made)

        assert image.size == (288, 192)
        assert image.getpixel((144, 63)) == (255, 0, 0)
        assert image.text["mediagen"] == "placeholder"
        assert "algorithmicMedia" in image.text["XML:com.adobe.xmp"]

    def test_an_extended_picture_lies_where_it_was(self):
        made = engine.outpaint_asset_sync(uploaded().pk, left=20, down=40)
        image = opened(made)

        assert image.size == (116, 104)
        assert image.getpixel((68, 21)) == (255, 0, 0)
        assert image.getpixel((5, 30)) not in ((255, 255, 255), (255, 0, 0))

    def test_an_edit_changes_where_its_mask_says(self):
        mask = Image.new("RGBA", (96, 64), "black")
        mask.paste((0, 0, 0, 0), (0, 0, 40, 40))
        out = BytesIO()
        mask.save(out, "PNG")
        source = uploaded()
        made = engine.edit_asset_sync(source.pk, "add a hat", mask=uploaded(out.getvalue()))
        image = opened(made)

        assert image.getpixel((5, 5)) != (255, 255, 255)
        assert image.getpixel((90, 5)) == (255, 255, 255)
        assert made.prompt == "add a hat"

    def test_a_variation_takes_the_prompt_of_its_source(self):
        source = engine.generate_asset_sync("a lighthouse", 64, 48)
        made = engine.vary_asset_sync(source.pk)

        assert (made.prompt, made.width, made.height) == ("a lighthouse", 64, 48)
        assert made.content_hash != source.content_hash
        assert made.origin == "edited"

    def test_a_picture_that_no_service_takes_is_handed_over_as_one_that_it_takes(self):
        made = engine.upscale_asset_sync(uploaded(disc(format="GIF")).pk)

        assert opened(made).size == (192, 128)

    def test_the_first_in_the_chain_that_has_it_answers(self):
        made = engine.edit_asset_sync(uploaded().pk, "x", providers=["comfyui", "gemini"])

        rows = GenerationAttempt.objects.of(made).values_list("provider_name", "operation", "state")
        assert list(rows) == [("comfyui", "edit_image", "skipped"), ("gemini", "edit_image", "succeeded")]

    def test_nobody_has_it(self):
        with pytest.raises(GenerationFailed, match="figma_api does not have upscale_image"):
            engine.upscale_asset_sync(uploaded().pk, providers=["figma_api"])

    def test_what_waits_is_made_by_whoever_works(self):
        waiting = engine.enqueue_work_sync("outpaint_image", uploaded().pk, margins={"up": 16}, tags=["wide"])
        assert waiting.generation_state == "pending"
        order = claims.order_of(waiting)
        assert (order.operation, order.margins.up, order.request.height) == ("outpaint_image", 16, 80)
        made = engine.regenerate_asset_sync(waiting.pk)

        assert (made.width, made.height, made.tag_names[-1]) == (96, 80, "wide")


@pytest.mark.parametrize(
    ("operation", "arguments", "field"),
    [
        ("edit_image", {}, "prompt"),
        ("paint_image", {}, "operation"),
        ("upscale_image", {"factor": 1}, "factor"),
        ("upscale_image", {"width": 10}, "width"),
        ("upscale_image", {"factor": 2, "width": 200}, "factor"),
        ("remove_background", {"width": 10}, "width"),
        ("outpaint_image", {}, "left"),
        ("outpaint_image", {"margins": {"left": -1}}, "left"),
        ("upscale_image", {"margins": {"left": 8}}, "left"),
        ("vary_image", {"mask": "itself"}, "mask"),
    ],
)
def test_what_cannot_be_is_said_before_there_is_a_row(operation, arguments, field):
    source = uploaded()
    if arguments.get("mask"):
        arguments = {"mask": source.pk}
    with pytest.raises(InvalidRequest) as caught:
        engine.enqueue_work_sync(operation, source.pk, **arguments)

    assert caught.value.field == field
    assert MediaAsset.objects.count() == 1


def test_a_source_without_a_picture():
    source = engine.enqueue_sync("a lighthouse")
    with pytest.raises(InvalidRequest, match="no picture yet"):
        engine.upscale_asset_sync(source.pk)
    with pytest.raises(InvalidRequest, match="There is no asset"):
        engine.upscale_asset_sync("0195b5f0-0000-7000-8000-000000000000")


def test_a_price_is_said_without_reading_the_picture(live):
    live("gemini")
    order = sources.order_named("edit_image", [uploaded().pk], prompt="add a hat")
    ProviderConfig.objects.exclude(name="gemini").update(enabled=False)
    found = estimates.estimate([order])

    assert not found.is_free
    assert found.cheapest > 0
    assert list(found.prices) == ["gemini"]


def test_an_edit_whose_answer_is_lost_is_not_bought_again(live):
    openai, gemini = live("openai_images", "gemini")
    openai.fault("submit", Fault.reset_after_body_read())
    made = engine.edit_asset_sync(uploaded().pk, "add a hat")

    assert (made.provider_name, len(openai.purchases), len(gemini.purchases)) == ("gemini", 1, 1)
    rows = GenerationAttempt.objects.of(made).values_list("provider_name", "state")
    assert list(rows)[:2] == [("openai_images", "unknown"), ("gemini", "succeeded")]
    assert made.digital_source_type.startswith("composite")


def test_an_edit_of_a_dead_worker_is_fetched_by_its_job_and_not_bought_again(live):
    (flux,) = live("flux")
    source = uploaded()
    flux.fault("poll", Fault.hang(), times=1)
    killed_while_polling(flux, lambda: engine.edit_asset(source.pk, "add a hat"))
    assert len(flux.purchases) == 1
    flux.clear_faults()
    flux.release()
    made = engine.regenerate_asset_sync(MediaAsset.objects.get(prompt="add a hat").pk)

    assert (made.generation_state, made.provider_name, len(flux.purchases)) == ("ready", "flux", 1)
    assert list(GenerationAttempt.objects.of(made).values_list("operation", "state")) == [("edit_image", "adopted")]


def test_an_unknown_edit_is_not_bought_again_by_the_next_try(live, settings):
    (openai,) = live("openai_images")
    ProviderConfig.objects.filter(name="openai_images").update(after_unknown="stop")
    openai.fault("submit", Fault.reset_after_body_read())
    with pytest.raises(GenerationFailed):
        engine.edit_asset_sync(uploaded().pk, "add a hat")
    asset = MediaAsset.objects.get(prompt="add a hat")
    with pytest.raises(GenerationFailed, match="may have made and billed"):
        engine.regenerate_asset_sync(asset.pk)

    assert len(openai.purchases) == 1


def test_many_of_one_kind_are_priced_without_a_query(live, django_assert_max_num_queries):
    live("gemini")
    source = uploaded()
    orders = [sources.order_of("edit_image", [source], prompt=f"hat {number}") for number in range(50)]
    with django_assert_max_num_queries(10):
        assert estimates.estimate(orders).pictures == 50


def test_a_bought_edit_is_fetched_although_its_source_is_gone(live):
    (flux,) = live("flux")
    source, mask = uploaded(), uploaded()
    flux.fault("poll", Fault.hang(), times=1)
    killed_while_polling(flux, lambda: engine.edit_asset(source.pk, "add a hat", mask=mask.pk))
    MediaAsset.objects.filter(pk__in=[source.pk, mask.pk]).delete()
    flux.release()
    flux.fault("poll", Fault.task_not_found(), times=None)
    asset = MediaAsset.objects.get()
    with pytest.raises(InvalidRequest, match="not there any more"):
        engine.regenerate_asset_sync(asset.pk)
    flux.clear_faults()
    made = engine.regenerate_asset_sync(asset.pk)

    assert (made.is_ready, len(flux.purchases)) == (True, 1)


def test_maintenance_looks_for_a_bought_edit_no_longer_because_its_source_is_gone(live, monkeypatch):
    (flux,) = live("flux")
    source = uploaded()
    flux.fault("poll", Fault.hang(), times=1)
    killed_while_polling(flux, lambda: engine.edit_asset(source.pk, "add a hat"))
    source.delete()
    flux.release()
    MediaAsset.objects.update(generation_state="failed")
    seconds = []
    real = MediaGeneratorChain.execute

    async def execute(self, operation, **kwargs):
        seconds.append(kwargs["fetch_for_s"])
        return await real(self, operation, **kwargs)

    monkeypatch.setattr(MediaGeneratorChain, "execute", execute)
    assert fetching.fetch_jobs() == 1
    assert seconds[0] <= fetching.PATIENCE_S
    assert len(flux.purchases) == 1


def test_an_operation_may_have_an_order_of_its_own(settings):
    settings.MEDIAGEN = {"OPERATION_ORDER": {"edit_image": ["gemini"]}}
    source = uploaded()

    assert engine.edit_asset_sync(source.pk, "x").provider_name == "gemini"
    assert engine.edit_asset_sync(source.pk, "x", providers=["flux", "gemini"]).provider_name == "flux"
    assert engine.vary_asset_sync(source.pk).provider_name != "gemini"


def test_parts_and_sizes_of_a_placeholder_are_not_made_anew_only_it_is():
    placeholder = engine.generate_asset_sync("a lighthouse", 64, 64, dry_run=True)
    children = [variants.make_crop(placeholder, None, width=32), *variants.make_variants(placeholder, ["32x"], None)]
    for child in children:
        for again in (engine.enqueue_again_sync, engine.regenerate_asset_sync):
            with pytest.raises(InvalidRequest):
                again(child.pk)
    assert {child.pk for child in children} <= {
        asset.pk for asset in MediaAsset.objects.filter(generation_state="ready")
    }
    assert engine.enqueue_again_sync(placeholder.pk).generation_state == "pending"
