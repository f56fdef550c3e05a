"""Settings shared by all. Every variable that is read here is described in docs/configuration.md.

Nothing set means: SQLite in WAL mode and local files below `var/`, mediagen in dry run.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from config import env
from mediagen.api import schema_settings

BASE_DIR = Path(__file__).resolve().parent.parent.parent
DATA_DIR = Path(env.text("MEDIAGEN_DATA_DIR", str(BASE_DIR / "var"))).expanduser().absolute()

DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.names("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.names("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "mediagen",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Django's own; under ASGI without a trip to a thread for every step.
    "config.middleware.Session",
    "config.middleware.Locale",
    "config.middleware.Common",
    "django.middleware.csrf.CsrfViewMiddleware",
    "config.middleware.Authentication",
    "config.middleware.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# Pages and mails about exceptions never show keys that were typed or tokens that were sent, with DEBUG neither.
DEFAULT_EXCEPTION_REPORTER = "mediagen.error_pages.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "mediagen.error_pages.Filter"

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # The app's own templates live in templates/mediagen here; the wheel carries them inside the package.
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Readers do not wait for the writer (WAL), a writer waits its turn instead of failing (timeout), and takes the
# turn when its transaction begins (IMMEDIATE): a transaction that has read cannot be refused when it then writes.
SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **env.database("DATABASE_URL", default_path=DATA_DIR / "db.sqlite3", sqlite_options=SQLITE_OPTIONS),
        "CONN_MAX_AGE": env.integer("DATABASE_CONN_MAX_AGE", 0),
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MEDIA_ROOT = Path(env.text("MEDIA_ROOT", str(DATA_DIR / "media"))).expanduser().absolute()
MEDIA_URL = env.text("MEDIA_URL", "media/")
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(DATA_DIR / "static"))).expanduser().absolute()
STATIC_URL = env.text("STATIC_URL", "static/")
STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": env.text("STORAGE_BACKEND", "django.core.files.storage.FileSystemStorage"),
        "OPTIONS": env.json_object("STORAGE_OPTIONS"),
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# The admin's own page lets only staff in; the studio is for others too.
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "mediagen:studio"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = env.text("LANGUAGE_CODE", "en")
TIME_ZONE = env.text("TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True

LOG_FORMAT = env.choice("LOG_FORMAT", "text", ("text", "json"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "mediagen.contrib.json_logs.JSONFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {
        "handlers": ["stderr"],
        "level": env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
    },
    "loggers": {
        # Django's own handlers would print a second time, and only while DEBUG is on.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        # One line per attempt is for machines; a person has the rows.
        "mediagen.attempts": {"level": "INFO" if LOG_FORMAT == "json" else "WARNING"},
        # One line per request of the HTTP client is for debugging; the attempts are rows.
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
    },
}

if importlib.util.find_spec("drf_spectacular"):
    # For `manage.py spectacular`; the API's own schema/ and docs/ need neither.
    INSTALLED_APPS += ["drf_spectacular"]
    SPECTACULAR_SETTINGS = schema_settings.SETTINGS

# Only what the environment sets stands here; mediagen has a default for everything else.
MEDIAGEN: dict[str, Any] = {}
if keys := env.names("MEDIAGEN_ENCRYPTION_KEYS"):
    MEDIAGEN["ENCRYPTION_KEYS"] = keys
if hosts := env.names("MEDIAGEN_TRUSTED_HOSTS"):
    MEDIAGEN["TRUSTED_HOSTS"] = hosts
if proxy := env.text("MEDIAGEN_PROXY"):
    MEDIAGEN["PROXY"] = proxy
if rescue_dir := env.text("RESCUE_DIR"):
    MEDIAGEN["RESCUE_DIR"] = rescue_dir
if not env.flag("RUN_IN_SERVER", default=True):
    MEDIAGEN["RUN_IN_SERVER"] = False

# A task engine is an extra: without TASKS_ENGINE nothing of one is imported, and workers find their work in the rows.
TASKS_ENGINE = env.choice("TASKS_ENGINE", "none", ("none", "celery", "rq", "db"))
# Seconds that an engine must leave to one task, see docs/workers.md.
TASK_TIME_S = 1800
if TASKS_ENGINE != "none":
    MEDIAGEN["TASK_BACKEND"] = "default"
if TASKS_ENGINE == "celery":
    env.need_modules("TASKS_ENGINE", "celery", "django_tasks_fennel")
    INSTALLED_APPS += ["django_tasks_fennel"]
    TASKS = {"default": {"BACKEND": "django_tasks_fennel.CeleryBackend", "QUEUES": ["default"]}}
    CELERY_BROKER_URL = env.text("TASKS_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672//")
    # A message is gone when its task has ended, not when it begins; and comes back when its worker dies.
    CELERY_TASK_ACKS_LATE = True
    CELERY_TASK_REJECT_ON_WORKER_LOST = True
    CELERY_WORKER_PREFETCH_MULTIPLIER = 1
    CELERY_TASK_IGNORE_RESULT = True
    CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
    CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": TASK_TIME_S} if "redis" in CELERY_BROKER_URL[:6] else {}
    CELERY_WORKER_HIJACK_ROOT_LOGGER = False
if TASKS_ENGINE == "rq":
    env.need_modules("TASKS_ENGINE", "rq", "django_rq", "django_tasks_rq")
    INSTALLED_APPS += ["django_rq", "django_tasks_rq"]
    TASKS = {"default": {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": ["default"]}}
    RQ_QUEUES = {
        "default": {
            "URL": env.text("TASKS_BROKER_URL", "redis://127.0.0.1:6379/0"),
            "DEFAULT_TIMEOUT": TASK_TIME_S,
        }
    }
if TASKS_ENGINE == "db":
    env.need_modules("TASKS_ENGINE", "django_tasks_db")
    INSTALLED_APPS += ["django_tasks_db"]
    TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"]}}
