from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from mediagen.models import GenerationBatch, MediaAsset
from tests.api.callers import Caller, problem
from tests.engine.work.serving_thread import in_server, wait_until  # noqa: F401 - a fixture
from tests.engine.work.working import use_local
from tests.factories import MediaLibraryFactory, UserFactory

URL = "/api/v1/batches/"
CSV = "key,prompt,width,height\na,a lighthouse,16,16\nb,a tower,16,16\n"
WRONG = "key,prompt,width\na,a lighthouse,16\nb,,16\nc,a tower,zero\n"


@pytest.fixture
def caller(db, settings) -> Caller:
    use_local(settings, RUN_IN_SERVER=False)
    return Caller()


def form(caller: Caller, path: str = URL, content: str = CSV, name: str = "prompts.csv", **fields: Any) -> Any:
    return caller.post(path, {"manifest": SimpleUploadedFile(name, content.encode()), **fields})


class TestChecking:
    @pytest.mark.parametrize("as_form", [True, False])
    def test_a_right_one(self, caller, as_form):
        url = URL + "check/"
        response = form(caller, url) if as_form else caller.send(url, {"manifest": CSV})

        body = response.json()
        assert response.status_code == 200
        assert (body["ok"], body["rows"], body["pictures"]) == (True, 2, 2)
        assert body["estimate"]["cheapest"] == "0.20"
        assert not GenerationBatch.objects.exists()

    def test_what_is_wrong_is_said_by_line_and_column(self, caller):
        body = form(caller, URL + "check/", WRONG).json()

        assert (body["ok"], body["valid_rows"], body["problem_count"]) == (False, 1, 2)
        assert [(one["line"], one["column"]) for one in body["problems"]] == [(3, "prompt"), (4, "width")]

    @pytest.mark.parametrize(
        ("content", "name"),
        [("a,b\n1,2\n", "x.csv"), ("", "x.csv"), ("PK\x03\x04", "x.csv"), ("{", "x.jsonl"), ("\x00", "x.txt")],
    )
    def test_what_is_no_manifest(self, caller, content, name):
        response = form(caller, URL + "check/", content, name)

        assert response.status_code in (200, 400)
        if response.status_code == 200:
            assert response.json()["ok"] is False

    def test_a_library_of_somebody_else_is_as_if_it_were_not_there(self, caller):
        hidden = MediaLibraryFactory(owner=UserFactory())
        texts = []
        for word in (hidden.slug, "nowhere-at-all"):
            body = form(caller, URL + "check/", f"prompt,library\na lighthouse,{word}\n").json()
            texts.append(body["problems"][0]["detail"].replace(word, "X"))
            assert form(caller, URL + "check/", library=word).status_code == 400

        assert texts[0] == texts[1]


class TestSending:
    def test_makes_the_rows_and_starts(self, caller):
        response = form(caller, defaults='{"tags": ["sea"]}', max_cost="5")

        body = response.json()
        batch = GenerationBatch.objects.get()
        assert response.status_code == 201
        assert (body["id"], body["state"], body["total"], body["pending"]) == (str(batch.pk), "running", 2, 2)
        assert (batch.created_by, batch.file_name, body["max_cost"]) == (caller.user, "prompts.csv", "5.0000")
        assert {tuple(asset.tag_names) for asset in MediaAsset.objects.all()} == {("sea",)}

    def test_the_same_again_is_the_same_batch(self, caller):
        first = form(caller)
        second = form(caller)

        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json()["id"] == second.json()["id"]
        assert form(caller, anew="true").json()["id"] != first.json()["id"]

    def test_the_same_of_somebody_else_is_another_batch(self, caller):
        first, second = form(caller), form(Caller())

        assert second.status_code == 201
        assert first.json()["id"] != second.json()["id"]

    def test_nothing_is_made_of_one_with_wrong_rows(self, caller):
        response = form(caller, content=WRONG)

        assert (response.status_code, problem(response)) == (400, "invalid")
        assert [error["detail"][:6] for error in response.json()["errors"]] == ["line 3", "line 4"]
        assert not GenerationBatch.objects.exists()

    def test_but_of_the_right_rows_when_asked_for(self, caller):
        response = form(caller, content=WRONG, skip_invalid="true")

        assert (response.status_code, response.json()["total"]) == (201, 1)
        assert response.json()["check"]["problem_count"] == 2

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"format": "xlsx"}, "format"),
            ({"defaults": "{"}, "defaults"),
            ({"defaults": '{"width": 0}'}, "width"),
            ({"library": "nowhere"}, "library"),
            ({"max_cost": "-1"}, "max_cost"),
            ({"colour": "blue"}, "colour"),
            ({"template": "{nothing}"}, None),
        ],
    )
    def test_what_cannot_be_is_refused(self, caller, fields, field):
        response = form(caller, **fields)

        assert response.status_code == 400
        if field:
            assert response.json()["field"] == field
        assert not GenerationBatch.objects.exists()

    def test_no_file_at_all(self, caller):
        assert caller.post(URL, {"manifest": "text"}).json()["field"] == "manifest"
        assert caller.post(URL, {}).json()["field"] == "manifest"

    def test_a_form_that_was_cut_off(self, caller):
        response = caller.post(URL, b"--x\r\nContent-Disposition: form-data; na", "multipart/form-data; boundary=x")

        assert response.status_code == 400

    def test_one_that_is_too_large(self, caller, monkeypatch):
        monkeypatch.setattr("mediagen.engine.batches.uploads.LARGEST_BYTES", 20)

        assert form(caller).json()["field"] == "manifest"


class TestRunning:
    def test_pause_and_go_on_cancel_and_retry(self, caller):
        url = form(caller).json()["url"]

        assert caller.post(url + "pause/").json()["state"] == "paused"
        assert caller.post(url + "pause/").status_code == 409
        assert caller.post(url + "resume/").json()["state"] == "running"
        body = caller.post(url + "cancel/").json()
        assert (body["state"], body["cancelled"]) == ("cancelled", 2)
        assert caller.post(url + "cancel/").status_code == 409
        assert caller.post(url + "start/").status_code == 409
        body = caller.post(url + "retry/").json()
        assert (body["state"], body["pending"]) == ("running", 2)
        assert caller.post(url + "retry/").status_code == 409

    def test_made_now_and_started_later(self, caller):
        body = form(caller, paused="true").json()

        assert body["state"] == "paused"
        assert caller.post(body["url"] + "start/").json()["state"] == "running"

    @pytest.mark.parametrize("action", ["", "result/", "start/", "resume/", "pause/", "cancel/", "retry/"])
    def test_one_of_somebody_else_is_as_if_it_were_not_there(self, caller, action):
        url = form(caller).json()["url"]
        stranger = Caller()
        method = "get" if action in ("", "result/") else "post"

        hidden = getattr(stranger, method)(url + action)
        absent = getattr(stranger, method)(f"{URL}{uuid4()}/{action}")

        assert hidden.status_code == absent.status_code == 404
        assert hidden.content == absent.content
        assert stranger.get(URL).json()["results"] == []

    def test_a_token_of_one_library(self, caller):
        library = MediaLibraryFactory()
        bound = Caller(caller.user, library=library)
        other = form(caller).json()
        mine = form(bound).json()

        assert [one["id"] for one in bound.get(URL).json()["results"]] == [mine["id"]]
        assert bound.get(other["url"]).status_code == 404


@pytest.mark.usefixtures("in_server")
def test_from_the_file_to_the_results_in_this_process(settings):
    use_local(settings)
    caller = Caller()
    url = form(caller).json()["url"]

    wait_until(lambda: caller.get(url).json()["state"] == "finished")

    body = caller.get(url).json()
    assert (body["ready"], body["cost"]) == (2, "0.200000")
    result = caller.get(body["result_url"])
    lines = b"".join(result.streaming_content).decode().splitlines()
    assert result["Content-Type"].startswith("text/csv")
    assert lines[0].startswith("key,prompt,")
    assert [line.split(",")[0] for line in lines[1:]] == ["a", "b"]
    jsonl = b"".join(caller.get(body["result_url"], {"as": "jsonl"}).streaming_content).decode()
    assert '"state": "ready"' in jsonl
    assert str(settings.MEDIA_ROOT) not in jsonl
    assert caller.get(body["result_url"], {"as": "xlsx"}).status_code == 400
