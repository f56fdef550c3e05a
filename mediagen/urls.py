"""The app's pages: path("media-library/", include("mediagen.urls"))."""

from django.urls import path

from mediagen import views

app_name = "mediagen"

urlpatterns = [
    path("", views.GalleryView.as_view(), name="gallery"),
    path("assets/<uuid:pk>/", views.AssetView.as_view(), name="asset"),
    path("assets/<uuid:pk>/file/", views.AssetFileView.as_view(), name="asset-file"),
]
