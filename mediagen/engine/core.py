"""MediaEngine: the only way in. Edges call it, and every ORM write of the app is behind it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from asgiref.sync import async_to_sync

from mediagen.engine import exports, generation, handover, health, starting
from mediagen.engine.database import in_database
from mediagen.engine.orders import AssetOrder, as_uuid
from mediagen.errors import GenerationFailed, InvalidRequest, LeaseLost
from mediagen.factory import chain_configs, declared_options
from mediagen.models import MediaAsset, MediaTag

logger = logging.getLogger("mediagen.engine")


class MediaEngine:
    """Pictures from prompts, kept as assets. Stateless: one instance serves all threads and event loops.

    The coroutines are the engine; each `..._sync` twin is for code without an event loop (admin, commands, tasks,
    DRF). Do not call either inside a transaction of your own: a roll-back would take the attempts' rows with it.
    `enqueue` and `enqueue_again` are the exception: they only write rows, and tell nobody before the commit.
    """

    async def generate_asset_from_prompt(
        self, prompt: str, width: int = 1024, height: int = 1024, library_id: Any = None, **options: Any
    ) -> MediaAsset | None:
        """The asset, filled by the first provider that delivers; None when none does (its row, with every attempt
        and the reason, stays).

        `width`, `height` in pixels; without `library_id` the library "Default". `options`: negative_prompt, seed,
        name, description, alt_text, tags, provider or providers (instead of the chain), dry_run, deadline_s
        (seconds), created_by, parent, idempotency_key; everything else goes to the provider. Raises `InvalidRequest`
        for what nobody could make and `ConfigurationError` for settings that cannot work, before a row is made.
        """
        try:
            return await self.generate_asset(prompt, width, height, library_id, **options)
        except (GenerationFailed, LeaseLost) as exc:
            logger.warning("%s", exc)
            return None

    async def generate_asset(
        self, prompt: str, width: int = 1024, height: int = 1024, library_id: Any = None, **options: Any
    ) -> MediaAsset:
        """As `generate_asset_from_prompt`, but raises `GenerationFailed`, which lists every attempt and its reason."""
        job = await in_database(starting.begin, AssetOrder.of(prompt, width, height, library_id, **options))
        return job.asset if job.existing else await generation.run(job)

    async def regenerate_asset(self, asset_id: Any, *, dry_run: bool | None = None) -> MediaAsset:
        """Make a failed or cancelled asset, or the real picture of a placeholder, under the same id.

        A job that a dead process had bought for it is fetched, not bought again. Raises `GenerationFailed`;
        a placeholder then stays as it was.
        """
        changes = {} if dry_run is None else {"dry_run": dry_run}
        job = await in_database(starting.begin_again, as_uuid(asset_id, "asset_id"), changes)
        return await generation.run(job)

    async def enqueue(
        self, prompt: str, width: int = 1024, height: int = 1024, library_id: Any = None, **options: Any
    ) -> MediaAsset:
        """The asset, pending, for whoever works: arguments and errors of `generate_asset`, without the wait.

        With MEDIAGEN["TASK_BACKEND"] the site's task engine is told of it when the transaction is committed; without,
        it waits for `manage.py generate_worker`. Whether it runs dry is decided where it is made, unless `dry_run`
        says so.
        """
        return await in_database(handover.enqueue, AssetOrder.of(prompt, width, height, library_id, **options))

    async def enqueue_again(self, asset_id: Any, *, dry_run: bool | None = None) -> MediaAsset:
        """As `regenerate_asset`, by whoever works: the asset is pending, under its id.

        `InvalidRequest` for a real picture, for one that somebody works on, and for a row of a cancelled batch.
        """
        return await in_database(handover.enqueue_again, as_uuid(asset_id, "asset_id"), dry_run)

    async def export_asset_to_figma(
        self, asset_id: Any, file_key: str, page_id: str | None = None, **options: Any
    ) -> dict[str, Any] | None:
        """{figma_node_id, figma_url, figma_file_key, page_id, asset_id, status}, or None when no provider can.

        `InvalidRequest` for an asset that does not exist or has no picture, and for a file key that is none.
        """
        try:
            return await exports.export_to_figma(asset_id, file_key, page_id, **options)
        except GenerationFailed as exc:
            logger.warning("%s", exc)
            return None

    async def check_providers(
        self, names: list[str] | None = None, *, live: bool = False
    ) -> list[health.ProviderReport]:
        """Ask every provider of the chain, disabled ones too, by calls that cost nothing; those in dry run only
        when `live`."""
        return await health.check_providers(names, live=live)

    def check_order(self, prompt: str, **arguments: Any) -> None:
        """`InvalidRequest` or `ConfigurationError` if `generate_asset` with these arguments could not even begin."""
        order = AssetOrder.of(prompt, **arguments)
        chain_configs(order.providers or None)
        MediaTag.objects.clean_names(order.tags)

    def check_options(self, options: Mapping[str, Any], providers: Sequence[str] | str | None = None) -> None:
        """`InvalidRequest` for an option that no provider of the chain knows, which is likely a typing mistake."""
        known = declared_options(providers or None)
        unknown = sorted(set(options) - known) if known is not None else []
        if unknown:
            raise InvalidRequest(
                f"No provider of the chain has an option {', '.join(unknown)}. "
                f"They have: {', '.join(sorted(known or ()))}.",
                field="options",
            )

    def generate_asset_from_prompt_sync(self, *args: Any, **kwargs: Any) -> MediaAsset | None:
        return async_to_sync(self.generate_asset_from_prompt)(*args, **kwargs)

    def generate_asset_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return async_to_sync(self.generate_asset)(*args, **kwargs)

    def regenerate_asset_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return async_to_sync(self.regenerate_asset)(*args, **kwargs)

    def enqueue_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return async_to_sync(self.enqueue)(*args, **kwargs)

    def enqueue_again_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return async_to_sync(self.enqueue_again)(*args, **kwargs)

    def export_asset_to_figma_sync(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        return async_to_sync(self.export_asset_to_figma)(*args, **kwargs)

    def check_providers_sync(self, *args: Any, **kwargs: Any) -> list[health.ProviderReport]:
        return async_to_sync(self.check_providers)(*args, **kwargs)


_engine = MediaEngine()


def get_media_engine() -> MediaEngine:
    """The engine of this process."""
    return _engine
