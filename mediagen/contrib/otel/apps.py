"""Telling begins when the site starts."""

from django.apps import AppConfig


class OpenTelemetryConfig(AppConfig):
    name = "mediagen.contrib.otel"
    label = "mediagen_otel"
    verbose_name = "mediagen: OpenTelemetry"

    def ready(self) -> None:
        from mediagen import steps
        from mediagen.contrib.otel import spans, telling
        from mediagen.signals import attempt_ended

        attempt_ended.connect(telling.tell, dispatch_uid="mediagen.otel")
        steps.watch(spans.SpanOfStep)
