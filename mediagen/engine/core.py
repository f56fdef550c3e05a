"""MediaEngine: the only way in. Edges call it, and every ORM write of the app is behind it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mediagen.engine.database import as_uuid, grouped, in_database, run_sync
from mediagen.engine.exports import FigmaImport, canva, figma, from_canva, import_from_figma, sending
from mediagen.engine.generation import AssetOrder, AssetWorks, beginning, claims, queue, running
from mediagen.engine.library import NoSuchAsset
from mediagen.engine.providers import health
from mediagen.errors import GenerationFailed, LeaseLost
from mediagen.models import AssetExport, MediaAsset
from mediagen.models.routing import atomic

logger = logging.getLogger("mediagen.engine")


class MediaEngine(AssetWorks):
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
        (seconds), created_by, parent, idempotency_key, generation_id (a UUID that several assets share); everything
        else goes to the provider. Raises `InvalidRequest` for what nobody could make and `ConfigurationError` for
        settings that cannot work, before a row is made.
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
        order = AssetOrder.of(prompt, width, height, library_id, **options)
        with grouped():
            job = await beginning.begun_here(order)
            return job.asset if job.existing else await running.run(job)

    async def regenerate_asset(self, asset_id: Any, *, dry_run: bool | None = None) -> MediaAsset:
        """Make a failed or cancelled asset, or the real picture of a placeholder, under the same id.

        A job that a dead process had bought for it is fetched, not bought again. Raises `GenerationFailed`;
        a placeholder then stays as it was.
        """
        changes = {} if dry_run is None else {"dry_run": dry_run}
        with grouped():
            job = await in_database(claims.begin_again, as_uuid(asset_id, "asset_id"), changes)
            return await running.run(job)

    async def enqueue(
        self, prompt: str, width: int = 1024, height: int = 1024, library_id: Any = None, **options: Any
    ) -> MediaAsset:
        """The asset, pending, for whoever works: arguments and errors of `generate_asset`, without the wait.

        With MEDIAGEN["TASK_BACKEND"] the site's task engine is told of it when the transaction is committed; without,
        it waits for `manage.py generate_worker`. Whether it runs dry is decided where it is made, unless `dry_run`
        says so.
        """
        return await in_database(queue.Enqueuing(AssetOrder.of(prompt, width, height, library_id, **options)))

    async def enqueue_again(self, asset_id: Any, *, dry_run: bool | None = None) -> MediaAsset:
        """As `regenerate_asset`, by whoever works: the asset is pending, under its id.

        `InvalidRequest` for a real picture, for one that somebody works on, and for a row of a cancelled batch.
        """
        return await in_database(queue.enqueue_again, as_uuid(asset_id, "asset_id"), dry_run)

    async def export_asset_to_figma(
        self, asset_id: Any, file_key: str, page_id: str | None = None, **options: Any
    ) -> dict[str, Any] | None:
        """{figma_node_id, figma_url, figma_file_key, page_id, asset_id, status, export_id, notes}, or None when there
        is no such asset, and when no provider can; the `AssetExport` row then says why.

        `file_key` may be the file's address. `options`: frame_name, x and y (canvas pixels), comment (a text, or True
        for ours, to be pinned in the file), by (a user), dry_run, deadline_s (seconds). Live, the status is
        "waiting_for_plugin" and the node id empty, until mediagen's plugin in Figma has placed the picture.
        `InvalidRequest` for an asset that has no picture, and for a place that cannot be one.
        """
        try:
            return await self.export_to_figma(asset_id, file_key, page_id, **options)
        except (GenerationFailed, NoSuchAsset) as exc:
            logger.warning("%s", exc)
            return None

    async def export_to_figma(
        self, asset_id: Any, file_key: str, page_id: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """As `export_asset_to_figma`, but raises `GenerationFailed`, which lists every attempt and its reason."""
        return await figma.export_to_figma(asset_id, file_key, page_id, **options)

    async def export_asset_to_canva(
        self,
        asset_id: Any,
        create_design: bool = True,
        title: str | None = None,
        folder: str | None = None,
        **options: Any,
    ) -> dict[str, Any] | None:
        """{export_id, asset_id, canva_asset_id, canva_design_id, edit_url, title, folder, status, notes}, or None when
        there is no such asset, and when no provider can; the `AssetExport` row then says why.

        A design of the picture's size is made with it inside, unless `create_design` is False. Without a title the
        asset's name; `folder` is an id or address. `options`: by (a user), dry_run, deadline_s (seconds).
        `InvalidRequest` for an asset that has no picture, and for what cannot be a title or folder.
        """
        try:
            return await self.export_to_canva(asset_id, create_design, title, folder, **options)
        except (GenerationFailed, NoSuchAsset) as exc:
            logger.warning("%s", exc)
            return None

    async def export_to_canva(
        self,
        asset_id: Any,
        create_design: bool = True,
        title: str | None = None,
        folder: str | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """As `export_asset_to_canva`, but raises `GenerationFailed`, which lists every attempt and its reason."""
        return await canva.export_to_canva(asset_id, create_design, title, folder, **options)

    async def enqueue_export_to_canva(self, asset_id: Any, **options: Any) -> AssetExport:
        """The export, pending, for whoever works: arguments and errors of `export_asset_to_canva`, without the wait.

        Sent after the commit by the site's task engine or in this process; a limit of Canva's is waited out.
        """
        return await in_database(_enqueue_to_canva, asset_id, options)

    async def import_from_canva(
        self, design_id: str, library_id: Any = None, page: int = 1, **options: Any
    ) -> MediaAsset:
        """A page of a design as a new asset, the child of the one that was exported into it.

        `design_id` may be the design's address; without `library_id` the parent's library, or the default one.
        `options`: name, tags, by, dry_run, deadline_s. Raises `GenerationFailed` and `InvalidRequest`.
        """
        return await from_canva.import_from_canva(design_id, library_id, page, **options)

    async def import_from_figma(
        self, file_key: str, node_ids: Iterable[str] | str, format: str = "png", scale: float = 1, **options: Any
    ) -> FigmaImport:
        """Nodes of a Figma file as assets: `.assets`, and `.failures` with the reason for each node that gave none.

        `file_key` and nodes may be addresses as copied from Figma. `format` "png" or "jpg", `scale` 0.01 to 4;
        `options`: library_id, by (a user), access, dry_run, deadline_s (seconds). A node that was placed from here
        becomes a child of its asset. `GenerationFailed` when no provider can, `InvalidRequest` for what cannot be
        rendered.
        """
        return await import_from_figma(file_key, node_ids, format, scale, **options)

    async def check_providers(
        self, names: list[str] | None = None, *, live: bool = False, close: bool = False
    ) -> list[health.ProviderReport]:
        """Ask every provider of the chain, disabled ones too, by calls that cost nothing; those in dry run only
        when `live`. `close`: close all breakers of those that are healthy, not only what the call proves."""
        return await health.check_providers(names, live=live, close=close)

    def generate_asset_from_prompt_sync(self, *args: Any, **kwargs: Any) -> MediaAsset | None:
        return run_sync(self.generate_asset_from_prompt, *args, **kwargs)

    def generate_asset_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.generate_asset, *args, **kwargs)

    def regenerate_asset_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.regenerate_asset, *args, **kwargs)

    def enqueue_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.enqueue, *args, **kwargs)

    def enqueue_again_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.enqueue_again, *args, **kwargs)

    def export_asset_to_figma_sync(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        return run_sync(self.export_asset_to_figma, *args, **kwargs)

    def export_to_figma_sync(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return run_sync(self.export_to_figma, *args, **kwargs)

    def export_asset_to_canva_sync(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        return run_sync(self.export_asset_to_canva, *args, **kwargs)

    def export_to_canva_sync(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return run_sync(self.export_to_canva, *args, **kwargs)

    def enqueue_export_to_canva_sync(self, *args: Any, **kwargs: Any) -> AssetExport:
        return run_sync(self.enqueue_export_to_canva, *args, **kwargs)

    def import_from_canva_sync(self, *args: Any, **kwargs: Any) -> MediaAsset:
        return run_sync(self.import_from_canva, *args, **kwargs)

    def import_from_figma_sync(self, *args: Any, **kwargs: Any) -> FigmaImport:
        return run_sync(self.import_from_figma, *args, **kwargs)

    def check_providers_sync(self, *args: Any, **kwargs: Any) -> list[health.ProviderReport]:
        return run_sync(self.check_providers, *args, **kwargs)


@atomic()
def _enqueue_to_canva(asset_id: Any, options: Mapping[str, Any]) -> AssetExport:
    export = canva.begin(asset_id, **options)
    sending.send_soon([export.pk])
    return export


_engine = MediaEngine()


def get_media_engine() -> MediaEngine:
    """The engine of this process."""
    return _engine
