"""Django signals for code in the same process: what became of assets, batches and exports, and what needs somebody.

Each is sent once the change is committed, in the process that made it, in the thread of its database work. A receiver
that raises is logged and changes nothing: the picture is kept. A process that dies right after the commit sends none;
what must not be missed goes by webhook, whose messages are rows of the same transaction.

    @receiver(asset_ready)
    def tell_the_editors(sender, asset, **kwargs): ...
"""

from django.dispatch import Signal

asset_ready = Signal()
"""asset: the `MediaAsset`, with its file. Also for placeholders and for uploads, and again when the picture of an
asset is replaced. sender: `MediaAsset`."""

asset_failed = Signal()
"""asset: the `MediaAsset`, whose `failure` says why there is no picture. sender: `MediaAsset`."""

batch_finished = Signal()
"""batch: the `GenerationBatch`, of which nothing waits and nothing is under way. Again when rows of a finished one
were retried. sender: `GenerationBatch`."""

export_placed = Signal()
"""export: the `AssetExport`, whose picture now is where it should be. sender: `AssetExport`."""

export_failed = Signal()
"""export: the `AssetExport`, whose `message` says why not. sender: `AssetExport`."""

alert_raised = Signal()
"""alert: the `Alert`, a condition that somebody has to do something about: `code`, `about`, `what`, `next_step`. Again
when it comes back after MEDIAGEN["ALERT_QUIET_S"]. sender: `Alert`."""

alert_over = Signal()
"""alert: the `Alert`, which is so no longer. sender: `Alert`."""
