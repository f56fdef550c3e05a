"""The commands as a stranger meets them: what they print, with what code they leave, and that nothing is lost."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import OperationalError

from mediagen import conf
from mediagen.engine.maintenance import sweep
from mediagen.factory import get_media_generator_chain
from mediagen.management.base import NOT_MIGRATED, MediagenCommand
from mediagen.models import (
    GenerationAttempt,
    GenerationBatch,
    MediaAsset,
    MediaLibrary,
    ProviderConfig,
    ProviderHealth,
)
from mediagen.models.clock import to_db
from mediagen.providers.registry import adapter_class
from mediagen.types import utcnow
from tests.servers import Fault

pytestmark = pytest.mark.django_db


def run(*arguments, **options):
    """(exit code, standard output, what the error says)"""
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out, **options)
    except CommandError as exc:
        return exc.returncode, out.getvalue(), str(exc)
    return 0, out.getvalue(), ""


def events(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def manifest(tmp_path):
    def write(text, name="prompts.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


class TestPrompts:
    def test_pictures_lines_and_a_table(self):
        code, out, _ = run("generate_assets", "a cat", "a dog [sic]", "--count", "2", "--size", "64x48")
        assert code == 0
        assert out.count("ready by sdxl") == 4
        assert "4 made, 0 failed, cost $0." in out
        assert {(asset.width, asset.height) for asset in MediaAsset.objects.all()} == {(64, 48)}

    def test_json_lines(self):
        code, out, _ = run("generate_assets", "a cat", "--json", "--size", "64x64")
        made, summary = events(out)
        assert (code, made["event"], made["made"], summary["made"]) == (0, "asset", True, 1)
        assert MediaAsset.objects.get().asset_id == made["asset_id"]

    def test_seeds_count_up(self):
        run("generate_assets", "a cat", "--count", "3", "--seed", "7", "--size", "64x64")
        assert sorted(MediaAsset.objects.values_list("seed", flat=True)) == [7, 8, 9]

    def test_library_tags_provider_and_option(self):
        MediaLibrary.objects.create(name="Autumn")
        code, _, _ = run(
            "generate_assets", "a cat", "--library", "autumn", "--tag", "pets", "--provider", "sdxl",
            "--option", "style_preset=anime", "--size", "64x64",
        )  # fmt: skip
        asset = MediaAsset.objects.get()
        assert (code, asset.library.name, asset.parameters["options"]) == (0, "Autumn", {"style_preset": "anime"})
        assert "pets" in asset.tag_names

    def test_some_failed(self, live):
        (server,) = live("openai_images")
        server.fault("submit", Fault.moderation(), times=1)
        code, out, error = run("generate_assets", "a cat", "a dog", "--concurrency", "1")
        assert (code, error) == (1, "1 of 2 assets failed.")
        assert "refused" in out

    def test_a_placeholder_in_a_live_run_is_said_aloud(self):
        _, out, _ = run("generate_assets", "a cat", "--live", "--size", "64x64")
        assert "1 is a placeholder: no provider delivered a real picture" in out

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ([], "Give a prompt"),
            (["a cat", "--size", "big"], "1024x768"),
            (["a cat", "--size", "0x5"], "between 1 and"),
            (["a cat", "--library", "nowhere"], "--create-library"),
            (["a cat", "--provider", "nobody"], "There are: sdxl"),
            (["a cat", "--option", "colour=red"], "style_preset"),
            (["a cat", "--option", "colour"], "key=value"),
            (["a cat", "--count", "0"], "from 1"),
            (["a cat", "--max-cost", "1"], "--from"),
            (["a cat", "--from", "x.csv"], "not prompts with"),
            (["  "], "prompt is empty"),
            (["a cat", "--live", "--dry-run"], "not allowed with"),
        ],
    )
    def test_bad_usage_starts_nothing(self, arguments, says):
        code, _, error = run("generate_assets", *arguments)
        assert says in error
        assert code in (1, 2)  # argparse's own errors leave with 2 from a shell
        assert not MediaAsset.objects.exists()


class TestBatches:
    def test_a_file_becomes_pictures_and_the_same_command_does_nothing_more(self, manifest):
        path = manifest('prompt,seed\na cat,1\n"a dog,\nasleep",2\n')
        code, out, _ = run("generate_assets", manifest=path, size=(64, 64))
        assert code == 0
        assert "2 made (2 placeholders), 0 failed" in out
        attempts = GenerationAttempt.objects.count()
        code, out, _ = run("generate_assets", manifest=path, size=(64, 64))
        assert (code, GenerationAttempt.objects.count()) == (0, attempts)
        assert "Going on with it" in out

    def test_another_one_on_purpose(self, manifest):
        path = manifest("prompt\na cat\n")
        for new in (False, True):
            run("generate_assets", manifest=path, size=(64, 64), new=new)
        assert GenerationBatch.objects.count() == 2

    def test_checking_starts_nothing(self, manifest):
        code, out, _ = run("generate_assets", manifest=manifest("prompt\na cat\n"), check=True)
        assert (code, "1 pictures" in out) == (0, True)
        assert not GenerationBatch.objects.exists()

    def test_the_estimate_says_what_it_does_not_know(self, live, manifest):
        live("replicate_sdxl", "openai_images")
        ProviderConfig.objects.filter(name="replicate_sdxl").update(model="acme/paints")
        _, out, _ = run("generate_assets", manifest=manifest("prompt\na cat\na dog\n"), check=True)
        assert "2 pictures, $0." in out
        assert "the price of replicate_sdxl is not known" in out
        assert "price_when_unknown" in out

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("prompt,width\na cat,64\na dog,-5\n", "line 3"),
            ("prompt,colour\na cat,red\n", "colour"),
            ('prompt\n"a cat\n', "line 2"),
            (b"\x89PNG\r\n\x1a\n\x00\x00", "binary"),
            ("", "empty"),
            ("prompt,library\na cat,nowhere\n", "nowhere"),
            ("key,prompt\na,a cat\na,a dog\n", "line 3"),
            ("prompt\n" + "x" * 11_000_000 + "\n", "line 2"),
        ],
    )
    def test_a_wrong_file_is_told_by_line_and_costs_nothing(self, manifest, text, says):
        code, _, error = run("generate_assets", manifest=manifest(text))
        assert code == 2
        assert says in error.lower()
        assert not GenerationBatch.objects.exists()
        assert not MediaAsset.objects.exists()

    @pytest.mark.parametrize("path", ["/tmp", "/nowhere/prompts.csv"])
    def test_no_file(self, path):
        assert run("generate_assets", manifest=path)[0] == 2

    def test_invalid_rows_can_be_left_out(self, manifest):
        path = manifest("prompt,width\na cat,64\na dog,-5\n")
        code, out, _ = run("generate_assets", manifest=path, skip_invalid=True, size=(64, 64))
        assert (code, MediaAsset.objects.count()) == (0, 1)
        assert "1 of 2 rows are skipped" in out

    def test_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a cat\na dog\n")))
        code, _, _ = run("generate_assets", manifest="-", format="txt", size=(64, 64))
        assert (code, MediaAsset.objects.count()) == (0, 2)

    def test_a_template(self, manifest):
        path = manifest("colour,animal\nred,fox\n")
        run("generate_assets", manifest=path, template="A {colour} {animal} on a beach", size=(64, 64))
        assert MediaAsset.objects.get().prompt == "A red fox on a beach"

    def test_stopping_at_a_limit_and_going_on_by_name(self, manifest):
        path = manifest("prompt\na\nb\nc\n")
        code, _, error = run("generate_assets", manifest=path, limit=1, size=(64, 64), name="pets")
        assert (code, "2 of 3 not made" in error) == (3, True)
        assert run("generate_assets", resume="pets")[0] == 0
        assert MediaAsset.objects.filter(generation_state="ready").count() == 3

    def test_a_changed_file_under_the_same_batch(self, manifest):
        run("generate_assets", manifest=manifest("prompt\na cat\n"), size=(64, 64), name="pets")
        code, _, error = run("generate_assets", manifest=manifest("prompt\na dog\n"), resume="pets")
        assert (code, "has changed" in error) == (2, True)

    def test_a_batch_that_does_not_exist(self):
        assert run("generate_assets", resume="nothing")[0] == 2

    def test_failed_rows_and_retrying_them(self, live, manifest):
        (server,) = live("openai_images")
        server.fault("submit", Fault.moderation(), times=1)
        path = manifest("prompt\na cat\na dog\n")
        code, out, error = run("generate_assets", manifest=path, concurrency=1)
        assert (code, "1 of 2 were not made" in error, "FAILED" in out) == (1, True, True)
        assert run("generate_assets", manifest=path, retry_failed=True)[0] == 0
        assert len(server.purchases) == 2

    def test_a_budget_stops_it(self, live, manifest):
        (server,) = live("sdxl", prices={"core": "0.10"})
        path = manifest("prompt\na\nb\nc\n")
        code, _, error = run("generate_assets", manifest=path, max_cost="0.25")
        assert (code, len(server.purchases)) == (3, 2)
        assert "max-cost" in error
        assert run("generate_assets", manifest=path, max_cost="1")[0] == 0

    def test_events_for_machines_and_a_result_that_is_a_manifest_again(self, manifest, tmp_path):
        path, result = manifest("prompt,key\na cat,one\n=dog,two\n"), str(tmp_path / "result.csv")
        code, out, _ = run("generate_assets", manifest=path, size=(64, 64), json=True, result=result)
        kinds = [event["event"] for event in events(out)]
        assert (code, kinds) == (0, ["estimate", "batch", "asset", "asset", "summary", "results"])
        code, _, _ = run("generate_assets", manifest=result, size=(64, 64))
        assert (code, MediaAsset.objects.filter(prompt="=dog").count()) == (0, 2)

    def test_leaving_it_to_workers(self, manifest):
        code, out, _ = run("generate_assets", manifest=manifest("prompt\na cat\n"), size=(64, 64), enqueue=True)
        assert (code, "generate_worker" in out) == (0, True)
        assert MediaAsset.objects.get().generation_state == "pending"
        code, out, _ = run("generate_worker", until_done=True)
        assert (code, MediaAsset.objects.get().generation_state) == (0, "ready")


class TestBatchesCommand:
    def test_none(self):
        assert "no batches" in run("mediagen_batches")[1]

    def test_listing_and_steering(self, manifest):
        run("generate_assets", manifest=manifest("prompt\na\nb\n"), size=(64, 64), name="pets", enqueue=True)
        assert "0/2 made" in run("mediagen_batches")[1]
        assert run("mediagen_batches", "pause", "pets")[0] == 0
        assert "paused by hand" in run("mediagen_batches", "list")[1]
        assert events(run("mediagen_batches", "--json")[1])[0]["state"] == "paused"
        assert run("mediagen_batches", "resume", "pets")[0] == 0
        assert "2 rows were cancelled" in run("mediagen_batches", "cancel", "pets")[1]
        assert run("mediagen_batches", "retry", "pets")[0] == 0
        assert GenerationBatch.objects.get().state == "running"

    @pytest.mark.parametrize("arguments", [["pause"], ["pause", "nothing"], ["list", "nothing"]])
    def test_bad_usage(self, arguments):
        assert run("mediagen_batches", *arguments)[0] == 2


def test_maintenance_says_what_it_did():
    assert "Nothing was to be done." in run("mediagen_maintain")[1]
    assert set(json.loads(run("mediagen_maintain", "--json")[1])) >= {"requeued", "files_removed"}
    assert run("mediagen_maintain", "--every", "0")[0] == 2


class TestCheckProviders:
    def test_dry(self):
        code, out, _ = run("check_providers")
        makers = sum(hasattr(adapter_class(name), "generate_image") for name in conf.BUILT_IN_PROVIDERS) - 1
        assert (code, out.count("dry run: nothing was asked"), out.count("no credential is set")) == (0, makers, 2)
        assert "set SDXL_API_KEY" in out

    def test_live_without_any_key(self):
        code, out, error = run("check_providers", "--live")
        with_keys = sum(bool(adapter_class(name).credential_env) for name in conf.BUILT_IN_PROVIDERS)
        assert (code, out.count("not configured")) == (1, with_keys)
        assert "credential" in error

    def test_one_that_is_well_is_enough(self, live):
        live("flux")
        assert run("check_providers", "flux", "--live")[0] == 0

    @pytest.mark.parametrize(
        ("opened_by", "is_open", "code"),
        [
            ({"outcome": "unavailable"}, False, 0),
            ({"outcome": "unavailable", "http_status": 503}, True, 0),
            ({"outcome": "unknown"}, True, 0),
            ({"outcome": "rate_limited", "http_status": 429}, True, 1),
            ({"outcome": "misconfigured", "http_status": 401, "open_until": None}, True, 1),
            ({"outcome": "bad_response", "http_status": 200}, True, 1),
        ],
        ids=lambda value: str(value) if isinstance(value, dict) else "",
    )
    def test_a_check_closes_only_what_it_proves(self, live, opened_by, is_open, code):
        live("openai_images")
        provider = get_media_generator_chain().providers[0]
        values = {
            "open_until": to_db(utcnow() + timedelta(hours=1)),
            "config_digest": provider.config_digest,
            "reason": "it said no",
            "last_failure_at": to_db(utcnow()),
            **opened_by,
        }
        ProviderHealth.objects.create(
            provider_name="openai_images",
            model_name=provider.model,
            operation="generate_image",
            state="open",
            failures=5,
            **values,
        )
        ended, out, error = run("check_providers", "openai_images")
        assert (ended, ProviderHealth.objects.filter(state="open").exists()) == (code, is_open)
        assert ("breaker of generate_image" in out, "it said no" in out) == (is_open, is_open)
        if is_open:
            assert ("the next picture is tried there" in out) is (code == 0)
        assert ("breaker open" in error) is (code == 1)
        assert run("check_providers", "openai_images", "--close")[0] == 0
        assert not ProviderHealth.objects.exclude(state="closed").exists()

    def test_a_dry_site_is_told_what_was_asked_and_what_not(self, live):
        assert "--live asks the services" in run("check_providers")[1]
        live("flux", dry_run=None)
        assert "This site runs dry" in run("check_providers", "flux", "--live")[1]

    def test_one_that_refuses_the_key(self, live):
        (server,) = live("flux")
        server.fault("health", Fault.http(403), times=None)
        code, out, error = run("check_providers", "flux")
        assert (code, error) == (1, "not healthy: flux")
        assert server.key not in out + error

    def test_bad_usage(self):
        assert run("check_providers", "nobody")[0] == 2

    def test_what_to_set_is_said_once(self):
        _, out, _ = run("check_providers", "figma_api")
        assert out.count("set FIGMA_API_TOKEN in the environment") == 1
        assert "nobody was asked: figma_api. --live asks" in out


def test_maintenance_on_a_full_disk_says_so(monkeypatch):
    def full():
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(sweep, "STEPS", (("closing attempts", full), *sweep.STEPS))
    code, _, said = run("mediagen_maintain")
    assert (code, "Not done: closing attempts: OperationalError." in said) == (3, True)
    assert said.startswith("The disk of the database is full")


@pytest.mark.parametrize("name", sorted(name for name, app in get_commands().items() if app == "mediagen"))
def test_every_command_forgives_its_output_and_tells_of_the_database(name):
    assert isinstance(load_command_class("mediagen", name), MediagenCommand)


def test_a_database_that_is_not_migrated_is_told_in_a_line(tmp_path):
    script = """
import django
from django.core.management import CommandError, call_command
django.setup()
for name in (
    "mediagen_settle",
    "mediagen_make_renditions",
    "mediagen_rebuild_references",
    "mediagen_maintain",
    "generate_worker",
):
    try:
        call_command(name)
    except CommandError as exc:
        print(name, exc.returncode, exc)
"""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": f"sqlite:///{tmp_path}/unused",
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=60)
    lines = done.stdout.splitlines()
    assert (len(lines), done.stderr) == (5, "")
    assert all(line.split(" ", 1)[1] == f"3 {NOT_MIGRATED}" for line in lines)


def test_a_database_that_cannot_be_used_is_told_in_a_line(monkeypatch):
    def away(*args, **options):
        raise OperationalError("no such table: mediagen_generationbatch")

    monkeypatch.setattr(GenerationBatch.objects, "with_counts", away)
    assert run("mediagen_batches")[0::2] == (
        3,
        "The database cannot be used: no such table: mediagen_generationbatch. When it can, the same command goes on.",
    )
