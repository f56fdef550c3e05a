"""The one first migration stands for the eight of the time before the first release."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import UniqueConstraint

from mediagen import conf
from mediagen.models import GenerationAttempt, MediaAsset, ProviderConfig
from mediagen.models.kept_by_database import keep
from tests.factories import GenerationAttemptFactory, GenerationBatchFactory, MediaAssetFactory

FIRST = "0001_squashed_0008_asset_counted"
replaced = import_module(f"mediagen.migrations.{FIRST}").REPLACED


@pytest.fixture(autouse=True)
def kept_by_database(request):
    """What `migrate` makes at its end, which a MigrationExecutor alone does not."""
    yield
    if (mark := request.node.get_closest_marker("django_db")) and mark.kwargs.get("transaction"):
        keep(apps.get_app_config("mediagen"), "default")


def still_to_apply() -> list[str]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan([("mediagen", FIRST)])
    return [migration.name for migration, _ in plan if migration.app_label == "mediagen"]


@pytest.mark.django_db
def test_a_database_that_has_the_eight_has_nothing_to_do():
    recorder = MigrationRecorder(connection)
    for name in list(recorder.applied_migrations()):
        if name[0] == "mediagen":  # one that is applied counts for those that it replaces
            recorder.record_unapplied(*name)
    assert FIRST in still_to_apply()
    for name in replaced:
        recorder.record_applied("mediagen", name)
    assert FIRST not in still_to_apply()


@pytest.mark.django_db
def test_a_new_database_has_the_seven_providers_in_their_order():
    rows = list(ProviderConfig.objects.order_by("position").values_list("position", "name", "adapter", "enabled"))
    assert rows[:7] == [(place, name, name, True) for place, name in enumerate(conf.FIRST_PROVIDERS, start=1)]
    # Others of ours behind them, in no row's way.
    assert {name for _, name, _, _ in rows[7:]} == conf.BUILT_IN_PROVIDERS.keys() - set(conf.FIRST_PROVIDERS)
    assert [place for place, *_ in rows] == list(range(1, len(rows) + 1))


@pytest.mark.whole
@pytest.mark.django_db(transaction=True)
def test_a_provider_that_is_added_moves_nobody_and_goes_again():
    before = ("mediagen", "0011_failure_code")
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes("mediagen")
    ProviderConfig.objects.all().delete()
    ProviderConfig.objects.create(name="flux", adapter="flux", position=20)
    MigrationExecutor(connection).migrate([before])
    old = MigrationExecutor(connection).loader.project_state([before]).apps.get_model("mediagen", "ProviderConfig")
    rows = dict(old.objects.values_list("name", "position"))
    assert "gemini" not in rows
    MigrationExecutor(connection).migrate(leaves)
    now = dict(ProviderConfig.objects.values_list("name", "position"))
    assert {name: now[name] for name in rows} == rows
    assert now["gemini"] > 20


@pytest.mark.whole
@pytest.mark.django_db(transaction=True)
def test_no_key_is_null_and_goes_back_to_empty():
    before, after = ("mediagen", FIRST), ("mediagen", "0002_unique_without_conditions")
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes("mediagen")
    asset, other = MediaAssetFactory(), MediaAssetFactory(idempotency_key="k")
    try:
        MigrationExecutor(connection).migrate([before])
        assets = MigrationExecutor(connection).loader.project_state([before]).apps.get_model("mediagen", "MediaAsset")
        assert dict(assets.objects.values_list("pk", "idempotency_key")) == {asset.pk: "", other.pk: "k"}
        MigrationExecutor(connection).migrate([after])
    finally:
        MigrationExecutor(connection).migrate(leaves)
    assert dict(MediaAsset.objects.values_list("pk", "idempotency_key")) == {asset.pk: None, other.pk: "k"}


@pytest.mark.django_db
def test_attempts_learn_the_batch_of_their_assets():
    asset = MediaAssetFactory(batch=GenerationBatchFactory(), row_key="1")
    of_batch, other = GenerationAttemptFactory(asset=asset), GenerationAttemptFactory()
    GenerationAttempt.objects.update(batch=None)
    step = import_module("mediagen.migrations.0006_batch_of_attempts")
    step.from_assets(apps, connection.schema_editor())
    assert dict(GenerationAttempt.objects.values_list("pk", "batch")) == {of_batch.pk: asset.batch_id, other.pk: None}


def test_every_unique_constraint_holds_on_mariadb_too():
    constraints = [c for model in apps.get_app_config("mediagen").get_models() for c in model._meta.constraints]
    unique = [c for c in constraints if isinstance(c, UniqueConstraint)]
    assert unique
    assert [c.name for c in unique if c.condition or c.include or c.expressions or c.deferrable] == []
