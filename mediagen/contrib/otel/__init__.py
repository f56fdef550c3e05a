"""Spans and numbers for OpenTelemetry: "mediagen.contrib.otel" in INSTALLED_APPS. Needs the extra `otel`.

A span for each attempt that was asked, inside whatever span is current: a view's, a task's. Exporters and the spans of
HTTP, database and task engine are those of the site and of OpenTelemetry's own instrumentations.
"""
