"""The project's addresses. A site of your own needs the include() line only."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("mediagen/", include("mediagen.urls")),
    path("", RedirectView.as_view(pattern_name="mediagen:gallery")),
    # Local files in development; elsewhere the web server or the storage answers for them.
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
