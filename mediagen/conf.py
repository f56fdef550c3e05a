"""`settings.MEDIAGEN`, read late, with our defaults. The names here are all the names there are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import entry_points
from typing import Any

from mediagen.errors import ConfigurationError

DEFAULTS: dict[str, Any] = {
    # None: DRY_RUN_MODE from the environment decides, and without it everything is dry.
    "DRY_RUN": None,
    # More providers, or other settings for ours: {"acme": "site.acme.AcmeAdapter"} or
    # {"flux": {"ADAPTER": "...", "OPTIONS": {"base_url": ..., "model": ..., "api_key": ...}}}.
    "PROVIDERS": {},
    # Who is asked first for an operation, in place of the chain's order: {"upscale_image": ["replicate_sdxl"]}.
    "OPERATION_ORDER": {},
    # Folder for newer tables of models and prices, as mediagen_update_provider_data writes them. None: those we ship.
    "PROVIDER_DATA_DIR": None,
    # Hosts that a provider's answer may name although they are private or not https: "host" or "host:port".
    "TRUSTED_HOSTS": [],
    # "https://site.example": providers that can are told to push their results there. None: results are polled for.
    "WEBHOOK_BASE_URL": None,
    # URL of a forward proxy for all provider traffic; the environment's proxy variables are not read.
    "PROXY": None,
    # First encrypts credentials, all decrypt. Empty: derived from SECRET_KEY and SECRET_KEY_FALLBACKS.
    "ENCRYPTION_KEYS": [],
    # Name of the library for pictures without one.
    "DEFAULT_LIBRARY": "Default",
    # Alias in settings.STORAGES, and the folder in it.
    "STORAGE": "default",
    "UPLOAD_TO": "mediagen",
    # How long a storage that fails is tried again before a paid picture is put aside, seconds; and the local folder
    # for pictures put aside (None: a folder in the system's temporary one).
    "STORAGE_PATIENCE_S": 30.0,
    "RESCUE_DIR": None,
    # Whether the begin of a purchase, and a picture before its row says ready, are on the disk before work goes on, so
    # that a power cut does not take them back. False is quicker on slow disks.
    "SYNC_TO_DISK": True,
    # Answers that were paid for and held no usable picture are kept in the storage for so many days (0: none is), as
    # long as all of them together have no more bytes than that.
    "KEEP_ANSWERS_DAYS": 30,
    "KEEP_ANSWERS_BYTES": 1024**3,
    # The file as its vendor sent it is kept for so many days where another was made of it, in the size that was
    # asked for: None for ever, 0 not at all. Renditions are made of it, and its signature is in it alone.
    "KEEP_ORIGINALS_DAYS": None,
    # Files with this site's certificate (PEM, with those that vouch for it) and its key: what we make of pictures is
    # signed then (C2PA). Renditions only from so many pixels of their longer side on, for what was signed before stands
    # in the signature too; None: none of them.
    "C2PA_CERTIFICATES": None,
    "C2PA_KEY": None,
    "C2PA_RENDITIONS_FROM_PX": 640,
    # One generation, with all its providers and retries, seconds.
    "DEADLINE_S": 900.0,
    "CONNECT_TIMEOUT_S": 5.0,
    # Further tries at the same provider when it says it did not process the request.
    "RETRIES": 2,
    "BACKOFF_S": 0.1,
    # Counted failures in a row that open a breaker; how long it stays open at first and at most.
    "BREAKER_FAILURES": 5,
    "BREAKER_COOLDOWN_S": 30.0,
    "BREAKER_MAX_COOLDOWN_S": 600.0,
    # What a provider may send us.
    "MAX_IMAGE_BYTES": 64 * 1024 * 1024,
    "MAX_IMAGE_PIXELS": 50_000_000,
    # "resize": a picture of another size than asked is scaled and cropped; "keep": only reported.
    "FIT": "resize",
    # A worker that has not renewed its claim on an asset for so long is taken for dead, seconds.
    "LEASE_S": 60.0,
    # Alias in the site's TASKS setting whose engine is told of waiting work; None: workers find it by themselves.
    "TASK_BACKEND": None,
    # Without an engine: whether pages and API fill what was asked of them in their own process. False: only workers do.
    # "at_once": while they ask, in their own connection (tests).
    "RUN_IN_SERVER": True,
    # "app": files go through our views, which ask for access; "storage": by the storage's own addresses.
    "SERVE_FILES": "app",
    # How long a signed address of a file is good, seconds.
    "LINK_LIFETIME_S": 3600,
    # Who may show and read what signed addresses give on their own pages: Cross-Origin-Resource-Policy, and origins
    # ("https://app.example", or "*") whose scripts may read it (CORS).
    "LINK_RESOURCE_POLICY": "cross-origin",
    "LINK_ORIGINS": [],
    # Content-Security-Policy of the studio's pages and of the API's documentation; None: the site sends its own.
    "PAGES_CSP": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'self'",
    # Pictures of public pages: how long browsers and a CDN keep one without asking again, seconds. Their addresses
    # change with the picture; a deleted one may be seen for so long.
    "PICTURE_CACHE_S": 30 * 24 * 3600,
    # Named sets of the options of {% picture %}: {"hero": {"widths": [800, 1600], "formats": "avif,webp",
    # "ratio": "16:9", "sizes": "100vw"}}. `mediagen_make_renditions` makes what they name.
    "PICTURES": {},
    # Whether pages show an alt text that a model has suggested, while there is no other and nobody has answered it.
    "SHOW_SUGGESTED_ALT_TEXT": False,
    # Text fields of the site in which assets may stand: ["blog.Post.body"]. Those that do count as used.
    "RICH_TEXT_FIELDS": [],
    # A zip that somebody has asked for is kept for so many hours.
    "KEEP_ZIPS_H": 24.0,
    # A deleted asset can be had back for so many days; then maintenance removes its row and its files.
    "KEEP_DELETED_DAYS": 30,
    # Queue of that engine; None: its default one.
    "TASK_QUEUE": None,
    # Work that was told to the engine and not begun is told again after so long, seconds.
    "KICK_AGAIN_S": 300.0,
    # Dotted paths of REST framework authentication classes for the API. None: API tokens, and what the site's
    # REST_FRAMEWORK names, or else its sessions.
    "API_AUTHENTICATION": None,
    # Requests to the API by role: "user" is everybody; "token", "staff", "superuser", "group:<name>". The most generous
    # that fits somebody counts; None is no limit. The second: requests that make pictures, counted besides.
    "API_RATES": {"user": "1200/minute"},
    "API_GENERATE_RATES": {},
    # The largest body of JSON that the API reads.
    "API_MAX_BODY_BYTES": 1024 * 1024,
    # "https://site.example": where people reach this site. In comments at Figma, and the plugin's address.
    "SITE_URL": None,
    # Who is mailed about alerts: addresses. None: the site's ADMINS. []: nobody.
    "ALERT_MAIL_TO": None,
    # The least time between two mails, and before the same alert is told of again when it comes back, seconds.
    "ALERT_QUIET_S": 3600.0,
    # What Prometheus sends as "Authorization: Bearer ..." to the page of mediagen.contrib.prometheus; "": open to all.
    "METRICS_TOKEN": "",
    # Whether spans of mediagen.contrib.otel have the prompt.
    "OTEL_PROMPTS": False,
    # With mediagen.contrib.wagtail: into which collection of Wagtail's the pictures of a library (its name, slug or id)
    # become images ({"shop": "Shop"}); and "path.to.function" that gives further values of a new image.
    "WAGTAIL_COLLECTIONS": {},
    "WAGTAIL_IMAGE_VALUES": None,
    # An export to Figma that nobody has placed with the plugin for so many days is given up.
    "EXPORT_WAIT_DAYS": 30,
}


PERIODS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    requests: int
    seconds: int

    @classmethod
    def of(cls, text: str) -> Rate:
        """Of "60/minute"; second, minute, hour, day. `ConfigurationError` for other text."""
        number, _, period = str(text).partition("/")
        if not number.isdecimal() or int(number) < 1 or period not in PERIODS_S:
            raise ConfigurationError(f'A rate is a number, "/" and one of {", ".join(PERIODS_S)}; not {text!r:.40}.')
        return cls(int(number), PERIODS_S[period])


@cache
def _django_settings() -> Any:
    from django.conf import settings

    return settings


def user_settings() -> dict[str, Any]:
    """`settings.MEDIAGEN` as the site wrote it; {} outside Django, so that adapters and chain work there too."""
    settings = _django_settings()
    if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
        return {}
    value = getattr(settings, "MEDIAGEN", {})
    return value if isinstance(value, dict) else {}


def get(name: str) -> Any:
    """`MEDIAGEN[name]`, or our default. KeyError for a name that does not exist."""
    default = DEFAULTS[name]
    return user_settings().get(name, default)


TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


def env_dry_run() -> bool:
    """`DRY_RUN_MODE`, true when it is not set or not understood: a typo must not spend money."""
    return os.environ.get("DRY_RUN_MODE", "").strip().lower() not in FALSE_WORDS


def default_dry_run() -> bool:
    """Dry or not, where neither the call nor the provider says: `MEDIAGEN["DRY_RUN"]`, then the environment."""
    configured = get("DRY_RUN")
    return env_dry_run() if configured is None else bool(configured)


BUILT_IN_PROVIDERS: dict[str, str] = {
    "sdxl": "mediagen.providers.sdxl.SDXLAdapter",
    "openai_images": "mediagen.providers.openai_images.OpenAIImagesAdapter",
    "flux": "mediagen.providers.flux.FluxAdapter",
    "replicate_sdxl": "mediagen.providers.replicate_sdxl.ReplicateSDXLAdapter",
    "figma_api": "mediagen.providers.figma_api.FigmaAPIAdapter",
    "canva_api": "mediagen.providers.canva_api.CanvaAPIAdapter",
    "gemini": "mediagen.providers.gemini.GeminiAdapter",
    "openrouter": "mediagen.providers.openrouter.OpenRouterAdapter",
    "fal": "mediagen.providers.fal.FalAdapter",
    "comfyui": "mediagen.providers.comfyui.ComfyUIAdapter",
    "noop_media": "mediagen.providers.noop_media.NoOpMediaAdapter",
}
"""Name to dotted path, in the default order of the chain."""

FIRST_PROVIDERS = ("sdxl", "openai_images", "flux", "replicate_sdxl", "figma_api", "canva_api", "noop_media")
"""Those of the first migration. The rows of all others of ours were added behind them, `noop_media` too."""


ENTRY_POINTS = "mediagen.providers"
"""group in which installed packages name their adapters: `acme = "mediagen_acme:AcmeAdapter"`"""


@lru_cache(maxsize=1)
def installed_adapters() -> dict[str, str]:
    """Adapters that installed packages bring, by name, with their dotted paths. They are there to be chosen: none is in
    the chain before a row or a line in settings says so. A name of ours stays ours."""
    found = {point.name: point.value.replace(":", ".") for point in entry_points(group=ENTRY_POINTS)}
    return {name: path for name, path in sorted(found.items()) if name not in BUILT_IN_PROVIDERS}


def default_chain() -> list[str]:
    """Names of the chain of a site that has no rows: ours, and those that its settings add."""
    return [name for name in adapter_paths() if name in BUILT_IN_PROVIDERS or name in get("PROVIDERS")]


def adapter_paths() -> dict[str, str]:
    """Every adapter name with its dotted path: ours in default order, then those of installed packages, and those that
    MEDIAGEN["PROVIDERS"] adds."""
    paths = {**BUILT_IN_PROVIDERS, **installed_adapters()}
    for name, entry in get("PROVIDERS").items():
        path = entry if isinstance(entry, str) else entry.get("ADAPTER", paths.get(name))
        if not path:
            raise ConfigurationError(f"MEDIAGEN['PROVIDERS'][{name!r}] needs an 'ADAPTER': the dotted path of a class.")
        paths[name] = path
    return paths
