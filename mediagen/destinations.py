"""Where a provider's key may go: to the vendor's own hosts and to where the operator's settings say. Any other place
needs a key that was typed for it, or the recorded consent of somebody who may give it.

A row is written by people in the admin, a setting by whoever owns the keys: so an address in
`MEDIAGEN["PROVIDERS"]` needs no consent, and one in a row does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from mediagen.errors import ConfigurationError
from mediagen.models import ProviderConfig
from mediagen.providers.registry import adapter_class, settings_options
from mediagen.providers.service import KeyRule

DEFAULT_PORTS = {"http": 80, "https": 443}
# An adapter that declares no options may call its address what it likes.
_NAMES_A_PLACE = re.compile(r"url|host|endpoint|server|address|proxy|origin|domain", re.IGNORECASE)
MAY_BE_A_CREDENTIAL = re.compile(r"key|token|secret|passw|credential|bearer", re.IGNORECASE)
"""names of options that may hold a key"""


def elsewhere(config: ProviderConfig) -> str:
    """The place, "https://host", to which the row's own words lead and where neither the vendor nor the settings are;
    "" when there is none. Several are joined by blanks. An adapter that does not exist has none."""
    try:
        cls = adapter_class(config.adapter)
    except ConfigurationError:
        return ""
    settled = {_origin(text) for text in _addresses(cls, settings_options(config.adapter))}
    named = [*_addresses(cls, config.options or {}), *([config.base_url] if config.base_url else [])]
    if not is_of_the_settings(config):
        # The row makes another vendor's of it: what the settings say was not said of that one's key.
        named, settled = [*named, *_addresses(cls, settings_options(config.adapter))], set()
    hosts = key_rule(config).hosts
    return " ".join(sorted({_origin(text) for text in named if not _is_at(hosts, text)} - settled))


def key_rule(config: ProviderConfig) -> KeyRule:
    """Whose key the entry takes. An adapter that does not exist, and one of somebody else's, takes nobody's."""
    return _rule(config.adapter, {**settings_options(config.adapter), **(config.options or {})})


def is_of_the_settings(config: ProviderConfig) -> bool:
    """Whether the settings and the row speak of the same vendor: only then a key in the settings is the entry's."""
    return key_rule(config).vendor == _rule(config.adapter, settings_options(config.adapter)).vendor


def _rule(adapter: str, options: Mapping[str, Any]) -> KeyRule:
    try:
        cls = adapter_class(adapter)
    except ConfigurationError:
        return KeyRule("", "", ())
    return cls.key_rule(options) if hasattr(cls, "key_rule") else KeyRule("", getattr(cls, "credential_env", ""), ())


def destination(config: ProviderConfig) -> str:
    """Whom a key is for, as it is recorded with the key and with a consent: the adapter and vendor, whose key it is,
    and the place."""
    vendor = key_rule(config).vendor
    whose = f"{config.adapter}:{vendor}" if vendor else config.adapter
    found = f"{whose} {elsewhere(config) or 'vendor'}"
    return found if len(found) <= 700 else f"{config.adapter} {hashlib.sha256(found.encode()).hexdigest()}"


def withheld(config: ProviderConfig, *, stored: bool) -> str:
    """Why the entry's key is not sent, with what to do; "" when it is. `stored`: the row's own, else the environment's
    or the settings'."""
    place, here = elsewhere(config), destination(config)
    if config.key_consent == here:
        return ""
    # Nothing is recorded of a key that code has put there: code belongs to the operator.
    if config.credentials_for in ("", here) if stored else not place:
        return ""
    whose = "The stored key" if stored else "The key from the environment or the settings"
    return (
        f"{whose} is not sent to {place or 'the vendor, having been given for another address'}. Enter a key for this "
        "address on the provider's page in the admin, or have somebody consent there who may send keys elsewhere; "
        f'or set the address in MEDIAGEN["PROVIDERS"]["{config.adapter}"]["OPTIONS"].'
    )


def holds_a_key(arguments: Mapping[str, Any]) -> bool:
    """Whether constructor arguments that settings give may hold a key."""
    return any(value and MAY_BE_A_CREDENTIAL.search(name) for name, value in arguments.items())


def _addresses(cls: type[Any], options: Mapping[str, Any]) -> Iterator[str]:
    """The addresses among constructor arguments."""
    declares = isinstance(getattr(cls, "options", None), Mapping)
    for name, value in options.items():
        if declares and name != "base_url":
            continue  # what an adapter declares is no place for a key
        for text in _texts(value):
            if name == "base_url" or "://" in text or _NAMES_A_PLACE.search(name):
                yield text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str) and value:
        yield value


def _is_at(hosts: tuple[str, ...], url: str) -> bool:
    """Whether an address is at one of the hosts, by https and at its usual port."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or 443
    except ValueError:
        return False
    return parts.scheme == "https" and port == 443 and any(_fits(host, name) for name in hosts)


def _fits(host: str, name: str) -> bool:
    return host == name.lstrip(".") or host.endswith("." + name.lstrip("."))


def _origin(url: str) -> str:
    """Scheme, host and port in one form; of what is no URL the text itself."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        host, port = "", None
    if not host:
        return "".join(url.split())
    host = f"[{host}]" if ":" in host else host
    is_usual = port in (None, DEFAULT_PORTS.get(parts.scheme))
    return f"{parts.scheme}://{host}" if is_usual else f"{parts.scheme}://{host}:{port}"
