"""The façade's half for pictures that are there: each call makes a new asset out of one, through the same chain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mediagen.engine.generation.beginning as beginning
import mediagen.engine.generation.descriptions as descriptions
import mediagen.engine.generation.queue as queue
import mediagen.engine.generation.running as running
from mediagen.engine.database import grouped, in_database, run_sync
from mediagen.engine.generation.orders import AssetOrder
from mediagen.engine.generation.sources import order_named
from mediagen.engine.library import get_asset
from mediagen.models import AssetDescription, DescriptionState, MediaAsset
from mediagen.operations import EDIT, OUTPAINT, REMOVE_BACKGROUND, UPSCALE, VARY


class AssetWorks:
    """What `MediaEngine` does with assets that have a picture.

    The result is a new asset: the child of the one that is named, in its library (`library_id`: in another), with its
    name, and with origin "edited". `options` are those of `generate_asset`. Errors as of `generate_asset`:
    `GenerationFailed` with every attempt, `InvalidRequest` before a row is made for what cannot be, also for an asset
    that is not there or has no picture. Who may do it is asked before, at the edge. `describe_asset` alone makes no
    asset: it brings words.
    """

    async def edit_asset(
        self,
        asset_id: Any,
        prompt: str,
        *,
        sources: Iterable[Any] = (),
        mask: Any = None,
        width: int | None = None,
        height: int | None = None,
        **options: Any,
    ) -> MediaAsset:
        """The picture, changed as the prompt says. `sources`: further assets to be made of; `mask`: an asset whose
        transparent (where it has none, white) parts may change. Without a size, that of the picture."""
        asked = {"prompt": prompt, "mask": mask, "width": width, "height": height}
        return await _work(EDIT, [asset_id, *sources], **asked, **options)

    async def vary_asset(
        self,
        asset_id: Any,
        prompt: str = "",
        *,
        width: int | None = None,
        height: int | None = None,
        **options: Any,
    ) -> MediaAsset:
        """Another picture like it; without a prompt, by that of the asset."""
        return await _work(VARY, [asset_id], prompt=prompt, width=width, height=height, **options)

    async def upscale_asset(
        self,
        asset_id: Any,
        factor: float | None = None,
        *,
        width: int | None = None,
        height: int | None = None,
        prompt: str = "",
        **options: Any,
    ) -> MediaAsset:
        """The picture with `factor` times as many pixels a side (2), or of this size."""
        return await _work(UPSCALE, [asset_id], prompt=prompt, factor=factor, width=width, height=height, **options)

    async def remove_background(self, asset_id: Any, **options: Any) -> MediaAsset:
        """What is in the foreground, with transparency around."""
        return await _work(REMOVE_BACKGROUND, [asset_id], **options)

    async def outpaint_asset(
        self,
        asset_id: Any,
        *,
        left: int = 0,
        right: int = 0,
        up: int = 0,
        down: int = 0,
        prompt: str = "",
        **options: Any,
    ) -> MediaAsset:
        """The picture, continued by so many pixels on each side."""
        margins = {"left": left, "right": right, "up": up, "down": down}
        return await _work(OUTPAINT, [asset_id], prompt=prompt, margins=margins, **options)

    async def describe_asset(
        self,
        asset_id: Any,
        language: str | None = None,
        max_chars: int | None = None,
        *,
        provider: str | None = None,
        providers: Iterable[str] | str | None = None,
        dry_run: bool | None = None,
        deadline_s: float | None = None,
        created_by: Any = None,
    ) -> AssetDescription:
        """What the picture shows, as a text for its alt text: `.text`, in `language` (of whoever asks, or of the site),
        of at most `max_chars` characters (160).

        It makes no new asset, and changes no alt text: it is a suggestion (`asset.alt_text_suggestion`) until a person
        accepts it. Errors as of `generate_asset`.
        """
        wish = descriptions.Wish.of(language, max_chars, provider=provider, providers=providers, dry_run=dry_run)

        def begun() -> AssetDescription:
            asset = get_asset(asset_id)
            descriptions.plan(None, wish)
            return descriptions.begin(asset, wish, by=created_by)

        done = await descriptions.run(await in_database(begun), deadline_s=deadline_s)
        if done.description.state != DescriptionState.READY:
            raise descriptions.of_failed(done)
        return done.description

    async def enqueue_work(
        self, operation: str, asset_id: Any, *, sources: Iterable[Any] = (), **arguments: Any
    ) -> MediaAsset:
        """The asset, pending, for whoever works, as `enqueue`. `operation` is "edit_image", "vary_image",
        "upscale_image", "remove_background" or "outpaint_image"; `arguments` those of the calls above, the margins as
        `margins={"left": 256}`."""
        order: AssetOrder = await in_database(lambda: order_named(operation, [asset_id, *sources], **arguments))
        return await in_database(queue.Enqueuing(order))

    def edit_asset_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.edit_asset, *args, **kwargs)

    def vary_asset_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.vary_asset, *args, **kwargs)

    def upscale_asset_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.upscale_asset, *args, **kwargs)

    def remove_background_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.remove_background, *args, **kwargs)

    def outpaint_asset_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.outpaint_asset, *args, **kwargs)

    def describe_asset_sync(self, *args: Any, **kwargs: Any) -> AssetDescription:
        return run_sync(self.describe_asset, *args, **kwargs)

    def enqueue_work_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.enqueue_work, *args, **kwargs)


async def _work(operation: str, ids: list[Any], **arguments: Any) -> MediaAsset:
    order: AssetOrder = await in_database(lambda: order_named(operation, ids, **arguments))
    with grouped():
        job = await beginning.begun_here(order)
        return job.asset if job.existing else await running.run(job)
