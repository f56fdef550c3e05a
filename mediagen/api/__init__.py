"""The web API: `path("api/v1/", include("mediagen.api.urls"))`, at any prefix. See docs/api.md."""
