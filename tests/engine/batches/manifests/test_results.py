"""Result manifests: what they hold, that a spreadsheet runs nothing of them, and that they are manifests again."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.engine.batches.manifests import (
    RESULT_COLUMNS,
    Checker,
    ManifestError,
    ManifestRow,
    ResultWriter,
    checked_rows,
    open_manifest,
    validate,
)
from mediagen.engine.batches.manifests.cells import protect, unprotect


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all examples of a test that makes many."""
    return tmp_path_factory.mktemp("manifests")


def write_file(path, content):
    path.write_text(content, encoding="utf-8", newline="")
    return path


def text_of(path) -> str:
    """With its line ends as they are."""
    return path.read_bytes().decode()


def records(path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(path), newline="")))


def results_of(source, target, *, template=None, columns=None, **result):
    """Read `source`, write every row with `result` to `target`; the rows that were read."""
    manifest = open_manifest(source, template=template)
    report = validate(manifest)
    with Checker() as checker, ResultWriter(target, columns=columns or report.columns) as writer:
        rows = list(checked_rows(manifest, checker))
        for row in rows:
            writer.write(row, **(result if isinstance(row, ManifestRow) else {}))
    return rows


RESULT = {
    "asset_id": "0192",
    "state": "ready",
    "file": "mediagen/0192.png",
    "provider_name": "flux",
    "model_name": "flux-2",
    "cost": Decimal("0.0400"),
}


def test_every_column_and_what_became_of_the_row(tmp_path):
    source = write_file(tmp_path / "p.csv", "key,prompt,provider\na,a fox,sdxl\n")
    results_of(source, tmp_path / "r.csv", **RESULT)
    (row,) = records(tmp_path / "r.csv")
    assert row == {
        "key": "a",
        "prompt": "a fox",
        "provider": "sdxl",
        "row_key": "a",
        "asset_id": "0192",
        "state": "ready",
        "file": "mediagen/0192.png",
        "provider_name": "flux",
        "model_name": "flux-2",
        "cost": "0.0400",
        "error": "",
    }


def test_json_results_and_an_unknown_cost_is_null(tmp_path):
    source = write_file(tmp_path / "p.jsonl", '{"prompt": "a fox", "tags": ["x", "y"]}\n')
    results_of(source, tmp_path / "r.jsonl", **RESULT | {"cost": None, "error": "no\nluck"})
    (line,) = (tmp_path / "r.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "prompt": "a fox",
        "tags": ["x", "y"],
        "row_key": "1",
        "cost": None,
        "error": "no\nluck",
        **{name: RESULT[name] for name in ("asset_id", "state", "file", "provider_name", "model_name")},
    }


def test_rows_that_were_refused_stand_there_with_the_reason(tmp_path):
    source = write_file(tmp_path / "p.csv", "prompt,width\nfox,-5\nbear,64\n")
    results_of(source, tmp_path / "r.csv", **RESULT)
    first, second = records(tmp_path / "r.csv")
    assert (first["prompt"], first["width"], first["state"], first["asset_id"]) == ("fox", "-5", "invalid", "")
    assert first["error"].startswith("line 2, column width: must be a whole number of pixels")
    assert second["state"] == "ready"


def test_refused_rows_may_hold_anything(tmp_path):
    source = write_file(tmp_path / "p.jsonl", '{"prompt": "half \\ud800"}\n{"prompt": "nul \\u0000"}\nno json\n')
    for name in ("r.csv", "r.jsonl"):
        results_of(source, tmp_path / name)
        report = validate(open_manifest(tmp_path / name))
        assert report.rows == 3
        assert report.problem_count >= 1


def test_copies_are_rows_of_their_own_when_read_again(tmp_path):
    source = write_file(tmp_path / "p.csv", "key,prompt,seed,count\na,fox,7,3\n,bear,,2\nb,owl,1,\n")
    before = results_of(source, tmp_path / "r.csv", **RESULT)
    manifest = open_manifest(tmp_path / "r.csv")
    assert validate(manifest).ok
    after = list(manifest.rows())
    assert [row.row_key for row in after] == [row.row_key for row in before] == ["a#1", "a#2", "a#3", "3#1", "3#2", "b"]
    assert [row.arguments for row in after] == [row.arguments for row in before]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_keys_of_a_mixed_manifest_stay_different_when_lines_move(tmp_path, ending):
    # The copies of the first row take up lines 1 to 3 of the result: without keys there, "3" would be taken.
    source = write_file(tmp_path / "p.jsonl", '{"prompt": "a", "count": 3}\n{"prompt": "b", "key": "3"}\n')
    before = results_of(source, tmp_path / f"r.{ending}")
    manifest = open_manifest(tmp_path / f"r.{ending}")
    assert validate(manifest).ok
    assert [row.row_key for row in manifest.rows()] == [row.row_key for row in before] == ["1#1", "1#2", "1#3", "3"]


def test_results_of_results_do_not_grow(tmp_path):
    source = write_file(tmp_path / "p.csv", "prompt,width\nfox,64\n")
    results_of(source, tmp_path / "r1.csv", **RESULT | {"error": "old"})
    results_of(tmp_path / "r1.csv", tmp_path / "r2.csv", **RESULT)
    header, row = csv.reader(io.StringIO(text_of(tmp_path / "r2.csv"), newline=""))
    assert tuple(header) == ("prompt", "width", *RESULT_COLUMNS)
    assert row[-1] == ""


def test_a_template_goes_with_its_result(tmp_path):
    source = write_file(tmp_path / "p.csv", "state,cost,Animal\nOhio,high,fox\n")
    template = "A {Animal} in {state}, {cost}"
    before = results_of(source, tmp_path / "r.csv", template=template, **RESULT)
    header, row = csv.reader(io.StringIO(text_of(tmp_path / "r.csv"), newline=""))
    assert header[:5] == ["state", "cost", "Animal", "row_key", "asset_id"]
    assert header[5] == "result_state"
    assert (row[0], row[5]) == ("Ohio", "ready")
    (after,) = open_manifest(tmp_path / "r.csv", template=template).rows()
    assert after.arguments == before[0].arguments == {"prompt": "A fox in Ohio, high"}
    source = write_file(tmp_path / "p.jsonl", '{"row_key": "Ohio"}\n')
    results_of(source, tmp_path / "r.jsonl", template="in {row_key}", **RESULT)
    (row,) = open_manifest(tmp_path / "r.jsonl", template="in {row_key}").rows()
    assert row.arguments["prompt"] == "in Ohio"


def test_json_lines_become_csv_and_mean_the_same(tmp_path):
    rows = [
        {"prompt": "=fox", "tags": ["a, b", "c"], "provider": ["flux", "sdxl"], "key": 7},
        {"prompt": "bear", "tags": ["red", "blue"], "steps": 20, "size": "64x64"},
        {"prompt": "owl", "tags": "x;y", "provider": "flux", "name": "[draft], 1"},
    ]
    source = write_file(tmp_path / "p.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    before = results_of(source, tmp_path / "r.csv", **RESULT)
    after = list(open_manifest(tmp_path / "r.csv").rows())
    before[1].arguments["steps"] = "20"
    assert [row.arguments for row in after] == [row.arguments for row in before]
    assert [row.row_key for row in after] == ["7", "2", "3"]


def test_a_column_that_is_not_in_the_header_is_no_silent_loss(tmp_path):
    source = write_file(tmp_path / "p.jsonl", '{"prompt": "a", "width": 5}\n')
    with pytest.raises(ValueError, match="columns of the row in line 1 are not in the header: width"):
        results_of(source, tmp_path / "r.csv", columns=("prompt",))
    assert not (tmp_path / "r.csv").exists()


# ---------------------------------------------------------------- spreadsheets


@pytest.mark.parametrize(
    "prompt", ["=1+1", "+a", "-a fox", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''@x", "\uff1d1", '=HYPERLINK("http://x")']
)
def test_no_cell_begins_like_a_formula_and_the_prompt_survives(tmp_path, prompt):
    source = write_file(tmp_path / "p.jsonl", json.dumps({"prompt": prompt}) + "\n")
    results_of(source, tmp_path / "r.csv", **RESULT | {"error": "=cmd"})
    (row,) = records(tmp_path / "r.csv")
    assert row["prompt"] == "'" + prompt
    assert row["error"] == "'=cmd"
    (again,) = open_manifest(tmp_path / "r.csv").rows()
    assert again.arguments["prompt"] == prompt


@pytest.mark.parametrize("text", ["'twas the night", "-5", "+1.5", "-1e5", "a=b", "", "'", "5-6"])
def test_what_is_no_formula_stays_as_it_is(text):
    assert protect(text) == text


def test_apostrophes_of_a_manifest_that_we_did_not_write_are_the_users(tmp_path):
    source = write_file(tmp_path / "p.csv", "prompt\n'=a fox\n")
    (row,) = open_manifest(source).rows()
    assert row.arguments["prompt"] == "'=a fox"


@given(st.text(st.sampled_from("'=+-@\t\r5.e a\uff1d")) | st.text())
def test_protection_is_undone_exactly(text):
    assert unprotect(protect(text)) == text


# ---------------------------------------------------------------- round trips


PROMPT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
SPECIAL = st.text(st.sampled_from(" ab'\"=,;+-@\t\r\n[{\u00e9\u2028"), min_size=1).filter(str.strip)
TAG = st.text(st.sampled_from("ab,; ["), min_size=1, max_size=6).filter(str.strip)
ROW = st.fixed_dictionaries(
    {"prompt": PROMPT | SPECIAL},
    optional={
        "name": SPECIAL.filter(lambda text: len(text) <= 255),
        "seed": st.integers(0, 2**62),
        "count": st.integers(1, 3),
        "tags": st.lists(TAG, min_size=1, max_size=3),
        "width": st.integers(1, 16384),
        "style": SPECIAL,
    },
)


@given(st.lists(ROW, min_size=1, max_size=4), st.sampled_from(["csv", "jsonl"]))
def test_any_manifest_comes_through_its_result_unchanged(folder, rows, ending):
    source = write_file(folder / "p.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    before = results_of(source, folder / f"r.{ending}", **RESULT)
    manifest = open_manifest(folder / f"r.{ending}")
    assert validate(manifest).ok
    again = list(manifest.rows())
    wanted = [row.arguments for row in before]
    assert [row.arguments for row in again] == wanted
    results_of(folder / f"r.{ending}", folder / f"s.{ending}", **RESULT)
    assert [row.arguments for row in open_manifest(folder / f"s.{ending}").rows()] == wanted


@given(st.lists(st.lists(SPECIAL, min_size=2, max_size=2), min_size=1, max_size=4), st.sampled_from(",;\t"))
def test_any_csv_of_the_csv_module_gives_its_prompts(folder, rows, delimiter):
    path = folder / "p.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerows([["prompt", "description"], *rows])
    read = list(open_manifest(path).rows())
    assert [[row.arguments["prompt"], row.arguments["description"]] for row in read] == rows


# ---------------------------------------------------------------- files


def test_a_stream_is_written_and_left_open(tmp_path):
    source = write_file(tmp_path / "p.txt", "a fox\n")
    out = io.StringIO()
    manifest = open_manifest(source)
    with ResultWriter(out, "csv", columns=manifest.columns) as writer:
        for row in manifest.rows():
            writer.write(row, state="ready")
    assert out.getvalue() == "prompt," + ",".join(RESULT_COLUMNS) + "\na fox,1,,ready,,,,,\n"


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = write_file(tmp_path / "r.csv", "what was there")
    writer = ResultWriter(path, columns=("prompt",))
    assert path.read_text() == "what was there"
    with pytest.raises(RuntimeError), writer:
        raise RuntimeError("the run broke off")
    assert path.read_text() == "what was there"
    with ResultWriter(path, columns=("prompt",)) as writer:
        pass
    writer.close()
    assert path.read_text().startswith("prompt,row_key,")
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.csv"]


def test_where_no_result_can_be_written_is_said(tmp_path):
    write_file(tmp_path / "file", "")
    for target, format, says in (
        (tmp_path, "csv", "is a directory"),
        (tmp_path / "none" / "r.csv", None, "cannot be written: No such file or directory"),
        (tmp_path / "file" / "r.csv", None, "cannot be written: Not a directory"),
        (tmp_path / "r.txt", None, "must end in .csv or .jsonl"),
        (io.StringIO(), None, "or say the format"),
        (tmp_path / "r.csv", "txt", "is csv or jsonl, not 'txt'"),
    ):
        with pytest.raises(ManifestError) as caught:
            ResultWriter(target, format)
        assert says in str(caught.value)


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path, monkeypatch):
    path = write_file(tmp_path / "r.csv", "what was there")
    writer = ResultWriter(path, columns=("prompt",))

    class Full(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError(28, "No space left on device")

    writer._stream.close()
    monkeypatch.setattr(writer, "_stream", Full())
    (row,) = open_manifest(write_file(tmp_path / "p.txt", "a fox\n")).rows()
    with pytest.raises(ManifestError, match=r"cannot be written: No space left on device"), writer:
        writer.write(row)
    assert path.read_text() == "what was there"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["p.txt", "r.csv"]
