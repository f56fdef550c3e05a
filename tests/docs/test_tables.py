"""The tables of the documentation say what the code says."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import BaseCommand, call_command, get_commands, load_command_class

from mediagen import conf, errors
from mediagen.connections import CLIENT_ID_ENV, CLIENT_SECRET_ENV
from mediagen.engine import MediaEngine
from mediagen.engine.generation.orders import AssetOrder
from mediagen.engine.insight import CODES
from mediagen.engine.insight.rehearsal import BEHAVIOURS, SCENARIOS
from mediagen.engine.library import tokens
from mediagen.engine.providers.health import ProviderReport
from mediagen.management import batch_run
from mediagen.management.output import Result
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset, ProviderConfig, ReviewStatus
from mediagen.providers.gemini import ACCOUNT_ENV
from mediagen.providers.openai_dialects import DIALECTS
from mediagen.providers.registry import adapter_class
from mediagen.types import ARE_BOUGHT, AttemptState, FigmaExportResult, GeneratedImage
from tests.docs import pages
from tests.docs.pages import ROOT, names_in, table
from tests.factories import (
    GenerationAttemptFactory,
    GenerationBatchFactory,
    MediaAssetFactory,
    MediaTagFactory,
    UserFactory,
)

CONFIGURATION, API, ERRORS = "docs/configuration.md", "docs/api-python.md", "docs/errors.md"
BATCHES, WORKERS = "docs/batches.md", "docs/workers.md"
COMMANDS, MATRIX = "docs/commands.md", "docs/providers/matrix.md"
ADAPTERS = {name: adapter_class(name) for name in conf.BUILT_IN_PROVIDERS}
MAKE_PICTURES = [name for name, cls in ADAPTERS.items() if hasattr(cls, "generate_image")]


def by_first_name(doc: str, *heading: str) -> dict[str, list[str]]:
    """Rows by the name in their first cell; a row for several names counts for each."""
    rows: dict[str, list[str]] = {}
    for row in table(doc, *heading):
        for name in names_in(row[0]):
            assert name not in rows, f"{doc}: {name} stands twice"
            rows[name] = row
    return rows


# --- operations.md


def test_every_finding_has_a_chapter_in_the_runbook():
    source = (ROOT / "mediagen/engine/insight/doctor.py").read_text()
    codes = {*CODES, *re.findall(r'code="([a-z_]+)"', source)}
    headings = re.findall(r"^### (.+)$", pages.text_of("docs/operations.md"), re.MULTILINE)

    assert {name for heading in headings for name in names_in(heading)} == codes


# --- configuration.md


def test_the_settings_are_the_settings():
    rows = by_first_name(CONFIGURATION, "setting", "default", "meaning")

    assert {name: ast.literal_eval(names_in(row[1])[0]) for name, row in rows.items()} == conf.DEFAULTS
    assert all(len(row[2]) > 10 for row in rows.values())


def test_the_system_checks_are_listed():
    source = (ROOT / "mediagen" / "checks.py").read_text()
    listed = by_first_name(CONFIGURATION, "id", "meaning")

    assert set(listed) == set(re.findall(r'id="(mediagen\.[EW]\d+)"', source))


def variables_read() -> dict[str, Any]:
    """Environment variables that config/settings reads, with the default that stands beside the name, if any."""
    found: dict[str, Any] = {}
    for path in sorted((ROOT / "config" / "settings").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = ast.unparse(node.func)
                assert "environ" not in called, f"{path.name} reads the environment without config.env: {called}"
                if called.startswith("env."):
                    given = [*node.args[1:2], *(word.value for word in node.keywords if word.arg == "default")]
                    default = given[0].value if given and isinstance(given[0], ast.Constant) else None
                    found.setdefault(str(node.args[0].value), default)
    return found


def test_every_environment_variable_is_described():
    read = variables_read()
    assert {"DATABASE_URL", "MEDIAGEN_PROXY", "SECURE_HSTS_SECONDS", "STORAGE_BACKEND"} <= read.keys()
    listed = by_first_name(CONFIGURATION, "variable")
    keys = {cls.credential_env for cls in ADAPTERS.values() if cls.credential_env}
    keys |= {ACCOUNT_ENV} | {dialect.key_env for dialect in DIALECTS.values() if dialect.key_env}

    example = (ROOT / "compose.env.example").read_text()
    assert all(f"# {key}=\n" in example for key in keys), "compose.env.example lists them"
    assert set(listed) == read.keys() | keys | {"DRY_RUN_MODE", CLIENT_ID_ENV, CLIENT_SECRET_ENV}
    for name, default in read.items():
        if default is not None:
            shown = str(default).lower() if isinstance(default, bool) else str(default)
            assert shown in names_in(listed[name][1]), f"{name}: {listed[name][1]} is not {shown}"


def test_the_keys_belong_to_their_providers():
    rows = {name: row for name, row in by_first_name(CONFIGURATION, "variable").items() if len(row) > 1}

    for name, cls in ADAPTERS.items():
        if cls.credential_env:
            assert names_in(rows[cls.credential_env][1]) == [name]


def test_the_fields_of_a_provider_config_exist():
    rows = by_first_name(CONFIGURATION, "field", "empty means")
    fields = {field.name for field in ProviderConfig._meta.get_fields()}

    assert set(rows) <= fields
    assert {"credentials", "base_url", "model", "options", "timeout_s", "dry_run", "after_unknown"} <= set(rows)


# --- errors.md


def test_the_error_classes_and_their_policy():
    rows = by_first_name(ERRORS, "class", "outcome")
    classes = {
        name: cls
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and issubclass(cls, errors.ProviderError) and cls is not errors.ProviderError
    }

    assert set(rows) == set(classes)
    for name, cls in classes.items():
        said = [names_in(cell)[0] for cell in rows[name][1:]]
        assert said == [cls.outcome, cls.next_step, cls.breaker], name


@pytest.mark.parametrize("heading", [("what happened", "outcome"), ("outcome", "what it asks of you")])
def test_every_outcome_is_explained(heading):
    column = 1 if heading[1] == "outcome" else 0
    explained = {names_in(row[column])[0] for row in table(ERRORS, *heading)}

    assert explained == {outcome.value for outcome in errors.Outcome} - {"succeeded"}


# --- api-python.md


def test_every_method_of_the_engine_that_is_listed_exists_with_its_twin():
    for row in table(API, "coroutine", "sync twin"):
        [coroutine], [twin] = names_in(row[0]), names_in(row[1])
        assert inspect.iscoroutinefunction(getattr(MediaEngine, coroutine))
        assert twin == f"{coroutine}_sync"
        assert not inspect.iscoroutinefunction(getattr(MediaEngine, twin))
    public = {name for name, _ in inspect.getmembers(MediaEngine, inspect.iscoroutinefunction)}
    assert {names_in(row[0])[0] for row in table(API, "coroutine", "sync twin")} <= public


def test_the_arguments_of_an_order():
    listed = by_first_name(API, "argument", "meaning").keys()
    taken = inspect.signature(AssetOrder.of).parameters.keys() - {"prompt", "width", "height", "library_id", "request"}

    assert listed - {"style_preset", "negative_prompt", "seed"} == taken


def test_the_fields_of_the_models_exist():
    for model, ignored in ((MediaAsset, set()), (GenerationAttempt, set())):
        heading = f"`{model.__name__}`\n\n| field | meaning |"
        part = pages.text_of(API).split(heading)[1].split("\n\n")[0]
        named = {name for line in part.splitlines()[2:] for name in names_in(line.split("|")[1])}
        assert named, model
        missing = [name for name in named - ignored if not hasattr(model, name)]
        assert not missing, f"{model.__name__}: {missing}"


@pytest.mark.parametrize(
    ("field", "values"),
    [("generation_state", GenerationState.values), ("status", ReviewStatus.values), ("state", list(AttemptState))],
)
def test_the_states_are_all_named(field, values):
    [row] = [row for row in table(API, "field", "meaning") if names_in(row[0]) == [field]]

    assert names_in(row[1]) == [str(value) for value in values]


@pytest.mark.parametrize("cls", [GeneratedImage, FigmaExportResult])
def test_the_fields_of_a_result_are_all_named(cls):
    text = pages.text_of(API)
    sentence = re.search(rf"A `{cls.__name__}` has (.*?)\.\n", text, re.DOTALL)

    assert sentence is not None
    assert set(names_in(sentence[1])) - {'"binary"'} == {field.name for field in dataclasses.fields(cls)}


# --- commands.md


def parser_of(command: str) -> argparse.ArgumentParser:
    return load_command_class(get_commands()[command], command).create_parser("manage.py", command)


def own_options(command: str) -> set[str]:
    """Those of the command itself. What is for batches has a group of its own, and a page of its own."""
    parser = parser_of(command)
    elsewhere = [
        *BaseCommand().create_parser("", "")._actions,
        *(
            action
            for group in parser._action_groups
            if "batches" in (group.title or "")
            for action in group._group_actions
        ),
    ]
    left_out = {option for action in elsewhere for option in action.option_strings}
    return {option for action in parser._actions for option in action.option_strings} - left_out


def part_of_commands(command: str) -> list[list[str]]:
    text = pages.text_of(COMMANDS).split(f"\n## {command}\n")[1].split("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `--")
    ]


@pytest.mark.parametrize(
    "command",
    [
        "generate_assets",
        "check_providers",
        "mediagen_token",
        "figma_plugin",
        "figma_import",
        "mediagen_settle",
        "mediagen_rotate_credentials",
        "mediagen_setup",
        "mediagen_rehearse",
        "mediagen_update_provider_data",
        "mediagen_export_assets",
        "mediagen_prune",
    ],
)
def test_the_options_of_a_command(command):
    assert {names_in(row[0])[0].split()[0] for row in part_of_commands(command)} == own_options(command)


def test_the_defaults_of_generate_assets():
    shown = {names_in(row[0])[0].split()[0]: row[1] for row in part_of_commands("generate_assets")}
    helps = {
        option: action.help for action in parser_of("generate_assets")._actions for option in action.option_strings
    }

    assert "Default: 1024x1024" in helps["--size"]
    assert shown["--size"] == "`1024x1024`"
    assert "Default: 4;" in helps["--concurrency"]
    assert shown["--concurrency"] == "`4`"
    assert shown["--count"] == f"`{parser_of('generate_assets').get_default('count')}`"


def test_the_fields_of_the_json_lines():
    assert set(by_first_name(COMMANDS, "field of `asset`")) == {field.name for field in dataclasses.fields(Result)}
    reported = {field.name for field in dataclasses.fields(ProviderReport)}
    assert set(by_first_name(COMMANDS, "field of the JSON")) == reported


# --- batches.md, workers.md


def test_the_options_for_batches():
    [group] = [group for group in parser_of("generate_assets")._action_groups if "batches" in (group.title or "")]
    listed = {names_in(row[0])[0].split()[0] for row in table(BATCHES, "option", "default")}

    assert listed - {"--concurrency"} == {option for action in group._group_actions for option in action.option_strings}


def test_the_events_of_a_batch():
    sources = [(ROOT / "mediagen" / "management" / name).read_text() for name in ("batch_run.py", "batch_output.py")]
    told = {name for source in sources for name in re.findall(r'_tell\(\s*"(\w+)"', source)}

    assert set(by_first_name(BATCHES, "`event`")) == told


def test_the_exit_codes_of_a_batch():
    codes = {row[0] for row in table(BATCHES, "code", "meaning")}

    assert codes == {"0", str(batch_run.SOME_FAILED), "2", str(batch_run.STOPPED)}


def test_the_actions_on_a_batch():
    rows = [row for found in pages.tables(BATCHES) for row in found if row[0].startswith("`batches ")]
    [action] = [action for action in parser_of("mediagen_batches")._actions if action.dest == "action"]

    assert {names_in(row[0])[0].split()[1] for row in rows} | {"list"} == set(action.choices or ())


def test_the_options_of_the_workers():
    listed = {names_in(row[0])[0].split()[0] for row in table(WORKERS, "option")}

    assert listed == own_options("generate_worker") | own_options("mediagen_maintain")


# --- providers/matrix.md

OPERATIONS = (*ARE_BOUGHT, "export_to_figma", "export_to_canva", "import_from_canva")


def test_the_providers_are_all_there_in_order_with_class_and_key():
    rows = [[names_in(row[column]) for column in (0, 1, 3, 4)] for row in table(MATRIX, "provider", "class", "service")]
    expected = [
        [
            [name],
            [cls.__name__],
            [word for word in OPERATIONS if hasattr(cls, word)],
            [cls.credential_env] if cls.credential_env else [],
        ]
        for name, cls in ADAPTERS.items()
    ]

    assert rows == expected


def test_what_is_honoured():
    rows = by_first_name(MATRIX, "provider", "seed")
    words = {"yes": True, "no": False}

    assert list(rows) == MAKE_PICTURES
    for name, (_, seed, negative_prompt, _, lost_answer) in rows.items():
        cls = ADAPTERS[name]
        assert (words[seed], words[negative_prompt]) == (cls.supports_seed, cls.supports_negative_prompt), name
        assert ("fetched" in lost_answer) == cls.can_resume, name


def test_the_models():
    rows = by_first_name(MATRIX, "provider", "default", "others")
    assert list(rows)[0:1] == ["sdxl"]

    for name in MAKE_PICTURES:
        [row] = [row for row in table(MATRIX, "provider", "default", "others") if names_in(row[0]) == [name]]
        cls = ADAPTERS[name]
        assert names_in(row[1]) == [cls.default_model]
        assert set(cls.models) - {cls.default_model} <= set(names_in(row[2]))
        if not any("/" in model for model in cls.models):
            assert set(names_in(row[2])) <= set(cls.models)


@pytest.mark.parametrize("name", [name for name, cls in ADAPTERS.items() if cls.options])
def test_the_options_of_a_provider(name):
    part = pages.text_of(MATRIX).split(f"### Options of `{name}`\n")[1].split("\n#")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("| `")]
    listed = {option: " ".join(row[1:]) for row in rows for option in names_in(row[0])}
    options = ADAPTERS[name].options

    assert set(listed) == set(options)
    for option, declared in options.items():
        assert ("set-up only" in listed[option]) == declared.config_only, option
        for bound in (declared.minimum, declared.maximum):
            assert bound is None or f"{bound:g}" in listed[option] or declared.config_only, option


def test_the_times():
    rows = by_first_name(MATRIX, "provider", "`timeout_s`")

    assert set(rows) == ADAPTERS.keys() - {"noop_media"}
    for name, row in rows.items():
        cls = ADAPTERS[name]
        assert row[1:3] == [f"{cls.default_timeout_s:g}", f"{cls.default_cooldown_s:g} s"], name


def test_the_page_of_a_provider_is_linked_from_the_matrix():
    own_pages = {path.name for path in (ROOT / "docs" / "providers").glob("*.md") if path.stem in ADAPTERS}

    assert own_pages <= {Path(link).name for link in pages.links(MATRIX)}


def test_the_map_of_the_rooms_is_fresh():
    drawn = subprocess.run([sys.executable, ROOT / ".ci" / "rooms.py"], capture_output=True, text=True, check=True)
    assert f"```mermaid\n{drawn.stdout}```" in (ROOT / "docs" / "contributing.md").read_text()


def test_every_room_is_on_the_map_and_says_what_it_is_for():
    page = (ROOT / "docs" / "contributing.md").read_text()
    for room in sorted((ROOT / "mediagen" / "engine").glob("*/__init__.py")):
        words = ast.get_docstring(ast.parse(room.read_text())) or ""
        assert f"| `{room.parent.name}` |" in page
        assert "Keeps:" in words or "kick" in words, room
        for file in room.parent.glob("*.py"):
            assert file == room or f"`{file.stem}`" in words, f"{room} does not say what {file.name} is"


@pytest.mark.django_db
def test_the_fields_of_every_json_line():
    GenerationBatchFactory(name="pets", total=1)
    GenerationAttemptFactory(unknown=True)
    tokens.issue(UserFactory(), name="shop", scopes=["read"])
    asset = MediaAssetFactory(ready=True)
    asset.tags.add(MediaTagFactory(name="hero"))
    rows = {names_in(row[0])[0]: row[1] for row in table(COMMANDS, "command", "fields of a line")}
    arguments = {
        "mediagen_export_assets": ["--to", "canva", "--tag", "hero", "--dry-run"],
        "verify_origin": [asset.asset_id],
        "describe_assets": ["--tag", "hero", "--all", "--dry-run"],
    }
    for words, fields in rows.items():
        out = io.StringIO()
        call_command(*words.split(), *arguments.get(words, []), "--json", stdout=out)
        *_, last = lines = [json.loads(line) for line in out.getvalue().splitlines()]
        said = set().union(*lines)
        assert said == set(names_in(fields)) - {"export", "summary", "picture", "description", "could_go", "gone"}, (
            words
        )
        assert last


def test_every_command_with_json_has_its_fields_described():
    have = {name for name, app in get_commands().items() if app == "mediagen" and "--json" in own_options(name)}
    described = {names_in(row[0])[0].split()[0] for row in table(COMMANDS, "command", "fields of a line")}

    assert have - described == {"generate_assets", "check_providers", "mediagen_doctor", "figma_import"}


def test_the_services_of_the_readme_are_as_the_matrix_has_them():
    said = {
        names_in(row[1])[0]: row
        for row in table("README.md", "provider", "key", "seed", "negative prompt", "edits", "a lost answer")
        if names_in(row[1])
    }
    honoured = by_first_name(MATRIX, "provider", "seed", "negative prompt", "size", "a lost answer")
    for name, cls in ADAPTERS.items():
        if name not in MAKE_PICTURES or cls.credential_env not in said:
            continue
        row = said[cls.credential_env]
        assert row[2:4] == honoured[name][1:3], name
        assert (row[4] == "yes") == hasattr(cls, "edit_image"), name
        assert row[5].split(",")[0] in honoured[name][4], name
    assert set(said) == {ADAPTERS[name].credential_env for name in MAKE_PICTURES} - {"", "COMFYUI_API_KEY"}
    assert len(pages.text_of("README.md").splitlines()) <= 150


def test_the_scenarios_and_behaviours_of_a_rehearsal():
    text = pages.text_of(COMMANDS).split("\n## mediagen_rehearse\n")[1].split("\n## ")[0]
    scenarios = text.split("The scenarios:")[1].split(".")[0]
    [row] = [row for row in part_of_commands("mediagen_rehearse") if "BEHAVIOUR" in row[0]]

    assert set(names_in(scenarios)) == set(SCENARIOS)
    assert set(names_in(row[1])) == set(BEHAVIOURS)
