"""What Black Forest Labs says on the wire, and an adapter that believes it is talking to them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from mediagen.providers import FluxAdapter
from mediagen.types import ProviderJob
from tests import pictures
from tests.providers.wire import answer

KEY = "bfl-planted/secret+0123456789"
POLLING_URL = "https://api.eu1.bfl.ai/v1/get_result?id=a-b&region=eu%2F1"
SAMPLE = "https://delivery-eu1.bfl.ai/results/a/sample.png?se=2026-11-22T12%3A00&sig=x%2By"
PICTURE = pictures.png(1024, 1024)
SUBMITTED = {"id": "a-b", "polling_url": POLLING_URL, "cost": 4.5, "input_mp": 0.0, "output_mp": 1.05}
TASK = {"id": "a-b", "status": "Pending", "result": None, "progress": 0.5, "details": None, "preview": None}
RESULT = {"sample": SAMPLE, "prompt": "a red fox", "seed": 77, "start_time": 1.0, "end_time": 2.5}
ACCEPTED = answer(json=SUBMITTED)
PENDING = answer(json=TASK)
READY = answer(json={**TASK, "status": "Ready", "result": RESULT})
NULL = answer(content=b"null", headers={"content-type": "application/json"})
DOWNLOAD = answer(content=PICTURE, headers={"content-type": "image/png"})
JOB = ProviderJob("a-b", {"polling_url": POLLING_URL, "model": "flux-2-max"}, Decimal("0.045"))


def adapter(model: str | None = None, **options) -> FluxAdapter:
    return FluxAdapter(api_key=KEY, model=model, **{"dry_run": False, "timeout_s": 5.0, **options})


def task(status: str, http_status: int = 200, **more) -> Any:
    return answer(http_status, json={**TASK, "status": status, **more})
