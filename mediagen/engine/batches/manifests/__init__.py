"""Prompt manifests: files of prompts, read row by row, checked before money is spent, and written with results.

with open_manifest("prompts.csv") as manifest:
    report = validate(manifest, providers=options_by_provider())
    if not report.ok:
        raise report.error(manifest.name)
    for row in manifest.rows():
        ...
"""

from mediagen.engine.batches.manifests.columns import MAX_COUNT, RESULT_COLUMNS
from mediagen.engine.batches.manifests.lines import MAX_RECORD_BYTES
from mediagen.engine.batches.manifests.manifest import FORMATS, Manifest, open_manifest
from mediagen.engine.batches.manifests.problems import ManifestError, Problem
from mediagen.engine.batches.manifests.results import ResultWriter
from mediagen.engine.batches.manifests.rows import Entry, ManifestRow
from mediagen.engine.batches.manifests.template import Template
from mediagen.engine.batches.manifests.validation import (
    Checker,
    InvalidRow,
    ValidationReport,
    checked_rows,
    options_by_provider,
    validate,
)

__all__ = [
    "FORMATS",
    "MAX_COUNT",
    "MAX_RECORD_BYTES",
    "RESULT_COLUMNS",
    "Checker",
    "Entry",
    "InvalidRow",
    "Manifest",
    "ManifestError",
    "ManifestRow",
    "Problem",
    "ResultWriter",
    "Template",
    "ValidationReport",
    "checked_rows",
    "open_manifest",
    "options_by_provider",
    "validate",
]
