from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("mediagen.api.urls")),
    path("mcp/", include("mediagen.contrib.mcp.urls")),
]
