"""Bodies that nobody means: refused with the name of the field, at every door that takes JSON or a form."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from mediagen.models import MediaAsset
from tests import pictures
from tests.api.callers import Caller
from tests.factories import MediaAssetFactory

pytestmark = pytest.mark.django_db

HALF = "a\ud83d"


@pytest.fixture
def caller(admin_user):
    return Caller(admin_user, scopes=("read", "generate", "change", "approve", "figma"))


def send(caller, path, text, method="POST"):
    return caller.generic(method, f"/api/v1/{path}", text, content_type="application/json")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prompt": HALF}, "prompt"),
        ({"prompt": "a fox", "on_placeholder": HALF}, "on_placeholder"),
        ({"prompt": "a fox", "tags": ["red", HALF]}, "tags.1"),
        ({"prompt": "a fox", "options": {"deep": [{"er": HALF}]}}, "options.deep.0.er"),
        ({"prompt": "a fox", "options": {HALF: 1}}, "options.a\ufffd"),
        ({HALF: 1}, "a\ufffd"),
        (HALF, None),
    ],
)
def test_half_a_character_is_refused_by_name(caller, body, field):
    response = send(caller, "generations/", json.dumps(body))

    assert response.status_code == 400
    assert response.json().get("field") == field
    assert "half of a character" in response.json()["detail"]
    assert not MediaAsset.objects.exists()


@pytest.mark.parametrize(
    ("path", "method"), [("batches/", "POST"), ("jobs/", "POST"), ("libraries/", "POST"), ("assets/{}/", "PATCH")]
)
def test_it_is_refused_at_every_door(caller, path, method):
    asset = MediaAssetFactory(ready=True)
    response = send(caller, path.format(asset.pk), json.dumps({"name": HALF, "kind": HALF}), method)
    assert (response.status_code, response.json()["field"]) == (400, "name")


def test_openais_door_says_it_in_its_words(caller):
    response = send(caller, "openai/v1/images/generations", json.dumps({"prompt": "a fox", "tags": [HALF]}))
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "tags.0"


@pytest.mark.parametrize(
    ("text", "field"),
    [('{"prompt": "a", "prompt": "b"}', "prompt"), ('{"prompt": "a", "options": {"seed": 1, "seed": 1}}', "seed")],
)
def test_a_name_that_is_there_twice_is_refused(caller, text, field):
    response = send(caller, "generations/", text)
    assert (response.status_code, response.json()["field"]) == (400, field)
    assert "twice" in response.json()["detail"]


@pytest.mark.parametrize("value", ["soon", "", None, 1, True, [], {"a": 1}])
def test_a_choice_lists_its_choices(caller, value):
    response = send(caller, "generations/", json.dumps({"prompt": "a fox", "on_placeholder": value}))
    assert (response.status_code, response.json()["field"]) == (400, "on_placeholder")
    if value is not None:
        assert response.json()["errors"][0]["detail"] == "must be one of accept, fail."


@pytest.mark.parametrize(("path", "name"), [("assets/", "file"), ("batches/", "file")])
def test_a_form_with_500_files_is_too_large(caller, path, name):
    files = [SimpleUploadedFile(f"{number}.png", b"x") for number in range(500)]
    response = caller.post(f"/api/v1/{path}", {name: files})
    assert response.status_code in (413, 415)
    assert response["Content-Type"] == "application/problem+json"


def test_a_form_that_is_none_is_a_problem_too(caller):
    response = caller.generic("POST", "/api/v1/assets/", b"--x\r\n\r\n", content_type="multipart/form-data; boundary=x")
    assert response.status_code == 400


def test_whole_characters_of_two_halves_stay(caller):
    asset = MediaAssetFactory(ready=True)
    assert send(caller, f"assets/{asset.pk}/", '{"name": "\\ud83e\\udd8a"}', "PATCH").json()["name"] == "\U0001f98a"
    assert (
        Client().post("/api/v1/assets/", {"file": SimpleUploadedFile("x.png", pictures.png(2, 2))}).status_code == 401
    )


@pytest.mark.parametrize("address", ["https://[::1", "https://\u2100.example/"])
def test_half_an_address_is_refused(caller, address):
    response = send(caller, "assets/", json.dumps({"address": address}))
    assert (response.status_code, response.json()["field"]) == (400, "address")
