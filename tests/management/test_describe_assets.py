"""manage.py describe_assets: counted and priced before, what is there left alone, and a most that holds."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from mediagen.engine.files import uploads
from mediagen.engine.library import alt_texts
from mediagen.engine.work import describing
from mediagen.models import AssetDescription, MediaAsset
from tests import pictures
from tests.engine.generation.test_descriptions import killed_while_asking, seeing, uploaded
from tests.servers import Fault

__all__ = ["seeing"]

pytestmark = pytest.mark.django_db


def run(*args, code=0):
    out = StringIO()
    if not code:
        call_command("describe_assets", *args, stdout=out)
        return out.getvalue()
    with pytest.raises(CommandError) as caught:
        call_command("describe_assets", *args, stdout=out)
    assert caught.value.returncode == code
    return f"{out.getvalue()}{caught.value}"


def test_what_lacks_an_alt_text_is_described_and_nothing_else(seeing):
    (openai,) = seeing("openai_images")
    bare = uploaded()
    has_one, has_suggestion = (uploads_into(bare.library) for _ in range(2))
    MediaAsset.objects.filter(pk=has_one.pk).update(alt_text="By hand.")
    alt_texts.suggest(has_suggestion.pk, "Waits.", rehearsed=False)

    assert "may cost money" in run("--library", bare.library.name, code=2)
    assert openai.purchases == []
    said = run("--library", bare.library.name, "--language", "de", "--yes")
    assert "1 pictures, $0.07" in said
    assert "1 described, 0 not" in said
    bare.refresh_from_db()
    assert (bare.alt_text, bare.alt_text_suggestion, len(openai.purchases)) == ("", "A lighthouse at dawn.", 1)
    assert "0 described" in run("--library", bare.library.name, "--yes")


def test_the_most_that_it_may_cost_holds(seeing):
    (openai,) = seeing("openai_images")
    library = uploaded().library
    for _ in range(5):
        uploads_into(library)
    lines = run("--library", library.name, "--yes", "--json", "--max-cost", "0.0681", code=3).splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert (told[-1]["described"], told[-1]["left"], len(openai.purchases)) == (1, 5, 1)

    seeing("openai_images", describe_input_price=None)
    assert "not known" in run("--library", library.name, "--yes", "--max-cost", "9", code=2)


def test_what_a_killed_run_may_have_paid_for_is_not_asked_for_again_by_the_next(seeing):
    (openai,) = seeing("openai_images")
    asset = uploaded()
    openai.fault("submit", Fault.hang())
    killed_while_asking(openai, asset)
    openai.release()
    run("--library", asset.library.name, "--yes")
    assert (len(openai.purchases), AssetDescription.objects.get().failure_code) == (1, "unknown")
    run("--library", asset.library.name, "--yes", "--again")
    assert len(openai.purchases) == 2


def test_a_dry_run_asks_nobody_and_needs_no_yes():
    asset = uploaded()
    assert "Dry run" in run(asset.asset_id, "--dry-run")
    assert "no asset" in run("01a204c9-8da1-7f3b-a702-9254e98a762d", code=2)


def uploads_into(library):
    return uploads.upload(pictures.png(64, 48), library=library, by=None)


def test_two_runs_of_a_library_ask_once_for_each(seeing, monkeypatch):
    (openai,) = seeing("openai_images")
    library = uploaded().library
    for _ in range(5):
        uploads_into(library)
    asked = describing.described

    def beside(rows):
        monkeypatch.setattr(describing, "described", asked)
        for row in rows:  # as while they are under way
            AssetDescription.objects.take(row.pk, worker="another", lease_s=60)
        run("--library", library.name, "--yes")
        AssetDescription.objects.filter(pk__in=[row.pk for row in rows]).update(state="pending")
        return asked(rows)

    monkeypatch.setattr(describing, "described", beside)
    run("--library", library.name, "--yes")
    assert (len(openai.purchases), AssetDescription.objects.count()) == (6, 6)
