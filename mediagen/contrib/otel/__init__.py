"""Spans and numbers for OpenTelemetry: "mediagen.contrib.otel" in INSTALLED_APPS. Needs the extra `otel`.

Spans for a picture, the chain, each attempt, its HTTP requests and the storage, inside whatever span is current: a
view's, a task's; and one for each transaction, which serves several pictures. Exporters, and the spans of views, SQL
and task engine, are those of the site and of OpenTelemetry's own instrumentations.
"""
