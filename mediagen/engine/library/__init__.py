"""Libraries and what people do with the assets in them: who may, find, review, tag, use, delete.

Keeps: one rule of access for admin, API, studio and commands, and nothing of a library shown to who may not see it.
`access`, `tokens`, `libraries`, `assets`, `filters`, `search`, `review`, `tagging`, `bulk`, `usage`, `suggestions`,
`cancelling`, `trash`, `labels` (what pages say of a picture's making), `choosing` (a picture for a place in somebody's
site), `elsewhere` (which rows of the site's other apps use an asset), `references` (in their texts).
"""
