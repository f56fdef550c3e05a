"""A site's own app for a test: a model with pictures of ours, its table, its admin and its addresses."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.urls import clear_url_caches, path

from mediagen.fields import MediaAssetField, MediaAssetsField, MediaCropField
from mediagen.fields.forms import MediaAssetAdminMixin

URLS = "tests.host_urls_made"


@contextmanager
def articles(**limits: Any) -> Iterator[type[models.Model]]:
    """`Article` with title, cover (limited so), its crop, gallery and body."""

    class Article(models.Model):
        title = models.CharField(max_length=100)
        cover = MediaAssetField(null=True, blank=True, **limits)
        cover_crop = MediaCropField("cover", ratios=["16:9", "1:1"])
        gallery = MediaAssetsField(blank=True)
        body = models.TextField(blank=True)

        class Meta:
            app_label = "auth"

        def __str__(self) -> str:
            return self.title

        def get_absolute_url(self) -> str:
            return f"/articles/{self.pk}/"

    with connection.schema_editor() as editor:
        editor.create_model(Article)
    ContentType.objects.clear_cache()  # of a database that a test before has emptied
    try:
        yield Article
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Article)
        for name in [name for name in apps.all_models["auth"] if name.startswith("article")]:
            del apps.all_models["auth"][name]
        apps.clear_cache()


@contextmanager
def admin_of(model: type[models.Model], settings: Any, *, knows_user: bool = False) -> Iterator[None]:
    """The project with this model in its admin."""
    bases = (MediaAssetAdminMixin, admin.ModelAdmin) if knows_user else (admin.ModelAdmin,)
    admin.site.register(model, type("ArticleAdmin", bases, {}))
    from config import urls

    module = types.ModuleType(URLS)
    rest = [pattern for pattern in urls.urlpatterns if getattr(pattern, "namespace", "") != "admin"]
    module.urlpatterns = [path("admin/", admin.site.urls), *rest]  # type: ignore[attr-defined]
    sys.modules[URLS] = module
    before, settings.ROOT_URLCONF = settings.ROOT_URLCONF, URLS
    clear_url_caches()
    try:
        yield
    finally:
        settings.ROOT_URLCONF = before
        admin.site.unregister(model)
        del sys.modules[URLS]
        clear_url_caches()
