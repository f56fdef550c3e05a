"""Sites whose routers send reads to replicas, or tables elsewhere."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.urls import reverse

from mediagen.checks import check_one_database
from mediagen.engine import get_media_engine
from mediagen.engine.library.libraries import get_or_create_library
from mediagen.engine.maintenance.sweep import maintain
from mediagen.models import GenerationAttempt, MediaAsset
from mediagen.models.writer import WriterQuerySet
from tests.api.callers import Caller
from tests.engine.work.working import batch_of, states, use_local, work
from tests.kill.site import ALIAS, connected

pytestmark = pytest.mark.django_db


class ReplicaFarBehind:
    """Whoever reads our rows by the router's word finds not even the tables."""

    def db_for_read(self, model, **hints):
        return ALIAS if model._meta.app_label == "mediagen" else None

    def db_for_write(self, model, **hints):
        return "default"

    def allow_relation(self, one, other, **hints):
        return True


@pytest.fixture
def replica(settings):
    with connected({"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "OPTIONS": {}}):
        settings.DATABASE_ROUTERS = [ReplicaFarBehind()]
        yield


@pytest.mark.usefixtures("replica")
class TestReplicas:
    def test_a_library_is_made_once(self):
        assert get_or_create_library("Spring") == get_or_create_library("Spring")

    def test_a_batch_is_worked_off(self, settings, tmp_path):
        use_local(settings)
        batch = batch_of(tmp_path, 4)
        work(batch)
        assert (states(batch), batch.state) == ({"ready": 4}, "finished")
        maintain()

    def test_a_picture_and_what_belongs_to_it(self, settings):
        use_local(settings)
        asset = get_media_engine().generate_asset_sync("x", 16, 16, tags=["coast"])
        asset = MediaAsset.objects.get(pk=asset.pk)
        assert (asset.library.name, "coast" in asset.tag_names, asset.attempts.count()) == ("Default", True, 1)
        assert GenerationAttempt.objects.get().asset == asset
        asset.refresh_from_db()
        assert asset.library.assets.get() == asset

    def test_the_api_and_the_admin(self, client, at_once, settings):
        settings.MEDIAGEN = {}
        caller = Caller()
        response = caller.send("/api/v1/generations/", {"prompt": "x", "width": 16, "height": 16})
        assert caller.get(response["Location"]).json()["state"] == "ready"
        assert len(caller.get("/api/v1/assets/").json()["results"]) == 1
        client.force_login(User.objects.create_superuser("root"))
        for name in ("mediaasset", "generationattempt", "providerconfig", "dashboard"):
            assert client.get(reverse(f"admin:mediagen_{name}_changelist")).status_code == 200


def test_no_table_is_forgotten():
    for model in apps.get_app_config("mediagen").get_models(include_auto_created=True):
        for manager in (model._default_manager, model._base_manager):
            assert isinstance(manager.all(), WriterQuerySet), f"{model.__name__}: objects = WriterQuerySet.as_manager()"


class Elsewhere:
    def __init__(self, **by_label: str) -> None:
        self.by_label = by_label

    def db_for_write(self, model, **hints):
        return self.by_label.get(model._meta.app_label)


@pytest.mark.parametrize(
    ("routed", "words"),
    [
        ({}, None),
        ({"mediagen": "media"}, ["assets are in the database 'media'", "auth.User in 'default'", "foreign keys"]),
        ({"mediagen": "media", "auth": "media"}, None),
    ],
)
def test_a_database_of_its_own_is_refused_with_the_reason(settings, routed, words):
    settings.DATABASE_ROUTERS = [Elsewhere(**routed)]
    said = check_one_database(None)
    assert [message.id for message in said] == (["mediagen.E034"] if words else [])
    assert all(word in said[0].msg for word in words or ())
