"""Only for the process that tests/outside/test_wagtail.py starts, with this site's settings."""

from __future__ import annotations

import pytest
from django.conf import settings as project

if getattr(project, "WAGTAIL_SITE_NAME", "") != "Harbour":
    collect_ignore_glob = ["*"]
else:
    from wagtail.models import Collection, GroupCollectionPermission, Page, Site

    from mediagen.engine.files import upload
    from tests import pictures
    from tests.factories import GroupFactory, MediaLibraryFactory, UserFactory
    from tests.outside.wagtail_host.models import HarbourPage

EVERYTHING = ("view_mediaasset", "add_mediaasset", "change_mediaasset", "delete_mediaasset")


@pytest.fixture
def library(db):
    return MediaLibraryFactory(name="Pier")


@pytest.fixture
def harbour(db):
    """The collection into which pictures of the library go."""
    return Collection.get_first_root_node().add_child(name="Harbour")


@pytest.fixture
def editor(db):
    """`editor(collection, may=..., wagtail=...)`: an editor of Wagtail's with these rights of ours, and these on
    images of the collection."""

    def editor(collection=None, may=EVERYTHING, wagtail=("add", "choose", "change")):
        from django.contrib.auth.models import Permission

        user = UserFactory(may=[*may, "wagtailadmin.access_admin"])
        group = GroupFactory()
        user.groups.add(group)
        for action in wagtail if collection is not None else ():
            permission = Permission.objects.get(content_type__app_label="wagtailimages", codename=f"{action}_image")
            GroupCollectionPermission.objects.create(group=group, collection=collection, permission=permission)
        return user

    return editor


@pytest.fixture
def asset(library):
    """A lighthouse: 400 x 300, with texts, tags and a focal point."""
    made = upload(
        pictures.picture("png", 400, 300),
        library=library,
        by=None,
        name="Lighthouse",
        alt_text="A lighthouse in the fog",
        tags=["sea", "fog"],
    )
    made.focal_x, made.focal_y = 0.25, 0.75
    made.save(update_fields=["focal_x", "focal_y"])
    return made


@pytest.fixture
def page(db):
    """The site's home."""
    root = Page.get_first_root_node()
    made = root.add_child(instance=HarbourPage(title="Harbour", slug="harbour"))
    Site.objects.update_or_create(is_default_site=True, defaults={"hostname": "localhost", "root_page": made})
    return made
