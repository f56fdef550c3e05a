from django.conf import settings
from django.urls import include, path
from django.views.static import serve
from wagtail import urls as wagtail_urls
from wagtail.admin import urls as wagtailadmin_urls

urlpatterns = [
    path("cms/", include(wagtailadmin_urls)),
    path("mediagen/", include("mediagen.urls")),
    path("media/<path:path>", lambda request, path: serve(request, path, settings.MEDIA_ROOT)),
    path("", include(wagtail_urls)),
]
