"""For load balancers, at the site's root: path("", include("mediagen.urls_health"))."""

from django.urls import path

from mediagen import views_health

urlpatterns = [
    path("healthz", views_health.healthz),
    path("readyz", views_health.readyz),
]
