"""The plugin's three files, made out for one site."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from urllib.parse import urlsplit

from django.urls import NoReverseMatch, reverse

from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.wording import say as _

NAMES = ("manifest.json", "code.js", "ui.html")
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def files_of_plugin(site: str, *, plugin_id: str = "mediagen", name: str = "") -> dict[str, str]:
    """{file name: content}. `site` is the address under which people's machines reach this site, https or local.

    `InvalidRequest` for what is no such address, `ConfigurationError` when the site's URLs leave out the API.
    """
    origin, host = _checked_site(site)
    if not _ID.fullmatch(plugin_id):
        raise InvalidRequest(_("The plugin's id is what Figma gave it: letters, digits, - and _."), field="plugin_id")
    try:
        api = origin + reverse("mediagen_api:figma-session").removesuffix("figma/session/")
    except NoReverseMatch:
        raise ConfigurationError(
            'The plugin needs the API. Add path("api/v1/", include("mediagen.api.urls")) to the site\'s URLs.'
        ) from None
    folder = files("mediagen") / "figma_plugin"
    found = {file: (folder / file).read_text(encoding="utf-8") for file in NAMES}
    found["code.js"] = found["code.js"].replace("__MEDIAGEN_SITE__", origin).replace("__MEDIAGEN_API__", api)
    manifest = json.loads(found["manifest.json"])
    manifest.update(name=name or f"mediagen ({host})", id=plugin_id)
    is_local = origin.startswith("http:")
    # Figma lets plain http through only for a plugin in development.
    manifest["networkAccess"].update(
        allowedDomains=["none"] if is_local else [origin], devAllowedDomains=[origin] if is_local else []
    )
    if not is_local:
        del manifest["networkAccess"]["devAllowedDomains"]
    found["manifest.json"] = json.dumps(manifest, indent=2) + "\n"
    return found


def _checked_site(site: str) -> tuple[str, str]:
    """(origin, host)"""
    text = site.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or ""), parts.port
    except ValueError:
        raise InvalidRequest(_("%(site)s is no address.", site=f"{site!r:.80}"), field="site") from None
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[a-z0-9.\-]+|\[[0-9a-f:]+\]", host):
        raise InvalidRequest(
            _("The site is an address such as https://media.example, not %(site)s.", site=f"{site!r:.80}"), field="site"
        )
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        raise InvalidRequest(_("Give the site's address without a path: the API is found by itself."), field="site")
    is_local = host in ("localhost", "127.0.0.1") or host.endswith(".localhost")
    if parts.scheme == "http" and not is_local:
        raise InvalidRequest(_("Figma asks only https addresses, and http://localhost. Give the first."), field="site")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}", host
