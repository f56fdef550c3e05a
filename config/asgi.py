"""ASGI entry point: granian --interface asginl config.asgi:application, or uvicorn config.asgi:application."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

application = get_asgi_application()

if settings.DEBUG:
    # Development has no web server in front that would hand out static files.
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

    application = ASGIStaticFilesHandler(application)
