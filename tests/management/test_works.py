"""Work on pictures from the command line, and by manifests."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from mediagen.engine import get_media_engine
from mediagen.models import GenerationAttempt, MediaAsset
from tests.api.callers import Caller
from tests.engine.generation.test_asset_works import uploaded
from tests.factories import UserFactory
from tests.management.test_commands import run
from tests.servers import Fault

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(media_root):
    return uploaded(name="Disc")


@pytest.mark.parametrize(
    ("arguments", "operation", "size"),
    [
        (["a hat"], "edit_image", (96, 64)),
        (["--operation", "upscale", "--factor", "3"], "upscale_image", (288, 192)),
        (["--operation", "outpaint", "--extend", "left=8", "--extend", "down=4"], "outpaint_image", (104, 68)),
        (["--operation", "remove_background"], "remove_background", (96, 64)),
    ],
)
def test_a_command(source, arguments, operation, size):
    code, _, _ = run("generate_assets", *arguments, "--source", str(source.pk), "--tag", "cut")

    made = MediaAsset.objects.get(parent=source)
    assert (code, made.width, made.height, made.library_id) == (0, *size, source.library_id)
    assert set(GenerationAttempt.objects.values_list("operation", flat=True)) == {operation}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--operation", "vary"], "goes with --source"),
        (["--source", "0195b5f0-0000-7000-8000-000000000000"], "There is no asset"),
        (["--source", "SOURCE"], "prompt is empty"),
        (["--source", "SOURCE", "--operation", "vary", "--factor", "2"], "factor goes with upscale_image"),
        (["--from", "x.csv", "--source", "SOURCE"], "A file says it"),
    ],
)
def test_a_command_that_cannot_be(source, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, error = run("generate_assets", *(str(source.pk) if one == "SOURCE" else one for one in arguments))

    assert (code, said in error) == (2, True), error
    assert MediaAsset.objects.count() == 1


def test_what_a_command_has_bought_is_fetched_and_not_bought_again(source, live):
    (flux,) = live("flux")
    flux.fault("poll", Fault.job_never_ends(), times=None)
    with patch("mediagen.providers.FluxAdapter.poll_timeout_s", 0.1):
        code, _, _ = run("generate_assets", "a hat", "--source", str(source.pk), "--provider", "flux", "--live")
    assert (code, len(flux.purchases)) == (1, 1)
    flux.clear_faults()
    made = get_media_engine().regenerate_asset_sync(MediaAsset.objects.get(parent=source).pk)

    assert (made.is_ready, len(flux.purchases)) == (True, 1)


def manifest(tmp_path, source, *more):
    rows = [
        "operation,source,prompt,factor,left,size",
        f"edit,{source.pk},a hat,,,",
        f",{source.pk},a scarf,,,48x32",
        f"upscale,{source.pk},,2,,",
        f"outpaint,{source.pk},more,,16,",
        ",,a lighthouse,,,64x64",
        *more,
    ]
    path = tmp_path / "works.csv"
    path.write_text("\n".join(rows))
    return path


def test_a_manifest_of_different_operations(source, tmp_path):
    code, _, error = run("generate_assets", "--from", str(manifest(tmp_path, source)), "--size", "32x32")

    assert code == 0, error
    made = MediaAsset.objects.exclude(pk=source.pk).order_by("pk")
    assert [(one.width, one.height) for one in made] == [(96, 64), (48, 32), (192, 128), (112, 64), (64, 64)]
    assert [one.parent_id for one in made] == [source.pk] * 4 + [None]
    assert {one.library_id for one in made[:4]} == {source.library_id}
    assert [one.origin for one in made] == ["edited"] * 4 + ["generated"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("paint,SOURCE,x,,,", "operation"),
        ("edit,SOURCE,,,,", "prompt"),
        ("upscale,,,2,,", "needs a source"),
        ("upscale,0195b5f0-0000-7000-8000-000000000000,,2,,", "there is no asset"),
        ("upscale,SOURCE,,0.5,,", "over 1"),
        ("vary,SOURCE,,2,,", "factor goes with upscale_image"),
        ("outpaint,SOURCE,,,,", "needs a margin"),
    ],
)
def test_rows_that_cannot_be(source, tmp_path, row, said):
    path = manifest(tmp_path, source, row.replace("SOURCE", str(source.pk)))
    code, _, error = run("generate_assets", "--from", str(path))

    assert code == 2
    assert "line 7" in error
    assert said in error
    assert MediaAsset.objects.count() == 1


def test_a_manifest_that_is_sent_finds_only_what_its_sender_may_see(source, tmp_path):
    source.library.owner = UserFactory()
    source.library.save()
    content = manifest(tmp_path, source).read_bytes()
    file = SimpleUploadedFile("works.csv", content, "text/csv")
    answer = Caller().post("/api/v1/batches/check/", {"manifest": file}).json()

    assert (answer["rows"], answer["valid_rows"]) == (5, 1), answer
