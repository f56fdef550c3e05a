"""The app's pages: path("media-library/", include("mediagen.urls"))."""

from django.urls import path

from mediagen import views, views_webhooks

app_name = "mediagen"

urlpatterns = [
    path("webhooks/<str:provider>/", views_webhooks.receive, name="webhook"),
    path("", views.GalleryView.as_view(), name="gallery"),
    path("assets/<uuid:pk>/", views.AssetView.as_view(), name="asset"),
    path("assets/<uuid:pk>/file/", views.AssetFileView.as_view(), name="asset-file"),
]
