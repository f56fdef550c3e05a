"""What Replicate says on the wire, and an adapter that believes it is talking to it."""

from __future__ import annotations

from typing import Any

from mediagen.providers import ReplicateSDXLAdapter
from mediagen.providers.replicate_sdxl import SDXL_VERSION
from mediagen.types import ProviderJob
from tests import pictures
from tests.providers.wire import answer

KEY = "r8_planted/secret+0123456789"
JOB_ID = "gm3qorzdhgbfurvjtvhg6dckhu"
FILE = "https://replicate.delivery/yhqm/out-0.png"
PICTURE = pictures.png(1024, 1024)
PREDICTION = {
    "id": JOB_ID,
    "model": "stability-ai/sdxl",
    "version": SDXL_VERSION,
    "input": {"prompt": "a red fox", "seed": 5},
    "output": None,
    "error": None,
    "status": "starting",
    "logs": "",
    "source": "api",
    "data_removed": False,
    "metrics": {},
    "created_at": "2026-11-22T12:00:00Z",
    "urls": {
        "get": f"https://api.replicate.com/v1/predictions/{JOB_ID}",
        "cancel": f"https://api.replicate.com/v1/predictions/{JOB_ID}/cancel",
        "web": f"https://replicate.com/p/{JOB_ID}",
    },
}
METRICS = {"predict_time": 4.0, "total_time": 6.5}
CREATED = answer(201, json=PREDICTION)
RUNNING = answer(json={**PREDICTION, "status": "processing"})
SUCCEEDED = answer(json={**PREDICTION, "status": "succeeded", "output": [FILE], "metrics": METRICS})
DOWNLOAD = answer(content=PICTURE, headers={"content-type": "image/png"})
JOB = ProviderJob(JOB_ID, {"model": "some/model:" + "a" * 64})


def adapter(model: str | None = None, **options: Any) -> ReplicateSDXLAdapter:
    return ReplicateSDXLAdapter(api_key=KEY, model=model, **{"dry_run": False, "timeout_s": 5.0, **options})


def prediction(status: str = "succeeded", http_status: int = 200, **more: Any) -> Any:
    return answer(http_status, json={**PREDICTION, "status": status, **more})


def problem(status: int, title: str = "", detail: str = "", **more: Any) -> Any:
    return answer(
        status,
        json={"title": title, "detail": detail, "status": status, **more},
        headers={"content-type": "application/problem+json"},
    )
