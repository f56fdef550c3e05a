"""Rows of the site's other apps are not ours: nothing that we delete takes them along or is stopped by them."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.utils import timezone

from mediagen.engine.library import trash
from mediagen.engine.maintenance import sweep
from mediagen.errors import AssetInUse
from mediagen.models import MediaAsset, ReviewStatus
from tests.factories import MediaAssetFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["PROTECT", "CASCADE", "SET_NULL", "many"])
def product(request):
    """A host's model that points at assets, with its table."""

    class Product(models.Model):
        if request.param == "many":
            pictures = models.ManyToManyField(MediaAsset, related_name="+")
        else:
            on_delete = getattr(models, request.param)
            picture = models.ForeignKey(MediaAsset, on_delete, null=True, related_name="+")

        class Meta:
            app_label = "auth"

        def __str__(self):
            return "a mug"

    with connection.schema_editor() as editor:
        editor.create_model(Product)

    def make(asset):
        if request.param != "many":
            return Product.objects.create(picture=asset)
        made = Product.objects.create()
        made.pictures.add(asset)
        return made

    yield make
    with connection.schema_editor() as editor:
        editor.delete_model(Product)
    for name in [name for name in apps.all_models["auth"] if name.startswith("product")]:
        del apps.all_models["auth"][name]
    apps.clear_cache()


def long_deleted():
    long_ago = timezone.now() - timedelta(days=400)
    return MediaAssetFactory(status=ReviewStatus.DELETED, deleted_at=long_ago)


def test_what_another_app_points_at_is_not_purged_and_all_else_is(product):
    theirs, *_ = long_deleted(), long_deleted(), long_deleted()
    row = product(theirs)

    report = sweep.maintain()

    assert (report.deleted_purged, report.failed) == (2, [])
    assert list(MediaAsset.objects.all()) == [theirs]
    row.refresh_from_db()


def test_deletion_says_which_row_of_another_app_uses_it(product):
    asset = MediaAssetFactory()
    product(asset)

    with pytest.raises(AssetInUse, match="in use: Product a mug"):
        trash.delete([asset.pk], None)
    assert trash.usages_of([asset.pk]) == {str(asset.pk): ["Product a mug"]}
    assert trash.delete([asset.pk], None, even_if_used=True).deleted == (asset.pk,)


def test_a_step_that_fails_keeps_no_other_from_being_done(monkeypatch):
    def broken():
        raise RuntimeError("of a host")

    monkeypatch.setattr(trash, "purge", broken)
    asset = MediaAssetFactory(
        generation_state="running", lease_worker="gone", lease_until=timezone.now() - timedelta(days=1)
    )
    monkeypatch.setattr(sweep, "free_dead_workers", broken)
    told = StringIO()

    with pytest.raises(CommandError, match="removing assets deleted long ago: RuntimeError") as caught:
        call_command("mediagen_maintain", "--json", stdout=told)

    asset.refresh_from_db()
    assert caught.value.returncode == 1
    assert asset.generation_state == "pending"
    assert len(json.loads(told.getvalue())["failed"]) == 2


def test_every_count_of_the_report_has_a_step():
    filled = {name for _, step in sweep.STEPS for name in step() or ()}
    assert filled == set(sweep.MaintenanceReport.__dataclass_fields__) - {"failed", "disk_is_full"}
