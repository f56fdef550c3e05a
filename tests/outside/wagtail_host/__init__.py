"""A Wagtail site with an image model of its own and a page with our block; its tests run in a process of their own."""
