"""Pictures on their way to Figma and Canva, and back.

Keeps: an export is a row that tells its end, and what was placed once is not placed again. `requests`, `rows`,
`sending`, `figma`, `plugin`, `plugin_files`, `from_figma`, `figma_import`, `canva`, `from_canva`, `pictures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.exports.figma_import import FigmaImport, import_from_figma
    from mediagen.engine.exports.plugin_files import files_of_plugin
    from mediagen.engine.exports.requests import ExportOrder
    from mediagen.engine.exports.rows import ExportConflict

__getattr__ = names_from(
    __name__,
    {
        "figma_import": "FigmaImport import_from_figma",
        "plugin_files": "files_of_plugin",
        "requests": "ExportOrder",
        "rows": "ExportConflict",
    },
)
