"""What the document that this project is made from promises with its examples, in our words."""

import io
import uuid

import pytest
from asgiref.sync import async_to_sync
from PIL import Image

from mediagen.chain import MediaGeneratorChain
from mediagen.engine import get_media_engine
from mediagen.errors import InvalidRequest
from mediagen.providers import (
    CanvaAPIAdapter,
    FigmaAPIAdapter,
    FluxAdapter,
    GeneratedImage,
    NoOpMediaAdapter,
    OpenAIImagesAdapter,
    ReplicateSDXLAdapter,
    SDXLAdapter,
)

MAKERS = (SDXLAdapter, OpenAIImagesAdapter, FluxAdapter, ReplicateSDXLAdapter, NoOpMediaAdapter)


def png(width: int = 8, height: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


class Stranger:
    """A provider as the document writes one: these methods, and none of our base classes."""

    def __init__(self, name, answer):
        self.name, self.answer = name, answer

    def get_name(self):
        return self.name

    async def check_health(self):
        return True

    async def generate_image(self, prompt, width=1024, height=1024, **options):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("adapter", MAKERS)
async def test_a_picture_says_what_was_asked_and_who_served(adapter):
    image = await adapter().generate_image(prompt="a lighthouse", width=64, height=64)
    assert image.metadata["prompt"] == "a lighthouse"
    assert image.metadata["provider"] == adapter().get_name()


async def test_options_that_were_taken_stand_under_their_own_names():
    image = await SDXLAdapter(dry_run=True).generate_image(prompt="x", width=64, height=64, steps=50)
    assert image.metadata["steps"] == 50
    assert "stepps" not in (await SDXLAdapter().generate_image("x", 64, 64, stepps=50)).metadata


async def test_a_strangers_picture_says_it_too_and_keeps_its_own_words():
    picture = GeneratedImage(content=png(), metadata={"prompt": "as I understood it"})
    image = await MediaGeneratorChain([Stranger("theirs", picture)]).execute_generate_image("x", 8, 8)
    assert image.metadata["prompt"] == "as I understood it"
    assert image.metadata["provider"] == "theirs"


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("adapter", [FigmaAPIAdapter, CanvaAPIAdapter])
async def test_who_only_takes_pictures_is_unhealthy_without_a_token(adapter, dry_run):
    assert await adapter(dry_run=dry_run).check_health() is False


async def test_with_a_token_a_dry_run_is_healthy():
    assert await FigmaAPIAdapter(api_token="made-up", dry_run=True).check_health() is True
    assert await CanvaAPIAdapter(access_token="made-up", dry_run=True).check_health() is True


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_export_without_a_token_gives_no_result(dry_run):
    chain = MediaGeneratorChain([FigmaAPIAdapter(dry_run=dry_run)], dry_run=dry_run)
    assert await chain.execute_export_figma(GeneratedImage(content=png()), "figma_file_abc", "0:1") is None


async def test_a_dry_export_takes_the_documents_examples_and_says_that_it_is_dry():
    chain = MediaGeneratorChain([FigmaAPIAdapter(api_token="made-up", dry_run=True)])
    image = GeneratedImage(content=png())
    first = await chain.execute_export_figma(image, "figma_file_abc", "page_xyz")
    assert (first.figma_file_key, first.page_id) == ("figma_file_abc", "page_xyz")
    assert first.figma_node_id.startswith("dry:")
    assert first.figma_node_id == (await chain.execute_export_figma(image, "figma_file_abc", "page_xyz")).figma_node_id


async def test_a_live_export_checks_the_page_as_ever():
    with pytest.raises(InvalidRequest, match="page_id"):
        await FigmaAPIAdapter(api_token="made-up", dry_run=False).export_to_figma(
            GeneratedImage(content=png()), "figma_file_abc", "page_xyz"
        )


@pytest.mark.parametrize("answer", [RuntimeError("down"), None])
@pytest.mark.parametrize("dry_run", [True, False])
async def test_health_is_what_was_last_seen(answer, dry_run):
    first = Stranger("first", answer)
    first.dry_run = second_dry = False
    second = Stranger("second", GeneratedImage(content=png()))
    second.dry_run = second_dry
    first.runs_dry = second.runs_dry = dry_run  # they know how to answer dry, so they are asked then too
    chain = MediaGeneratorChain([first, second], dry_run=dry_run)
    assert chain.get_provider_health() == {"first": True, "second": True}
    assert await chain.execute_generate_image("x", 8, 8) is not None
    assert chain.get_provider_health() == {"first": False, "second": True}
    first.answer = GeneratedImage(content=png())
    await chain.execute_generate_image("x", 8, 8)
    assert chain.get_provider_health() == {"first": True, "second": True}


@pytest.mark.django_db
def test_an_asset_that_does_not_exist_is_exported_nowhere():
    engine = get_media_engine()
    for asset_id in (uuid.uuid4(), str(uuid.uuid4()), "no id"):
        assert engine.export_asset_to_figma_sync(asset_id, "figma_file_abc", "page_xyz") is None
        assert engine.export_asset_to_canva_sync(asset_id) is None
        with pytest.raises(InvalidRequest, match="asset"):
            engine.export_to_figma_sync(asset_id, "figma_file_abc")
        with pytest.raises(InvalidRequest, match="asset"):
            engine.export_to_canva_sync(asset_id)


@pytest.mark.django_db
def test_the_documents_usage_runs_as_written(monkeypatch):
    monkeypatch.setenv("FIGMA_API_TOKEN", "made-up")
    engine = get_media_engine()

    async def usage():
        asset = await engine.generate_asset_from_prompt("A hero picture", width=64, height=64)
        return asset, await engine.export_asset_to_figma(asset.asset_id, "figma_file_abc", page_id="page_xyz")

    asset, export = async_to_sync(usage)()
    assert set(asset.tag_names) >= {"generated", f"generated-{asset.provider_name}"}
    assert {"figma_node_id", "figma_url", "figma_file_key", "page_id", "asset_id"} <= set(export)
    assert export["asset_id"] == asset.asset_id
    assert (export["figma_file_key"], export["page_id"]) == ("figma_file_abc", "page_xyz")
