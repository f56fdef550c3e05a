"""Many prompts at once: manifests are checked, become rows once, and are worked off within a budget.

Keeps: the same manifest is the same batch, and no row is made twice. `lifecycle` (open, load, start, pause, retry),
`uploads` (manifests sent to a site), `manifests` (the file formats, columns, checks, results).
"""
