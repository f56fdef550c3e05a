"""Pictures on their way to Figma and Canva, and back.

Keeps: an export is a row that tells its end, and what was placed once is not placed again. `requests`, `rows`,
`sending`, `figma`, `plugin`, `plugin_files`, `from_figma`, `figma_import`, `canva`, `from_canva`, `pictures`.
"""
