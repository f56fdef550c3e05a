"""The one first migration stands for the eight of the time before the first release."""

from importlib import import_module

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from mediagen.models import ProviderConfig

FIRST = "0001_squashed_0008_asset_counted"
replaced = import_module(f"mediagen.migrations.{FIRST}").REPLACED


def still_to_apply() -> list[str]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes("mediagen"))
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
    names = ("sdxl", "openai_images", "flux", "replicate_sdxl", "figma_api", "canva_api", "noop_media")
    assert rows == [(place, name, name, True) for place, name in enumerate(names, start=1)]
