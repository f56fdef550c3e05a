"""What stands at the end of each provider's page: what its adapter declares, as the chain reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docs.site.settings_reference import escaped
from mediagen import conf
from mediagen.operations import OPERATIONS
from mediagen.providers.options import Option
from mediagen.providers.registry import adapter_class


def sections() -> Iterator[tuple[str, str]]:
    """(name of the provider, Markdown)."""
    for name in conf.BUILT_IN_PROVIDERS:
        yield name, section(name)


def section(name: str) -> str:
    cls: Any = adapter_class(name)
    facts = [
        ("class", f"`{cls.__module__}.{cls.__qualname__}`"),
        ("key", f"`{cls.credential_env}`" if cls.credential_env else "none"),
        ("operations", ", ".join(f"`{operation}`" for operation in OPERATIONS if hasattr(cls, operation)) or "none"),
        ("address", f"`{cls.default_base_url}`" if cls.default_base_url else "set by you"),
        ("the key may also go to", ", ".join(f"`{host}`" for host in cls.key_hosts) or "nowhere else"),
        ("model", f"`{cls.default_model}`" if cls.default_model else "none"),
        ("seed", "yes" if cls.supports_seed else "no"),
        ("negative prompt", "yes" if cls.supports_negative_prompt else "no"),
        ("a job that was bought is fetched again", "yes" if cls.can_resume else "no"),
        ("`timeout_s`", f"{cls.default_timeout_s:g} s"),
        ("after a 429 that names no time", f"{cls.default_cooldown_s:g} s"),
        ("bills are shown at", f"<{cls.billing_url}>" if cls.billing_url else "nowhere"),
    ]
    text = "## Declared by the adapter\n\nMade from the code when this site was built.\n\n"
    text += table(("", ""), facts)
    if cls.default_prices:
        prices = [(f"`{key}`", str(price)) for key, price in sorted(cls.default_prices.items())]
        text += f"\n### Price table of `{name}`\n\n" + table(("price key", "USD"), prices)
    if cls.announced_ends:
        ends = [(f"`{model}`", day or "no day named") for model, day in sorted(cls.announced_ends.items())]
        text += f"\n### Announced ends of `{name}`\n\n" + table(("model", "ends"), ends)
    if cls.options:
        rows = [(f"`{key}`", *_option(option)) for key, option in cls.options.items()]
        text += f"\n### Declared options of `{name}`\n\n" + table(("option", "takes", "models", "meaning"), rows)
    return text


def _option(option: Option) -> tuple[str, str, str]:
    takes = option.kind
    if option.choices:
        takes = ", ".join(f"`{choice}`" for choice in option.choices)
    elif option.minimum is not None and option.maximum is not None:
        takes += f", {option.minimum:g} to {option.maximum:g}"
    elif option.minimum is not None:
        takes += f", from {option.minimum:g}"
    elif option.max_length:
        takes += f", at most {option.max_length} characters"
    if option.config_only:
        takes += "; set-up only"
    return takes, ", ".join(f"`{model}`" for model in option.only_models) or "all", escaped(option.help)


def table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "".join(f"| {' | '.join(cell.replace(chr(10), ' ') for cell in line)} |\n" for line in lines)
