"""The project's test settings, as a Wagtail site."""

from config.settings.test import *  # noqa: F403
from config.settings.test import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [
    "tests.outside.wagtail_host.apps.HarbourConfig",
    "wagtail.embeds",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    *INSTALLED_APPS,
    "mediagen.contrib.wagtail",
]
MIDDLEWARE = MIDDLEWARE
ROOT_URLCONF = "tests.outside.wagtail_host.urls"
WAGTAIL_SITE_NAME = "Harbour"
WAGTAILADMIN_BASE_URL = "http://testserver"
WAGTAIL_ENABLE_UPDATE_CHECK = False
WAGTAIL_AUTOSAVE_INTERVAL = 0
WAGTAILIMAGES_IMAGE_MODEL = "harbour.Photo"
LOGIN_URL = "wagtailadmin_login"
MEDIAGEN = {
    "DRY_RUN": True,
    "RUN_IN_SERVER": False,
    "WAGTAIL_COLLECTIONS": {"Pier": "Harbour"},
    "WAGTAIL_IMAGE_VALUES": "tests.outside.wagtail_host.models.values_of",
}
