"""What is told of attempts: a line of the log, numbers for Prometheus, spans for OpenTelemetry."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from django.test import RequestFactory

from mediagen import steps
from mediagen.contrib.json_logs import JSONFormatter
from mediagen.engine import get_media_engine
from mediagen.models import GenerationAttempt, MediaLibrary, ProviderConfig
from mediagen.signals import attempt_ended
from tests.factories import ProviderConfigFactory, moved_to

pytestmark = pytest.mark.django_db
PROMPT = "the unannounced product"


def make():
    """A picture for which one provider was asked in vain, dry run aside: it has no key."""
    ProviderConfig.objects.filter(name="sdxl").update(dry_run=False)
    return get_media_engine().generate_asset_sync(PROMPT, 64, 64)


def test_each_attempt_is_one_line_of_json_with_its_ids_and_no_prompt(caplog):
    with caplog.at_level(logging.INFO, "mediagen.attempts"):
        asset = make()
    lines = [JSONFormatter().format(record) for record in caplog.records if record.name == "mediagen.attempts"]
    skipped, made = map(json.loads, lines)

    assert (skipped["event"], skipped["provider"], skipped["outcome"]) == ("attempt_ended", "sdxl", "misconfigured")
    assert (made["asset"], made["state"]) == (asset.asset_id, "succeeded")
    assert made["attempt"] == str(GenerationAttempt.objects.of(asset).last().pk)
    assert PROMPT not in "".join(lines)


def test_an_exception_stays_one_line():
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", 40, "f", 1, "it %s", ("failed",), __import__("sys").exc_info())
    line = JSONFormatter().format(record)

    assert "\n" not in line
    assert json.loads(line)["message"] == "it failed"
    assert "ValueError: no" in json.loads(line)["exception"]


# ---------------------------------------------------------------------- Prometheus


@pytest.fixture
def scrape(settings):
    pytest.importorskip("prometheus_client")
    from mediagen.contrib.prometheus import numbers, views

    attempt_ended.connect(numbers.count)

    def get(**headers):
        return views.metrics(RequestFactory().get("/metrics", headers=headers))

    yield get
    attempt_ended.disconnect(numbers.count)


def samples(text):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_page_is_read_by_prometheus_own_parser(scrape):
    MediaLibrary.objects.create(name="Press", budget_limit=5)
    before = samples(scrape(Accept="application/openmetrics-text").content.decode())
    make()
    answer = scrape(Accept="application/openmetrics-text")
    after = samples(answer.content.decode())

    name = ("mediagen_attempts_total", "generate_image", "misconfigured", "sdxl")
    assert after[name] - before.get(name, 0) == 1
    assert after["mediagen_provider_live", "sdxl"] == 1
    assert after["mediagen_provider_live", "flux"] == 0
    assert after["mediagen_budget_left_usd", "Press", "library", "month"] == 5
    assert after["mediagen_assets_unfinished", "pending"] == 0
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert "openmetrics" not in scrape()["Content-Type"]
    assert PROMPT not in answer.content.decode()


def test_with_a_token_only_who_sends_it_reads(scrape, settings):
    settings.MEDIAGEN = {"METRICS_TOKEN": "made-up-token"}

    assert scrape().status_code == 401
    assert scrape(Authorization="Bearer wrong").status_code == 401
    assert scrape(Authorization="Bearer made-up-token").status_code == 200


# ---------------------------------------------------------------------- OpenTelemetry


@pytest.fixture
def spans(monkeypatch):
    """Those that have ended, as a list that grows."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from mediagen.contrib.otel import spans, telling

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telling.trace, "get_tracer", provider.get_tracer)
    attempt_ended.connect(telling.tell)
    steps.watch(spans.SpanOfStep)
    yield exporter.get_finished_spans
    steps.watch(None)
    attempt_ended.disconnect(telling.tell)


def under(found, name):
    """{name of each span: name of its parent}, and those called `name`."""
    names = {span.context.span_id: span.name for span in found}
    parents = {span.name: names.get(span.parent.span_id) if span.parent else None for span in found}
    return parents, [span for span in found if span.name == name]


def test_the_steps_of_a_picture_are_spans_in_the_current_one_without_the_prompt(spans):
    from opentelemetry import trace

    with trace.get_tracer("site").start_as_current_span("a view"):
        asset = make()
    found = spans()
    parents, _ = under(found, "")
    [made] = [span for span in found if span.attributes.get("mediagen.outcome") == "succeeded"]
    [failed] = [span for span in found if span.attributes.get("error.type") == "misconfigured"]

    assert parents["mediagen.picture"] == "a view"
    assert parents["mediagen.chain"] == parents["mediagen.storage"] == "mediagen.picture"
    assert parents[made.name] == parents[failed.name] == "mediagen.chain"
    assert made.attributes["mediagen.asset.id"] == asset.asset_id
    assert made.attributes["gen_ai.operation.name"] == "generate_image"
    assert made.end_time >= made.start_time
    assert not failed.status.is_ok
    for span in found:
        assert PROMPT not in str(span.attributes)
    assert "mediagen.database" in parents


def test_requests_of_an_attempt_are_spans_below_it(spans, provider_servers):
    server = provider_servers["sdxl"]
    config = ProviderConfigFactory(
        name="stand_in", adapter="sdxl", credentials=server.key, **moved_to("sdxl", server.base_url)
    )
    made = get_media_engine().generate_asset_sync("A boat", 1024, 1024, provider=config.name, dry_run=False)
    parents, requests = under(spans(), "POST")

    assert made.generation_state == "ready"
    assert parents["POST"].startswith("generate_image")
    assert [span.attributes["http.response.status_code"] for span in requests] == [200]
    assert requests[0].attributes["server.address"].startswith("127.0.0.1")
    assert server.key not in str([dict(span.attributes) for span in spans()])


def test_a_tracer_that_breaks_keeps_no_picture_from_being_made(spans, monkeypatch, caplog):
    from mediagen.contrib.otel import spans as module

    def broken(*args):
        raise RuntimeError("no tracer")

    monkeypatch.setattr(module.trace, "get_tracer", broken)
    module._log_once.cache_clear()

    assert make().generation_state == "ready"
    assert sum(record.name == "mediagen.otel" for record in caplog.records) == 1


# ---------------------------------------------------------------------- what lies beside the page


def test_dashboard_rules_and_page_name_numbers_that_there_are(scrape):
    root = Path(__file__).resolve().parent.parent.parent / "docs"
    make()
    text = scrape(Accept="application/openmetrics-text").content.decode()
    there = set(re.findall(r"^# TYPE (mediagen_\w+)", text, re.MULTILINE))
    suffix = re.compile(r"_(total|bucket|count|sum)$")
    dashboard = json.loads((root / "monitoring/grafana.json").read_text())
    queries = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    rules = (root / "monitoring/alerts.yml").read_text()
    page = " ".join(re.findall(r"`(mediagen_\w+)`", (root / "monitoring.md").read_text()))

    for source in (queries, rules, page):
        named = {suffix.sub("", name) for name in re.findall(r"\bmediagen_\w+", source)} - {"mediagen_doctor"}
        assert named <= there
    assert {suffix.sub("", name) for name in page.split()} == there
