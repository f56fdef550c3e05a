"""The endpoint: path("mcp/", include("mediagen.contrib.mcp.urls"))."""

from __future__ import annotations

from django.urls import path

from mediagen.contrib.mcp.views import EndpointView

app_name = "mediagen_mcp"

urlpatterns = [path("", EndpointView.as_view(), name="endpoint")]
