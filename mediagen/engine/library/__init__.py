"""Libraries and what people do with the assets in them: who may, find, review, tag, use, delete.

Keeps: one rule of access for admin, API, studio and commands, and nothing of a library shown to who may not see it.
`access`, `tokens`, `libraries`, `assets`, `filters`, `facets`, `search`, `review`, `tagging`, `bulk`, `usage`,
`suggestions`, `cancelling`, `trash`, `strangers`, `elsewhere` (what the site's other apps point at).
"""
