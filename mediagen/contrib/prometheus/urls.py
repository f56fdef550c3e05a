"""path("", include("mediagen.contrib.prometheus.urls")): /metrics, for whoever may see it."""

from django.urls import path

from mediagen.contrib.prometheus import views

urlpatterns = [path("metrics", views.metrics)]
