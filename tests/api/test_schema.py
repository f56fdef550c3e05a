from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from mediagen.api import problems, schema, schema_extras
from mediagen.engine.events import payloads
from mediagen.models import Alert
from mediagen.models.clock import db_now
from mediagen.models.outgoing import EVENTS
from tests.factories import AssetExportFactory, GenerationBatchFactory, MediaAssetFactory

spectacular = pytest.importorskip("drf_spectacular")
jsonschema = pytest.importorskip("jsonschema")


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


@pytest.mark.whole
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


def test_problems_have_a_closed_set_of_types(document):
    kinds = document["components"]["schemas"]["ProblemTypeEnum"]["enum"]
    assert "urn:mediagen:problem:invalid" in kinds
    assert len(kinds) == len(problems.KINDS)


@pytest.mark.parametrize("name", sorted(schema_extras.EXAMPLES))
def test_examples_are_what_they_are_examples_of(document, name):
    component = document["components"]["schemas"].get(name) or document["components"]["schemas"][f"Patched{name}"]
    assert component["examples"] == [schema_extras.EXAMPLES[name]]
    check(document, component, schema_extras.EXAMPLES[name])


@pytest.mark.django_db
def test_messages_are_what_the_webhooks_section_says(document):
    assert set(document["webhooks"]) == set(EVENTS)
    asset = MediaAssetFactory(ready=True)
    rows = {
        "asset.ready": asset,
        "asset.failed": MediaAssetFactory(generation_state="failed", failure="x", failure_code="budget"),
        "batch.finished": GenerationBatchFactory(),
        "export.placed": AssetExportFactory(asset=asset),
        "alert.raised": Alert.objects.create(code="work_waits", level="error", what="2 pictures wait", since=db_now()),
    }
    assert {event.partition(".")[0] for event in rows} == {event.partition(".")[0] for event in EVENTS}
    for event, row in rows.items():
        body = payloads.payload(event, payloads.OF[type(row)](row))
        operation = document["webhooks"][event]["post"]
        described = operation["requestBody"]["content"]["application/json"]["schema"]
        check(document, described, json.loads(json.dumps(body)))
        (about,) = body["data"]
        members = document["components"]["schemas"][f"{about.capitalize()}Message"]["properties"]
        assert set(members) == set(body["data"][about]), "what is not described is not sent, and the other way round"


def test_events_of_a_stream_have_types(document):
    answer = document["paths"]["/generations/{id}/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    found = {one["properties"]["event"]["const"]: one["properties"]["data"] for one in answer["schema"]["oneOf"]}
    assert set(found) == {"attempt", "asset", "done"}
    for data in found.values():
        assert data["contentSchema"]["$ref"].rpartition("/")[2] in document["components"]["schemas"]


def check(document, schema, value):
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)
