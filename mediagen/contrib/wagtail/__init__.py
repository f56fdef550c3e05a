"""mediagen in Wagtail: "mediagen.contrib.wagtail" in INSTALLED_APPS, behind Wagtail's own apps. Needs the extra
`wagtail`.

`images` makes Wagtail images of assets and takes Wagtail images into the library, `blocks` has the block for a
StreamField, `storage` keeps a file that both have, `references` tells an asset which pages use it, `wagtail_hooks` is
what Wagtail's admin shows.
"""
