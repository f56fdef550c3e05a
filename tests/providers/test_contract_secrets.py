"""The contract on services that repeat what they were sent: a key in an answer goes no further than the adapter."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from mediagen.http.client import httpx
from mediagen.providers.base import JobProvider
from tests import pictures
from tests.covering import all_but
from tests.overheard import Overheard, listening, ways_to_write
from tests.providers.cases import CASES, asked, hurry
from tests.providers.wire import Wire, answer
from tests.servers import SERVERS

__all__ = ["hurry"]

pytestmark = [pytest.mark.usefixtures("hurry"), pytest.mark.filterwarnings("default")]

PLANTED = {name: f"Pl4nted/{name}+key=0123456789~xyz" for name in SERVERS}
KEY_HEADERS = ("authorization", "x-key", "x-figma-token", "x-goog-api-key")
STATUSES = (200, 201, 302, 400, 401, 403, 404, 422, 429, 500)
PICTURE = pictures.png(64, 64)
IN_BASE64 = base64.b64encode(PICTURE).decode()
SAMPLE = "http://parrot.test/sample.png"
ACCEPTED = answer(
    json={"id": "job-1", "request_id": "job-1", "polling_url": "http://parrot.test/v1/get_result?id=job-1", "cost": 1}
)
DOWNLOAD = answer(content=PICTURE, headers={"content-type": "image/png"})
WORDS = ("message", "detail", "err", "title", "name", "code", "status", "id", "type", "credits", "handle", "username")
SHAPES: dict[str, Callable[[str], Any]] = {
    "page": lambda text: f"<html><body>{text}</body></html>".encode(),
    "words": lambda text: {**dict.fromkeys(WORDS, text), "errors": [text], "polling_url": text, "urls": {"get": text}},
    "error": lambda text: {"error": {"message": text, "code": text, "type": text}, "team_user": {"user_id": text}},
    "fields": lambda text: {"detail": [{"loc": [text], "msg": text, "type": text}], "errors": [{"message": text}]},
    "no picture": lambda text: {"data": [{"b64_json": text}], "artifacts": [{"base64": text, "finishReason": text}]},
    "url": lambda text: {"data": [{"url": text}], "output": [text], "status": "succeeded"},
    "failed": lambda text: {"id": "job-1", "status": "failed", "error": text},
    "Error": lambda text: {"id": "job-1", "status": "Error", "details": {"error": text}},
    "Content Moderated": lambda text: {"id": "job-1", "status": "Content Moderated", "details": {"why": [text]}},
    # These have a picture in them.
    "bytes": lambda text: PICTURE,
    "made": lambda text: {
        **dict.fromkeys(("size", "quality", "background", "output_format", "created"), text),
        "data": [{"b64_json": IN_BASE64, "revised_prompt": text}],
        "artifacts": [{"base64": IN_BASE64, "seed": text, "finishReason": "SUCCESS"}],
        "candidates": [{"content": {"parts": [{"text": text}, {"inlineData": {"data": IN_BASE64, "mimeType": text}}]}}],
        **dict.fromkeys(("responseId", "modelVersion"), text),
    },
    "blocked": lambda text: {"promptFeedback": {"blockReason": text, "blockReasonMessage": text}},
    "Ready": lambda text: {
        "id": "job-1",
        "status": "Ready",
        "result": {"sample": SAMPLE, "prompt": text, "seed": text},
    },
    "COMPLETED": lambda text: {
        **dict.fromkeys(("prompt", "seed", "model"), text),
        **{"status": "COMPLETED", "images": [{"url": SAMPLE, "content_type": text}]},
    },
    # In the place of the id, which the one who asks has made.
    "history": lambda text: {
        "JOB": {
            "outputs": {text: {"images": [{"filename": "1.png", "subfolder": text}, {"filename": "2.png"}]}},
            "status": {"status_str": "success", "completed": True, "messages": [[text, {text: text}]]},
        },
    },
    "succeeded": lambda text: {
        **dict.fromkeys(("model", "version", "logs", "error"), text),
        **{"id": "job-1", "status": "succeeded", "output": [SAMPLE], "input": {"seed": text, "prompt": text}},
        "metrics": {"predict_time": text},
    },
}


@pytest.fixture
def overheard(monkeypatch, capfd) -> Iterator[Overheard]:
    """Hears everything, and fails the test that gives a planted key away."""
    yield from listening(PLANTED.values(), monkeypatch, capfd)


def parrot(status: int, shape: str) -> Any:
    """An answer that repeats the key in every form, in the body and in the headers."""

    def repeat(request: Any) -> Any:
        sent = " ".join(value for name, value in request.headers.items() if name in KEY_HEADERS)
        text = " ".join([sent, *(way for key in PLANTED.values() if key in sent for way in ways_to_write(key))])
        body = SHAPES[shape](text)
        kind = {"page": "text/html", "bytes": "image/png"}.get(shape, "application/json")
        headers = {**dict.fromkeys(("x-request-id", "retry-after", "location", "seed"), text), "content-type": kind}
        if status != 200:
            headers["finish-reason"] = text
        job = request.url.path.rpartition("/")[2].encode()
        content = body if isinstance(body, bytes) else json.dumps(body).encode().replace(b'"JOB"', b'"%s"' % job)
        return httpx.Response(status, content=content, headers=headers)

    return repeat


# In the everyday run one that answers at once and one that only takes pictures; each costs a second.
REPEATING = [case for case in CASES if case.steps is None]
EVERYDAY = [case for case in REPEATING if str(case) in ("gemini", "canva_api")]


@pytest.mark.parametrize("case", all_but(REPEATING, *EVERYDAY), ids=str)
def test_a_service_that_repeats_the_key(case, overheard, settings, monkeypatch):
    settings.MEDIAGEN = {"FIT": "keep"}
    monkeypatch.setattr(JobProvider, "poll_timeout_s", 0.0)
    key = {case.adapter.credential_argument: PLANTED[case.name]}
    values = {**case.configuration, **key, "base_url": "http://parrot.test"}
    made = 0

    async def run(*answers: Any) -> None:
        nonlocal made
        adapter = case.adapter(**values, model=case.model or None, dry_run=False)
        with Wire(*answers) as wire:
            overheard.things("probe", await adapter.probe())
        if case.operation:
            with Wire(*answers) as wire:
                _, image, error = await asked(case, adapter)
            overheard.things("answer", image if error is None else error)
            if image is not None:
                made += 1
                overheard.note("answer", repr(image.metadata), repr(image.fit_report))
        assert any(PLANTED[case.name] in value for value in wire.requests[0].headers.values())

    for shape in SHAPES:
        for status in STATUSES:
            async_to_sync(run)(parrot(status, shape))
            if case.has_jobs:
                async_to_sync(run)(ACCEPTED, parrot(status, shape), DOWNLOAD)
                if shape in ("COMPLETED", "error", "fields"):  # the job's state, then its result
                    async_to_sync(run)(ACCEPTED, parrot(200, "COMPLETED"), parrot(status, shape), DOWNLOAD)
    assert made or not case.operation
