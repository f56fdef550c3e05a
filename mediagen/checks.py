"""System checks: wrong settings are said at start, with what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.utils.module_loading import import_string

from mediagen import conf
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.types import ARE_BOUGHT

TYPES: dict[str, tuple[type, ...]] = {
    "PROVIDERS": (dict,),
    "OPERATION_ORDER": (dict,),
    "TRUSTED_HOSTS": (list, tuple, set, frozenset),
    "ENCRYPTION_KEYS": (list, tuple),
    "DEFAULT_LIBRARY": (str,),
    "PROVIDER_DATA_DIR": (str, os.PathLike, type(None)),
    "STORAGE": (str,),
    "UPLOAD_TO": (str,),
    "C2PA_CERTIFICATES": (str, os.PathLike, type(None)),
    "C2PA_KEY": (str, os.PathLike, type(None)),
    "METRICS_TOKEN": (str,),
    "TASK_BACKEND": (str, type(None)),
    "TASK_QUEUE": (str, type(None)),
    "API_AUTHENTICATION": (list, tuple, type(None)),
    "LINK_ORIGINS": (list, tuple, set, frozenset),
    "PAGES_CSP": (str, type(None)),
    "PICTURES": (dict,),
    "RICH_TEXT_FIELDS": (list, tuple),
    "WAGTAIL_COLLECTIONS": (dict,),
    "WAGTAIL_IMAGE_VALUES": (str, type(None)),
    "ALERT_MAIL_TO": (list, tuple, type(None)),
    "API_RATES": (dict,),
    "API_GENERATE_RATES": (dict,),
}
POSITIVE_NUMBERS = {
    "DEADLINE_S",
    "CONNECT_TIMEOUT_S",
    "BREAKER_FAILURES",
    "BREAKER_COOLDOWN_S",
    "BREAKER_MAX_COOLDOWN_S",
    "MAX_IMAGE_BYTES",
    "MAX_IMAGE_PIXELS",
    "LEASE_S",
    "LINK_LIFETIME_S",
    "KEEP_ZIPS_H",
    "KICK_AGAIN_S",
    "ALERT_QUIET_S",
    "EXPORT_WAIT_DAYS",
    "API_MAX_BODY_BYTES",
}
KEEP_ANSWERS = ("KEEP_ANSWERS_DAYS", "KEEP_ANSWERS_BYTES")


@register("mediagen")
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """`MEDIAGEN` has only names that exist, with values that can work."""
    value = getattr(settings, "MEDIAGEN", {})
    if not isinstance(value, dict):
        return [Error("MEDIAGEN must be a dict.", hint="MEDIAGEN = {} is enough to begin with.", id="mediagen.E001")]
    return list(_wrong_settings(value))


def _wrong_settings(value: dict[str, Any]) -> Iterator[CheckMessage]:
    for name in value.keys() - conf.DEFAULTS.keys():
        known = ", ".join(sorted(conf.DEFAULTS))
        yield Error(f"MEDIAGEN has no setting {name!r}.", hint=f"There are: {known}.", id="mediagen.E002")
    for name, types in TYPES.items():
        if name in value and not isinstance(value[name], types):
            yield Error(
                f"MEDIAGEN[{name!r}] must be a {types[0].__name__}, not {type(value[name]).__name__}.",
                id="mediagen.E003",
            )
    for name in POSITIVE_NUMBERS & value.keys():
        number = value[name]
        if isinstance(number, bool) or not isinstance(number, int | float) or number <= 0:
            yield Error(f"MEDIAGEN[{name!r}] must be a number greater than 0.", id="mediagen.E004")
    for name in ("RETRIES", "BACKOFF_S", "STORAGE_PATIENCE_S", "KEEP_DELETED_DAYS", "PICTURE_CACHE_S", *KEEP_ANSWERS):
        number = value.get(name, 0)
        if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
            yield Error(f"MEDIAGEN[{name!r}] must be a number, 0 or more.", id="mediagen.E004")
    for name in ("KEEP_ORIGINALS_DAYS", "C2PA_RENDITIONS_FROM_PX"):
        number = value.get(name)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | float) or number < 0):
            yield Error(f"MEDIAGEN[{name!r}] must be a number, 0 or more, or None.", id="mediagen.E004")
    if value.get("RUN_IN_SERVER", True) not in (True, False, "at_once"):
        yield Error('MEDIAGEN["RUN_IN_SERVER"] must be True, False or "at_once".', id="mediagen.E003")
    for name in ("SYNC_TO_DISK", "OTEL_PROMPTS", "SHOW_SUGGESTED_ALT_TEXT"):
        if not isinstance(value.get(name, True), bool):
            yield Error(f"MEDIAGEN[{name!r}] must be True or False.", id="mediagen.E003")
    for name in ("PROXY", "WEBHOOK_BASE_URL", "SITE_URL"):
        url = value.get(name)
        if url is not None and not (isinstance(url, str) and url.startswith(("http://", "https://"))):
            yield Error(f"MEDIAGEN[{name!r}] must be an http(s) address or None.", id="mediagen.E012")
    order = value.get("OPERATION_ORDER")
    for name, names in order.items() if isinstance(order, dict) else ():
        if name not in ARE_BOUGHT or not isinstance(names, list | tuple):
            text = f"each of {', '.join(ARE_BOUGHT)} may have a list of providers' names."
            yield Error(f"MEDIAGEN['OPERATION_ORDER'][{name!r:.60}] cannot be: {text}", id="mediagen.E035")
    if value.get("FIT", "resize") not in ("resize", "keep"):
        yield Error('MEDIAGEN["FIT"] must be "resize" or "keep".', id="mediagen.E005")
    if value.get("SERVE_FILES", "app") not in ("app", "storage"):
        yield Error('MEDIAGEN["SERVE_FILES"] must be "app" or "storage".', id="mediagen.E016")
    if value.get("LINK_RESOURCE_POLICY", "same-site") not in ("same-origin", "same-site", "cross-origin"):
        yield Error(
            'MEDIAGEN["LINK_RESOURCE_POLICY"] must be "same-origin", "same-site" or "cross-origin".', id="mediagen.E018"
        )
    if value.get("DRY_RUN") not in (None, True, False):
        yield Error(
            'MEDIAGEN["DRY_RUN"] must be True, False or None.',
            hint="None lets DRY_RUN_MODE from the environment decide.",
            id="mediagen.E006",
        )
    for name in ("API_RATES", "API_GENERATE_RATES"):
        rates = value.get(name, {})
        for role, rate in rates.items() if isinstance(rates, dict) else ():
            try:
                rate is None or conf.Rate.of(rate)
            except ConfigurationError as exc:
                yield Error(f"MEDIAGEN[{name!r}][{role!r}]: {exc}", id="mediagen.E013")
    for path in value.get("API_AUTHENTICATION") or ():
        try:
            import_string(path)
        except (ImportError, TypeError, AttributeError) as exc:
            yield Error(f'MEDIAGEN["API_AUTHENTICATION"]: {path!r} cannot be imported: {exc}', id="mediagen.E014")
    if isinstance(value.get("PROVIDERS", {}), dict):
        yield from _wrong_providers()
    yield from _wrong_pictures(value)
    alias = value.get("STORAGE", "default")
    if isinstance(alias, str) and alias not in settings.STORAGES:
        yield Error(
            f"MEDIAGEN['STORAGE'] names {alias!r}, which settings.STORAGES does not have.",
            hint=f"settings.STORAGES has: {', '.join(settings.STORAGES)}.",
            id="mediagen.E008",
        )
    if isinstance(value.get("TASK_BACKEND"), str):
        yield from _wrong_task_engine(value["TASK_BACKEND"])


def _wrong_pictures(value: dict[str, Any]) -> Iterator[CheckMessage]:
    from mediagen.engine.files import responsive
    from mediagen.engine.library import references

    sets = value.get("PICTURES", {})
    for name, options in sets.items() if isinstance(sets, dict) else ():
        try:
            given = {key: option for key, option in responsive.named_set(name).items() if key != "sizes"}
            responsive.Plan.checked(**given)
        except (ConfigurationError, InvalidRequest, TypeError, AttributeError) as exc:
            yield Error(f"MEDIAGEN['PICTURES'][{name!r}] = {options!r:.80}: {exc}", id="mediagen.E030")
    if isinstance(value.get("RICH_TEXT_FIELDS", []), list | tuple):
        try:
            references.watched()
        except ConfigurationError as exc:
            yield Error(str(exc), id="mediagen.E031")


@register("mediagen", Tags.security, deploy=True)
def check_who_makes_pictures(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A WSGI server recycles and kills its processes; pictures that take minutes should not be made in them."""
    is_said = "RUN_IN_SERVER" in conf.user_settings() or conf.get("TASK_BACKEND") is not None
    has_asgi = bool(getattr(settings, "ASGI_APPLICATION", None))
    if is_said or has_asgi or not getattr(settings, "WSGI_APPLICATION", None):
        return []
    return [
        CheckWarning(
            "The server's processes make the pictures, and WSGI servers recycle and kill their processes.",
            hint="Run manage.py generate_worker and set MEDIAGEN['RUN_IN_SERVER'] to False; or say True, if that is "
            "meant. A site served by ASGI says so in ASGI_APPLICATION. See docs/deploying.md.",
            id="mediagen.W032",
        )
    ]


@register("mediagen", Tags.database)
def check_commits_are_kept(app_configs: Any, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """A commit is on the disk when it returns: else a power cut takes purchases back. Runs with `migrate` and with
    `check --database`."""
    from mediagen.engine.database import durability
    from mediagen.models.routing import alias

    if alias() not in (databases or ()) or not conf.get("SYNC_TO_DISK"):
        return []
    how = durability.unsynced()
    if not how:
        return []
    return [
        CheckWarning(
            f"The database does not write its commits to the disk at once ({how}), so that a power cut takes back what "
            "was bought in the last moments: it would be bought again.",
            hint="Turn it on for the role or the database that mediagen uses. See docs/reliability.md.",
            id="mediagen.W033",
        )
    ]


@register("mediagen")
def check_one_database(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Our tables are in one database, together with those that they point at: no foreign key reaches another one."""
    from django.apps import apps
    from django.db import router

    if not settings.DATABASE_ROUTERS:
        return []
    ours = list(apps.get_app_config("mediagen").get_models())
    theirs = {field.related_model for model in ours for field in model._meta.get_fields() if field.is_relation}
    where = {model: router.db_for_write(model) for model in {*ours, *theirs} if isinstance(model, type)}
    home = where[apps.get_model("mediagen", "MediaAsset")]
    elsewhere = sorted(f"{model._meta.label} in {alias!r}" for model, alias in where.items() if alias != home)
    if not elsewhere:
        return []
    return [
        Error(
            f"mediagen's assets are in the database {home!r}, and {', '.join(elsewhere)}: foreign keys and joins do "
            "not reach another database.",
            hint="Let the site's routers (DATABASE_ROUTERS) keep the app 'mediagen' in one database with the site's "
            "users and groups. Replicas for reading are no trouble. See docs/embedding.md.",
            id="mediagen.E034",
        )
    ]


SUPPORTED = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB 10.11 or newer"}


@register("mediagen")
def check_database(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Our tables are in a database on which what we promise holds."""
    from django.db import connections

    from mediagen.models.routing import alias

    connection = connections[alias()]
    if connection.vendor == "mysql":
        return _check_mariadb(connection)
    if connection.vendor in SUPPORTED:
        return []
    return [_not_supported(f"of the kind {connection.vendor!r}")]


def _not_supported(kind: str) -> CheckMessage:
    return CheckWarning(
        f"mediagen's tables are in a database {kind}, on which the suite does not pass.",
        hint=f"Use {', '.join(SUPPORTED.values())}. See docs/embedding.md.",
        id="mediagen.W020",
    )


def _check_mariadb(connection: Any) -> list[CheckMessage]:
    from django.db import DatabaseError

    from mediagen.models.mariadb import OLDEST

    found: list[CheckMessage] = []
    # None: as the server is set, which by itself is repeatable read.
    level = connection.settings_dict["OPTIONS"].get("isolation_level", "read committed")
    if str(level).lower() != "read committed":
        found.append(
            CheckWarning(
                f"The database's isolation level is {level!r}: what others have written stays unseen for as long as a "
                "transaction lasts, and what is bought is decided by what is seen.",
                hint="Leave OPTIONS['isolation_level'] out: Django takes 'read committed'.",
                id="mediagen.W036",
            )
        )
    try:
        is_supported = connection.mysql_is_mariadb and connection.mysql_version >= OLDEST
    except DatabaseError:  # away: `migrate` and everything else will say so
        return found
    return found if is_supported else [*found, _not_supported(f"that is no MariaDB {OLDEST[0]}.{OLDEST[1]} or newer")]


@register("mediagen")
def check_signing(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What is to sign pictures can: a small one is signed."""
    if not (conf.get("C2PA_CERTIFICATES") or conf.get("C2PA_KEY")):
        return []
    from mediagen.engine.files import signatures

    hint = 'See docs/media.md, "This site\'s own signature".'
    wrong, soon = signatures.trouble()
    if wrong:  # no error: pictures are made all the same
        return [CheckWarning(f"Pictures are not signed. {wrong}", hint=hint, id="mediagen.W037")]
    return [CheckWarning(soon, hint=hint, id="mediagen.W038")] if soon else []


@register("mediagen")
def check_storage(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The storage can be made, and has a folder."""
    from django.core.files.storage import FileSystemStorage, storages

    name = conf.get("STORAGE")
    if not isinstance(name, str) or name not in settings.STORAGES:
        return []  # said already
    try:
        storage = storages[name]
    except Exception as exc:  # whatever its package, or one that is not installed, raises
        return [
            Error(
                f"The storage {name!r} of settings.STORAGES cannot be made ({type(exc).__name__}).",
                hint="Is its package installed (for S3: the extra s3, with boto3), and are its OPTIONS right?",
                id="mediagen.E020",
            )
        ]
    if type(storage) is FileSystemStorage and not storage.base_location:
        return [
            CheckWarning(
                "Pictures would be written into the folder in which the server happens to be started.",
                hint=f"Set MEDIA_ROOT, or settings.STORAGES[{name!r}]['OPTIONS']['location'].",
                id="mediagen.W021",
            )
        ]
    return []


def _wrong_task_engine(alias: str) -> Iterator[CheckMessage]:
    hint = "See docs/workers.md; without TASK_BACKEND no engine is needed."
    if not any(_is_importable(name) for name in ("django.tasks", "django_tasks")):
        yield Error(
            f"MEDIAGEN['TASK_BACKEND'] is {alias!r}, and there is no django.tasks here.",
            hint=f"Install django-tasks (Django 6 brings it) and a backend of it. {hint}",
            id="mediagen.E009",
        )
        return
    engines = getattr(settings, "TASKS", None) or {"default": {}}
    if alias not in engines:
        yield Error(
            f"MEDIAGEN['TASK_BACKEND'] names {alias!r}, which settings.TASKS does not have.",
            hint=f"settings.TASKS has: {', '.join(engines)}. {hint}",
            id="mediagen.E010",
        )
        return
    from mediagen.engine.dispatch import task_engine

    try:
        import_module("mediagen.tasks")
    except Exception as exc:  # whatever the engine's package finds wrong with the site's settings
        yield Error(
            f"The task engine {alias!r} does not take mediagen's task ({task_engine.reason(exc)}).",
            hint=f"Is its package installed, and does its entry in settings.TASKS have the queue of "
            f"MEDIAGEN['TASK_QUEUE'], or else \"default\"? {hint}",
            id="mediagen.E011",
        )
        return
    backend = str(engines[alias].get("BACKEND", "immediate.ImmediateBackend"))
    if backend.endswith((".ImmediateBackend", ".DummyBackend")):
        yield CheckWarning(
            f"The task engine {alias!r} is {backend.rpartition('.')[2]}, which leaves work to nobody else: it runs it "
            "at once in the process that asks for it, or never.",
            hint=f"Set settings.TASKS[{alias!r}] to an engine with workers, or leave TASK_BACKEND out and run "
            "manage.py generate_worker. See docs/workers.md.",
            id="mediagen.W002",
        )


def _is_importable(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def _wrong_providers() -> Iterator[CheckMessage]:
    if not conf.get("PROVIDERS"):
        return
    from mediagen.providers.registry import adapter_class

    for name in conf.get("PROVIDERS"):
        try:
            adapter_class(name)
        except (ConfigurationError, AttributeError) as exc:
            yield Error(str(exc), hint="See docs/providers/writing-one.md.", id="mediagen.E007")


@register("mediagen", Tags.security, deploy=True)
def check_encryption_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Credentials should not depend on SECRET_KEY, which sites rotate for other reasons."""
    if conf.get("ENCRYPTION_KEYS"):
        return []
    return [
        CheckWarning(
            "Provider credentials are encrypted with a key derived from SECRET_KEY.",
            hint='Set MEDIAGEN["ENCRYPTION_KEYS"] to a list with a long random text of its own.',
            id="mediagen.W001",
        )
    ]


HINT_ABOUT_TABLES = (
    "Run manage.py mediagen_update_provider_data where the vendor has an API for it, install a newer mediagen, or "
    "correct the provider's model and prices. See docs/providers/matrix.md."
)


@register("mediagen")
def check_provider_tables(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Prices and models of live providers are neither old nor over: those that settings and environment name."""
    from mediagen.engine.providers import tables

    return [_doubt(*doubt) for doubt in tables.doubts_about_settings()]


@register("mediagen", Tags.database)
def check_tables_of_rows(app_configs: Any, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """The same of what stands in rows. Runs with `migrate` and with `check --database`."""
    from django.db import DatabaseError

    from mediagen.engine.providers import tables
    from mediagen.models.routing import alias

    if alias() not in (databases or ()):
        return []
    try:
        found = tables.doubts()
    except (DatabaseError, ConfigurationError):  # before the first migrate, or said already
        return []
    said = set(tables.doubts_about_settings())
    return [_doubt(*doubt) for doubt in found if doubt not in said]


def _doubt(number: str, text: str) -> CheckMessage:
    if number == "W030":
        return CheckWarning(text, hint=HINT_ABOUT_TABLES, id="mediagen.W030")
    return CheckWarning(text, hint="Choose another model.", id="mediagen.W031")


@register("mediagen", Tags.database)
def check_keys_elsewhere(app_configs: Any, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """No key goes where it does not belong without being spoken of. Runs with `migrate` and `check --database`."""
    from django.db import DatabaseError

    from mediagen.engine.providers import entries
    from mediagen.models.routing import alias

    if alias() not in (databases or ()):
        return []
    try:
        found = entries.keys_elsewhere()
    except DatabaseError:  # before migrate
        return []
    hint = "See docs/configuration.md, where a key is sent. Whom it concerns can be seen in the admin."
    return [CheckWarning(text[0].upper() + text[1:], hint=hint, id="mediagen.W004") for text in found]


@register("mediagen", Tags.database)
def check_stored_credentials(app_configs: Any, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """What is stored encrypted can be read. Runs with `migrate` and with `check --database`; a warning, because the
    site works without: a provider whose key cannot be read is passed over."""
    from django.db import DatabaseError

    from mediagen.engine.providers import credentials
    from mediagen.models.routing import alias

    if alias() not in (databases or ()):
        return []
    try:
        found = credentials.unreadable()
    except DatabaseError:  # before the first migrate
        return []
    return [
        CheckWarning(
            f"{what} cannot be decrypted with any configured key.",
            hint="Enter it again in the admin, or add the key it was encrypted with to MEDIAGEN['ENCRYPTION_KEYS'] "
            "(or SECRET_KEY_FALLBACKS) and run manage.py mediagen_rotate_credentials.",
            id="mediagen.W003",
        )
        for what in found
    ]
