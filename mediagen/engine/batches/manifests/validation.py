"""Every row of a manifest is checked before money is spent."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from mediagen.engine.batches.manifests.columns import ARGUMENTS, MAX_COUNT, OPTION_PREFIX, unknown_column
from mediagen.engine.batches.manifests.keys import KeyLedger
from mediagen.engine.batches.manifests.manifest import Manifest
from mediagen.engine.batches.manifests.problems import ManifestError, Problem, shown
from mediagen.engine.batches.manifests.rows import Entry, ManifestRow, order_from, shown_name, with_defaults
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.factory import build_adapter, chain_configs
from mediagen.models import MediaAsset, ProviderConfig
from mediagen.models.asset import MediaAssetQuerySet
from mediagen.models.tag import clean_tag
from mediagen.providers.options import Option
from mediagen.providers.registry import adapter_class
from mediagen.types import MAX_SEED, checked_text

MAX_PROBLEMS = 1000
MAX_NESTING = 20
MAX_TAGS = 100

ProviderOptions = Mapping[str, Mapping[str, Option] | None]
"""Name of a provider to the options that it declares; None for one that does not say, and so may know any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfAnotherModel(Option):
    """An option that the adapter declares and the configured model does not have: no value of it is wrong."""

    kind: str = ""


def options_by_provider() -> dict[str, Mapping[str, Option] | None]:
    """What each provider of the site's chain declares, for `validate`. One query."""
    found: dict[str, Mapping[str, Option] | None] = {}
    for config in chain_configs():
        declared = getattr(adapter_class(config.adapter), "options", None)
        found[config.name] = _with_model(config, declared) if isinstance(declared, Mapping) else None
    return found


def _with_model(config: ProviderConfig, declared: Mapping[str, Option]) -> Mapping[str, Option]:
    try:
        knows = getattr(build_adapter(config), "knows_option", None)
    except ConfigurationError:
        knows = None  # it says so itself when it is to be asked
    if knows is None:
        return declared
    return {name: option if knows(name) else OfAnotherModel() for name, option in declared.items()}


@dataclass(slots=True, kw_only=True)
class ValidationReport:
    """What `validate` found."""

    rows: int = 0
    """rows in the file, right or wrong"""
    valid_rows: int = 0
    items: int = 0
    """pictures that the valid rows ask for"""
    problems: list[Problem] = field(default_factory=list)
    """the first of them, in the order of the file"""
    problem_count: int = 0
    duplicate_keys: int = 0
    """rows whose key an earlier row has"""
    is_fatal: bool = False
    """nothing may be started, also when invalid rows are to be skipped"""
    columns: tuple[str, ...] = ()
    """columns that rows use, in order of appearance: the header, or for JSON lines the keys of all rows"""
    columns_are_complete: bool = True
    """False when JSON lines have so many keys that not all were kept"""

    @property
    def ok(self) -> bool:
        return not self.problem_count

    @property
    def invalid_rows(self) -> int:
        return self.rows - self.valid_rows

    def error(self, name: str = "") -> ManifestError:
        """All of it as an exception, for the caller who will not go on."""
        return ManifestError(self.problems, name=name, total=self.problem_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidRow:
    """A row of which no picture is made, and why."""

    line: int
    row_key: str
    values: Mapping[str, Any]
    problems: Sequence[Problem]


class Checker:
    """The site's knowledge against which entries are checked, and the keys so far. One for each pass over a manifest.

    Arguments are those of `validate`. `InvalidRequest` when the defaults themselves cannot be.
    """

    def __init__(
        self,
        *,
        defaults: Mapping[str, Any] | None = None,
        known_options: Collection[str] | None = None,
        providers: ProviderOptions | None = None,
        library_exists: Callable[[str], bool] | None = None,
        sources: MediaAssetQuerySet | None = None,
    ) -> None:
        self.defaults = dict(defaults or {})
        self._known_options = known_options
        self._providers = providers
        self._library_exists = lru_cache(maxsize=10_000)(library_exists) if library_exists else None
        self._clean_tag = lru_cache(maxsize=10_000)(clean_tag)
        self._sources: MediaAssetQuerySet = MediaAsset.objects.kept() if sources is None else sources
        self._source = lru_cache(maxsize=10_000)(self._asset)
        chosen = self.defaults.get("provider") or self.defaults.get("providers") or ()
        self._default_providers = (chosen,) if isinstance(chosen, str) else tuple(chosen)
        self._check_defaults()
        self._keys = KeyLedger()

    def check(self, entry: Entry) -> tuple[list[Problem], bool]:
        """(what is wrong with the row, whether its key is an earlier row's). The key is taken with this."""
        problems = list(entry.problems)
        line = entry.line
        copies = entry.copies(self.defaults)
        taken = self._keys.add(line, entry.key, copies) if entry.values else None
        if taken is not None:
            problems.append(Problem(line, "key", taken))
        own = entry.arguments
        if tags := own.get("tags"):
            self._check_tags(line, tags, problems)
        for column in ("source", "mask"):
            if words := own.get(column):
                problems += [Problem(line, column, wrong) for wrong in self._find_sources(own, column, words)]
        if library := own.get("library"):
            problems += [Problem(line, "library", wrong) for wrong in self._library_problems(library)]
        chosen = own.get("providers")
        for name in chosen or ():
            problems += [Problem(line, "provider", wrong) for wrong in self._provider_problems(name)]
        if len(own) > 1 and not own.keys() <= ARGUMENTS:
            for name, value in own.items():
                if name not in ARGUMENTS and (
                    wrong := self._option_problem(name, value, chosen or self._default_providers)
                ):
                    problems.append(Problem(line, shown_name(name), wrong))
        seed = own.get("seed", self.defaults.get("seed"))
        if seed is not None and seed + copies - 1 > MAX_SEED:
            message = f"with {copies} pictures the last seed would be over {MAX_SEED}. Choose a lower one."
            problems.append(Problem(line, "seed", message))
        if not problems:
            try:
                order_from(with_defaults(own, self.defaults))
            except InvalidRequest as exc:
                problems.append(Problem(line, exc.field or "", str(exc)))
        return problems, taken is not None

    def check_header(self, manifest: Manifest) -> list[Problem]:
        """Columns that stand for options which nobody knows: once, and not in every row."""
        problems = []
        for column, name in manifest.option_columns().items():
            known = self._all_options()
            if known is not None and name not in known:
                message = unknown_column(column, known)
                problems.append(Problem(manifest.header_line, shown_name(column), message, fatal=True))
        return problems

    def _all_options(self) -> Collection[str] | None:
        if self._providers is None:
            return self._known_options
        names: set[str] = set(self._known_options or ())
        for declared in self._providers.values():
            if declared is None:
                return self._known_options
            names.update(declared)
        return names

    def _option_problem(self, name: str, value: Any, chosen: Sequence[str]) -> str:
        try:
            _check_storable(value, name)
        except InvalidRequest as exc:
            return str(exc)
        if self._known_options is not None and name not in self._known_options:
            return unknown_column(name, self._known_options)
        if self._providers is None:
            return ""
        names = [provider for provider in chosen if provider in self._providers] or list(self._providers)
        is_declared = False
        for provider in names:
            declared = self._providers[provider]
            if declared is None:
                return ""
            if (option := declared.get(name)) is not None:
                is_declared = True
                if isinstance(option, OfAnotherModel):
                    continue
                try:
                    option.clean(value)
                except ValueError as exc:
                    # It would be passed over, and another one be paid.
                    return f"{exc} ({provider})."
                return ""
        if is_declared:
            return ""
        if chosen and any(name in (declared or ()) for declared in self._providers.values()):
            return f"{', '.join(names)} has no such option. Leave the cell empty, or ask a provider that has it."
        return unknown_column(name, self._all_options() or ())

    def _check_tags(self, line: int, tags: Sequence[str], problems: list[Problem]) -> None:
        if len(tags) > MAX_TAGS:
            problems.append(Problem(line, "tags", f"has {len(tags):,} tags; at most {MAX_TAGS} fit."))
            return
        for tag in tags:
            try:
                self._clean_tag(tag)
            except InvalidRequest as exc:
                problems.append(Problem(line, "tags", str(exc)))

    def _find_sources(self, own: dict[str, Any], column: str, words: Any) -> list[str]:
        """Put the assets in the place of their ids; what is wrong with those that are none."""
        named = [words] if isinstance(words, str) else words
        found = [self._source(word) for word in named]
        if all(asset is not None for asset in found):
            own[column] = found if column == "source" else found[0]
            return []
        return [f"there is no asset {shown(word)}." for word, one in zip(named, found, strict=True) if one is None]

    def _asset(self, word: str) -> MediaAsset | None:
        try:
            return self._sources.filter(pk=uuid.UUID(word)).first()
        except ValueError:
            return None

    def _library_problems(self, word: str) -> Iterator[str]:
        try:
            checked_text(word, "it")
        except InvalidRequest as exc:
            yield str(exc)
            return
        if self._library_exists is not None and not self._library_exists(word):
            yield f"there is no media library {shown(word)}. Create it, or name one by its name, slug or id."

    def _provider_problems(self, name: str) -> Iterator[str]:
        if self._providers is not None and name not in self._providers:
            yield f"there is no provider {shown(name)}. There are: {', '.join(self._providers)}."
        elif not name.isprintable():
            yield f"{shown(name)} is no name of a provider."

    def _check_defaults(self) -> None:
        """Once for all rows, and as what they are: the caller's arguments."""
        given = self.defaults
        count = given.get("count")
        if count is not None and (not isinstance(count, int) or not 1 <= count <= MAX_COUNT):
            raise InvalidRequest(
                f"count must be a whole number from 1 to {MAX_COUNT}, not {shown(count)}.", field="count"
            )
        for name in self._default_providers:
            for wrong in self._provider_problems(name):
                raise InvalidRequest(wrong, field="providers")
        if library := given.get("library"):
            for wrong in self._library_problems(library):
                raise InvalidRequest(wrong, field="library")
        arguments = with_defaults({"prompt": "a prompt"}, given)
        tags = arguments.get("tags", ())
        for tag in (tags,) if isinstance(tags, str) else tags:
            clean_tag(tag)
        order = order_from(arguments)
        for name, value in order.request.options.items():
            if wrong := self._option_problem(name, value, self._default_providers):
                raise InvalidRequest(f"option {name}: {wrong}", field="options")

    def close(self) -> None:
        self._keys.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def validate(
    manifest: Manifest,
    *,
    defaults: Mapping[str, Any] | None = None,
    known_options: Collection[str] | None = None,
    providers: ProviderOptions | None = None,
    library_exists: Callable[[str], bool] | None = None,
    sources: MediaAssetQuerySet | None = None,
    max_problems: int = MAX_PROBLEMS,
) -> ValidationReport:
    """Go over the whole file once and say everything that is wrong.

    `defaults`: arguments of `AssetOrder.of`, and `count`, for rows that do not have them. `known_options`: names of
    options that some provider knows; None when that cannot be said. `providers` says more: who has which option, so
    that values are checked too (the first of the row's providers that has the option must take it), and which
    providers there are. `library_exists` is asked once per word; `sources` are the assets that may be worked on (None:
    all). `ManifestError` when the file cannot be read, `InvalidRequest` when the defaults cannot be.
    """
    report = ValidationReport(columns=manifest.columns)
    # A dict keeps the order; there may be as many keys as rows in a file that is wrong from end to end.
    columns: dict[str, None] = dict.fromkeys(manifest.columns)

    def note(problems: Sequence[Problem]) -> None:
        report.problem_count += len(problems)
        report.problems += problems[: max_problems - len(report.problems)]
        report.is_fatal = report.is_fatal or any(problem.fatal for problem in problems)

    with Checker(
        defaults=defaults,
        known_options=known_options,
        providers=providers,
        library_exists=library_exists,
        sources=sources,
    ) as checker:
        header = checker.check_header(manifest)
        note(header)
        # What is wrong with the header is not said again in every row.
        said = {problem.column.removeprefix(OPTION_PREFIX) for problem in header}
        for entry in manifest.entries():
            report.rows += 1
            problems, is_duplicate = checker.check(entry)
            report.duplicate_keys += is_duplicate
            if said:
                problems = [problem for problem in problems if problem.column not in said]
            if problems:
                note(problems)
            else:
                report.valid_rows += 1
                report.items += entry.copies(checker.defaults)
            if not columns.keys() >= entry.values.keys():
                if len(columns) < MAX_PROBLEMS:
                    columns.update(dict.fromkeys(entry.values))
                else:
                    report.columns_are_complete = False
    if not report.rows:
        note([Problem(0, "", "There is no row in the file. Write a prompt per row into it.", fatal=True)])
    report.columns = tuple(columns)
    return report


def checked_rows(manifest: Manifest, checker: Checker) -> Iterator[ManifestRow | InvalidRow]:
    """What `validate` has let through, one per picture and with the checker's defaults, and the rows it has not.

    The checker must be a new one, with the same arguments as in `validate`. After a fatal problem no more rows come.
    """
    is_fatal = bool(checker.check_header(manifest))
    for entry in manifest.entries():
        problems, _ = checker.check(entry)
        is_fatal = is_fatal or any(problem.fatal for problem in problems)
        if problems:
            yield InvalidRow(line=entry.line, row_key=entry.base_key, values=entry.values, problems=problems)
        elif not is_fatal:
            yield from entry.rows(checker.defaults)


def _check_storable(value: Any, name: str) -> None:
    """`InvalidRequest` for what a JSON column cannot hold: NUL, half characters, infinity, very deep nesting."""
    todo: list[tuple[Any, int]] = [(value, 0)]
    while todo:
        item, depth = todo.pop()
        if depth > MAX_NESTING:
            raise InvalidRequest(f"is nested more than {MAX_NESTING} levels deep. Make it simpler.", field=name)
        if isinstance(item, str):
            checked_text(item, "it")
        elif isinstance(item, float) and not math.isfinite(item):
            raise InvalidRequest("is a number too large to be kept. Write a smaller one.", field=name)
        elif isinstance(item, dict):
            todo += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            todo += [(part, depth + 1) for part in item]
