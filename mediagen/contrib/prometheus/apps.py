"""Counting begins when the site starts."""

from django.apps import AppConfig


class PrometheusConfig(AppConfig):
    name = "mediagen.contrib.prometheus"
    label = "mediagen_prometheus"
    verbose_name = "mediagen: numbers for Prometheus"

    def ready(self) -> None:
        from mediagen.contrib.prometheus import numbers
        from mediagen.signals import attempt_ended

        attempt_ended.connect(numbers.count, dispatch_uid="mediagen.prometheus")
