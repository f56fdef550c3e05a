"""The page that Prometheus reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from mediagen import conf
from mediagen.contrib.prometheus.gauges import Rows
from mediagen.models.routing import outside_transactions


@login_not_required
@never_cache
@require_safe
@outside_transactions
def metrics(request: HttpRequest) -> HttpResponse:
    """What processes counted, and what stands in the rows. 401 without the token of MEDIAGEN["METRICS_TOKEN"]; where
    there is none, keep the address from the public by other means."""
    token = conf.get("METRICS_TOKEN")
    if token and not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}"):
        return HttpResponse("Send the token: Authorization: Bearer ...\n", status=401, content_type="text/plain")
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry()
    # Of all processes on this machine that share the folder, or of this one.
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        collected: Any = MultiProcessCollector  # it is not annotated
        collected(registry)
    else:
        registry.register(_Counted())
    registry.register(Rows())
    return HttpResponse(encode(registry), content_type=content_type)


class _Counted:
    """The process's own registry as a collector, so that one page has all."""

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()
