"""For a public site. Refuses to start without a key and host names of its own."""

import importlib.util
from typing import Any

import django
from django.core.exceptions import ImproperlyConfigured

from config import env
from config.settings.base import *  # noqa: F403
from config.settings.base import ALLOWED_HOSTS, DEBUG, MIDDLEWARE, STORAGES

SECRET_KEY = env.required(
    "SECRET_KEY",
    "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))', and keep it: sessions and, "
    "without MEDIAGEN_ENCRYPTION_KEYS, stored credentials hang on it.",
)
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("The environment variable SECRET_KEY is too short. Use 50 random characters or more.")
if not ALLOWED_HOSTS:
    raise ImproperlyConfigured(
        "The environment variable ALLOWED_HOSTS is not set. Name this site's hosts: example.org,www.example.org"
    )
if DEBUG:
    raise ImproperlyConfigured(
        "DEBUG is on with the production settings: error pages would show settings to visitors. Unset it, or use "
        "DJANGO_SETTINGS_MODULE=config.settings.dev."
    )

# TLS. Behind a proxy that ends it, the proxy must set (never pass on) X-Forwarded-Proto.
if env.flag("BEHIND_HTTPS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", default=True)
# Load balancers ask each process by http.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.flag("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.flag("SECURE_HSTS_PRELOAD", default=False)
# W005, W021: subdomains and browsers' preload lists concern more than this site, so they are the operator's decision.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

if django.VERSION >= (6, 0):
    # Nothing but our own files; pictures also from the storage's hosts. Django 5.2 has no such middleware.
    MIDDLEWARE.insert(1, "django.middleware.csp.ContentSecurityPolicyMiddleware")
    SECURE_CSP: dict[str, Any] = {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:", *env.names("CSP_IMG_SOURCES")],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }

if importlib.util.find_spec("whitenoise"):
    # Directly after SecurityMiddleware, as its documentation asks.
    MIDDLEWARE.insert(1, "config.static_files.StaticFiles")
    STORAGES["staticfiles"] = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
