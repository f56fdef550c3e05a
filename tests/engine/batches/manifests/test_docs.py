"""The page about manifests names everything there is, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mediagen.engine.batches.manifests import FORMATS, MAX_COUNT, RESULT_COLUMNS
from mediagen.engine.batches.manifests.columns import KEYS
from mediagen.models import MediaLibrary

PAGE = Path(__file__).parents[4] / "docs" / "manifests.md"


def test_the_page_names_every_column_and_limit():
    page = PAGE.read_text()
    in_tables = set(re.findall(r"`([a-z_]+)`", page))
    assert {*KEYS, *RESULT_COLUMNS} <= in_tables
    assert f"1 to {MAX_COUNT}" in page
    assert {"csv", "tsv", "jsonl", "ndjson", "txt"} <= set(FORMATS)


@pytest.mark.django_db
def test_the_example_runs(tmp_path, monkeypatch):
    page = PAGE.read_text()
    manifest = page.split("```csv\n")[1].split("```")[0]
    (tmp_path / "prompts.csv").write_text(manifest)
    monkeypatch.chdir(tmp_path)
    MediaLibrary.objects.create(name="Spring campaign")
    code = page.split("```python compile\n")[1].split("```")[0]
    code += "                orders.append((row.row_key, order))\n"
    orders: list = []
    exec(code, {"orders": orders})
    assert [key for key, _ in orders] == ["fox-hero#1", "fox-hero#2", "owl-card"]
    assert orders[1][1].request.seed == 8
    assert orders[1][1].tags == ("spring", "animal", "red")
    assert orders[0][1].request.width == 1536
    assert orders[2][1].library_id is not None
