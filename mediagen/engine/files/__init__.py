"""Files of assets: where they lie, how they come and go, other sizes, addresses, uploads.

Keeps: a file that no row names is found again or removed, a paid one is put aside and never thrown away. `storage`,
`renditions`, `responsive` (the sizes of a picture on a page), `variants`, `links` (signed addresses), `uploads`
(people's own pictures).
"""
