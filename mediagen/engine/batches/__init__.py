"""Many prompts at once: manifests are checked, become rows once, and are worked off within a budget.

Keeps: the same manifest is the same batch, and no row is made twice. `lifecycle` (open, load, start, pause, retry),
`pace` (how quickly it gets on), `uploads` (manifests sent to a site), `manifests` (the file formats, columns, checks,
results).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.batches.manifests import (
        FORMATS,
        Checker,
        InvalidRow,
        Manifest,
        ManifestError,
        ManifestRow,
        ResultWriter,
        ValidationReport,
        checked_rows,
        open_manifest,
        options_by_provider,
        validate,
    )
    from mediagen.engine.batches.manifests.cells import cell, protect
    from mediagen.engine.batches.uploads import BatchRequest, Checked

__getattr__ = names_from(
    __name__,
    {
        "manifests": "Checker FORMATS InvalidRow Manifest ManifestError ManifestRow ResultWriter ValidationReport"
        " checked_rows open_manifest options_by_provider validate",
        "manifests.cells": "cell protect",
        "uploads": "BatchRequest Checked",
    },
)
