"""Numbers for Prometheus: "mediagen.contrib.prometheus" in INSTALLED_APPS, include("mediagen.contrib.prometheus.urls").

Needs the extra `prometheus`. `numbers` counts what this process does; `gauges` reads the rows when Prometheus asks.
"""
