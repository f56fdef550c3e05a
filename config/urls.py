"""The project's addresses. A site of your own needs the include() line only."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from mediagen.studio.library.gallery import GalleryView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("mediagen/", include("mediagen.urls")),
    path("api/v1/", include("mediagen.api.urls")),
    path("", include("mediagen.urls_health")),
    path("login/", LoginView.as_view(template_name="mediagen/studio/sign_in.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    # The page mediagen/studio/ once more, at an address that is easy to tell somebody.
    path("studio/", GalleryView.as_view()),
    path("", RedirectView.as_view(pattern_name="mediagen:studio")),
]
