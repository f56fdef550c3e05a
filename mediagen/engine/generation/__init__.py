"""One prompt becomes one asset: asked, priced, queued, claimed, run, recorded, recovered.

Keeps: an attempt is a row before its request leaves; only the holder of the newest lease writes; what was bought is
fetched, not bought again. `orders`, `options`, `requests`, `estimates`, `idempotency`, `queue`, `claims`, `beginning`
(where it is asked for), `leases`, `running`, `recorder`, `attempt_log`, `recovery`, `earlier` (what an earlier run has
left), `second_reading` (of kept answers), `settling`, `sources`, `asset_works` (of the façade), `failures` (as words
for programs), `job_notices` and `incoming_webhooks` (webhooks in), `memory_limit`,
`descriptions` (what pictures show, in words).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.generation.asset_works import AssetWorks
    from mediagen.engine.generation.claims import library_budgets, row_values
    from mediagen.engine.generation.earlier import Run, Wanted
    from mediagen.engine.generation.estimates import Estimate, estimate
    from mediagen.engine.generation.failures import told
    from mediagen.engine.generation.leases import (
        Lease,
        free_dead_workers,
        is_dead,
        is_held,
        is_in_hand,
        not_in_hand,
        out_of_hand,
        worker_name,
    )
    from mediagen.engine.generation.options import check_options
    from mediagen.engine.generation.orders import AssetOrder
    from mediagen.engine.generation.recorder import RowRecorder
    from mediagen.engine.generation.requests import ACCEPT, FAIL, MOST_AT_ONCE, PictureRequest, Placed
    from mediagen.engine.generation.running import Job, PutOff
    from mediagen.engine.generation.settling import Unsettled
    from mediagen.engine.generation.sources import order_of

__getattr__ = names_from(
    __name__,
    {
        "asset_works": "AssetWorks",
        "claims": "library_budgets row_values",
        "earlier": "Run Wanted",
        "estimates": "Estimate estimate",
        "failures": "told",
        "leases": "Lease free_dead_workers is_dead is_held is_in_hand not_in_hand out_of_hand worker_name",
        "options": "check_options",
        "orders": "AssetOrder",
        "recorder": "RowRecorder",
        "requests": "ACCEPT FAIL MOST_AT_ONCE PictureRequest Placed",
        "running": "Job PutOff",
        "settling": "Unsettled",
        "sources": "order_of",
    },
)
