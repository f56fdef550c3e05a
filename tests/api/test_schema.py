from __future__ import annotations

import pytest
from django.core.management import call_command

from mediagen.api import schema

spectacular = pytest.importorskip("drf_spectacular")


@pytest.fixture(scope="module")
def document():
    return schema.document()


def test_nothing_is_left_to_guessing(document):
    """What drf-spectacular cannot see it warns of."""
    from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
    from drf_spectacular.generators import SchemaGenerator
    from drf_spectacular.settings import patched_settings
    from drf_spectacular.validation import validate_schema

    reset_generator_stats()
    with patched_settings(schema.SETTINGS):
        validate_schema(SchemaGenerator(urlconf="mediagen.api.urls").get_schema(public=True))

    assert not GENERATOR_STATS._warn_cache
    assert not GENERATOR_STATS._error_cache


def test_the_projects_own_command(tmp_path):
    file = tmp_path / "schema.json"

    call_command("spectacular", "--validate", "--fail-on-warn", "--format=openapi-json", f"--file={file}")

    assert "/api/v1/generations/" in file.read_text()


def test_every_operation_says_how_it_refuses_and_what_it_is_for(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            statuses = set(operation["responses"])
            assert {"400", "401", "403", "429", "503"} <= statuses, (path, method)
            assert operation.get("summary"), (path, method)
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"], (path, method, status)


def test_operations_have_names_of_their_own(document):
    names = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]

    assert len(set(names)) == len(names)


def test_bodies_that_refuse_unknown_names_say_so(document):
    assert document["components"]["schemas"]["PicturesRequest"]["additionalProperties"] is False
