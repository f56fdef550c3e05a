"""Nothing invalid gets through: every rule of an order, the site's knowledge, and keys that are unique."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.engine.batches.manifests import (
    Checker,
    InvalidRow,
    ManifestError,
    ManifestRow,
    Problem,
    checked_rows,
    open_manifest,
    options_by_provider,
    validate,
)
from mediagen.engine.batches.manifests.keys import KeyLedger
from mediagen.errors import InvalidRequest
from mediagen.models import ProviderConfig
from mediagen.providers import Option

PROVIDERS = {
    "sdxl": {"steps": Option(kind="int", minimum=10, maximum=50), "style": Option(kind="choice", choices=("a", "b"))},
    "flux": {"steps": Option(kind="int", minimum=1, maximum=20), "raw": Option(kind="bool")},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all examples of a test that makes many."""
    return tmp_path_factory.mktemp("manifests")


@pytest.fixture
def opened(tmp_path):
    def _opened(rows, **options):
        path = tmp_path / ("p.csv" if isinstance(rows, str) else "p.jsonl")
        path.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
        return open_manifest(path, **options)

    return _opened


def said(report) -> list[tuple[int, str]]:
    return [(problem.line, problem.column) for problem in report.problems]


def test_a_good_manifest(opened):
    report = validate(opened("key,prompt,count\na,fox,3\nb,bear,\n"), known_options=set(), providers=PROVIDERS)
    assert report.ok
    assert (report.rows, report.valid_rows, report.invalid_rows, report.items) == (2, 2, 0, 4)
    assert report.columns == ("key", "prompt", "count")
    assert not report.is_fatal


def test_good_rows_are_counted_beside_bad_ones(opened):
    report = validate(opened("prompt,width,count\nfox,64,5\nbear,-5,2\n,x,\nwolf,,\n"))
    assert said(report) == [(3, "width"), (4, "width"), (4, "prompt")]
    assert (report.rows, report.valid_rows, report.invalid_rows, report.items) == (4, 2, 2, 6)
    assert (report.problem_count, report.is_fatal, report.ok) == (3, False, False)
    assert str(report.error("p.csv")).startswith("p.csv: 3 problems:\n  line 3, column width: must be")


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ({"prompt": "a\0b"}, "prompt", "NUL"),
        ({"prompt": "half \ud800"}, "prompt", "half a character"),
        ({"negative_prompt": "\0"}, "negative_prompt", "NUL"),
        ({"name": "x" * 256}, "name", "256 characters; at most 255 fit"),
        ({"name": "\ud800"}, "name", "half a character"),
        ({"alt_text": "\0"}, "alt_text", "NUL"),
        ({"description": "\0"}, "description", "NUL"),
        ({"tags": ["x" * 101]}, "tags", "A tag needs 1 to 100 characters"),
        ({"tags": ["red", " "]}, "tags", "A tag needs 1 to 100 characters"),
        ({"tags": "a\0b"}, "tags", "NUL"),
        ({"tags": ",".join(map(str, range(101)))}, "tags", "101 tags; at most 100 fit"),
        ({"library": "a\0b"}, "library", "NUL"),
        ({"provider": "a\0b"}, "provider", "no name of a provider"),
        ({"seed": 2**63 - 2, "count": 3}, "seed", "with 3 pictures the last seed would be over"),
        ({"steps": "a\0b"}, "steps", "NUL"),
        ({"steps": [{"a": ["\ud800"]}]}, "steps", "half a character"),
        ({"steps": {"\0": 1}}, "steps", "NUL"),
    ],
)
def test_what_an_order_or_the_database_would_refuse_is_told_before(opened, row, column, says):
    good = {"prompt": "a fox"}
    report = validate(opened([good, good | row, good]))
    assert said(report) == [(2, column)]
    assert says in report.problems[0].message
    assert report.valid_rows == 2


def test_numbers_and_nesting_that_no_json_column_can_hold(opened, tmp_path):
    path = tmp_path / "p.jsonl"
    deep = "[" * 30 + "]" * 30
    path.write_text(f'{{"prompt": "a", "steps": 1e999}}\n{{"prompt": "a", "steps": {deep}}}\n')
    report = validate(open_manifest(path))
    assert said(report) == [(1, "steps"), (2, "steps")]
    assert "too large" in report.problems[0].message
    assert "more than 20 levels" in report.problems[1].message


def test_libraries_that_do_not_exist_and_each_is_asked_for_once(opened):
    asked: list[str] = []

    def exists(word: str) -> bool:
        asked.append(word)
        return word == "Spring"

    report = validate(opened("prompt,library\na,Spring\nb,Sprung\nc,\nd,Spring\ne,Sprung\n"), library_exists=exists)
    assert said(report) == [(3, "library"), (6, "library")]
    assert report.problems[0].message.startswith("there is no media library 'Sprung'. Create it")
    assert sorted(asked) == ["Spring", "Sprung"]


def test_an_unknown_column_is_told_once_and_lists_the_known_ones(opened):
    report = validate(opened("prompt,widht,steps\na,1,1\nb,2,2\n"), known_options={"steps"})
    assert said(report) == [(1, "widht")]
    assert "Did you mean width? Known are: prompt, " in report.problems[0].message
    assert report.problems[0].message.endswith(", steps.")
    assert report.is_fatal


def test_an_unknown_key_of_json_is_told_in_its_line(opened):
    report = validate(opened([{"prompt": "a"}, {"prompt": "b", "widht": 1}]), known_options={"steps"})
    assert said(report) == [(2, "widht")]
    assert not report.is_fatal
    assert report.columns == ("prompt", "widht")


def test_without_knowledge_of_options_any_name_goes(opened):
    assert validate(opened("prompt,anything\na,1\n")).ok


def test_a_marked_option_must_be_known_too(opened):
    assert validate(opened("prompt,option.steps\na,20\n"), providers=PROVIDERS).ok
    assert said(validate(opened("prompt,option.stepz\na,20\n"), providers=PROVIDERS)) == [(1, "option.stepz")]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"steps": "15"}, None),
        ({"steps": "5"}, "from 10 to 50, not '5' (sdxl)."),
        ({"steps": "45"}, None),
        ({"steps": "60"}, "must be a whole number from 10 to 50, not '60' (sdxl)."),
        ({"steps": "45", "provider": "flux"}, "must be a whole number from 1 to 20, not '45' (flux)."),
        ({"steps": "5", "provider": "sdxl"}, "from 10 to 50"),
        ({"steps": "5", "provider": "sdxl,flux"}, "from 10 to 50"),
        ({"steps": "5", "provider": "flux,sdxl"}, None),
        ({"raw": "perhaps"}, "must be true or false, not 'perhaps' (flux)."),
        ({"style": "c"}, "must be one of a, b; not 'c' (sdxl)."),
        ({"style": "a", "provider": "flux"}, "flux has no such option. Leave the cell empty"),
        ({"colour": "a"}, "no such column"),
        ({"colour": "a", "provider": "flux"}, "no such column"),
    ],
)
def test_option_values_are_checked_against_the_providers_of_the_row(opened, row, says):
    report = validate(opened([{"prompt": "a"} | row]), providers=PROVIDERS)
    assert report.ok == (says is None)
    assert says is None or says in report.problems[0].message


def test_a_provider_that_does_not_declare_may_know_any_option(opened):
    providers = PROVIDERS | {"foreign": None}
    assert validate(opened("prompt,colour\na,red\n"), providers=providers).ok
    assert validate(opened("prompt,colour,provider\na,red,foreign\n"), providers=providers).ok
    report = validate(opened("prompt,steps,provider\na,99,foreign\nb,99,flux\n"), providers=providers)
    assert said(report) == [(3, "steps")]


def test_default_providers_are_those_of_rows_without_one(opened):
    manifest = opened("prompt,steps,provider\na,45,\nb,45,sdxl\n")
    report = validate(manifest, providers=PROVIDERS, defaults={"providers": ["flux"]})
    assert said(report) == [(2, "steps")]


def test_providers_that_do_not_exist(opened):
    report = validate(opened("prompt,provider\na,fluks\nb,flux\n"), providers=PROVIDERS)
    assert said(report) == [(2, "provider")]
    assert report.problems[0].message == "there is no provider 'fluks'. There are: sdxl, flux."


@pytest.mark.parametrize(
    ("defaults", "field"),
    [
        ({"width": -1}, "width"),
        ({"seed": -1}, "seed"),
        ({"tags": ["x" * 101]}, "tags"),
        ({"count": 0}, "count"),
        ({"count": "3"}, "count"),
        ({"provider": "fluks"}, "providers"),
        ({"library": "Sprung"}, "library"),
        ({"stepz": 1}, "options"),
        ({"steps": 60}, "options"),
        ({"steps": 45, "provider": "flux"}, "options"),
    ],
)
def test_wrong_defaults_are_the_callers_fault_and_no_rows(opened, defaults, field):
    with pytest.raises(InvalidRequest) as caught:
        validate(opened("prompt\na\n"), defaults=defaults, providers=PROVIDERS, library_exists=lambda word: False)
    assert caught.value.field == field


def test_right_defaults(opened):
    defaults = {"width": 64, "seed": 1, "tags": ["a"], "count": 2, "library": "Spring", "steps": 15, "dry_run": True}
    report = validate(opened("prompt\na\n"), defaults=defaults, providers=PROVIDERS, library_exists=lambda word: True)
    assert report.ok
    assert report.items == 2


@pytest.mark.parametrize("rows", ["prompt,width\n", "prompt\n\n\n", "prompt,width\n,\n,\n"])
def test_a_manifest_without_rows(opened, rows):
    report = validate(opened(rows))
    assert str(report.problems[0]) == "There is no row in the file. Write a prompt per row into it."
    assert report.is_fatal


def test_fatal_faults_are_fatal_to_the_report(opened):
    report = validate(opened('prompt\nfox\n"bear\n'))
    assert said(report) == [(3, "")]
    assert report.is_fatal


def test_of_many_problems_the_first_thousand_are_kept_and_all_are_counted(opened):
    report = validate(opened("prompt,width\n" + "a,-1\n" * 2500))
    assert len(report.problems) == 1000
    assert report.problem_count == 2500
    assert report.problems[-1].line == 1001
    assert "and 2,480 more problems" in str(report.error())


def test_json_lines_with_ever_new_keys_do_not_fill_the_memory(opened):
    report = validate(opened([{"prompt": "a", f"k{n}": 1} for n in range(1500)]))
    assert len(report.columns) == 1000
    assert not report.columns_are_complete
    assert report.ok


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("rows", "line", "says"),
    [
        ([("a", 1), ("b", 1), ("a", 1)], 3, "'a' is the key of line 1 already"),
        ([("a", 1), ("a", 3)], 2, "'a' is the key of line 1 already"),
        ([(None, 1), ("1", 1)], 2, "'1' is the key of line 1 already: that row has none"),
        ([("2", 1), (None, 1)], 2, "the row has no key, so its line number is its key, but line 1 has taken that"),
        ([("a", 2), ("a#1", 1)], 2, "'a#1' is how the pictures of line 1 are called"),
        ([("a#1", 1), ("a", 2)], 2, "line 1 has one like these"),
        ([("a#2", 1), ("a", 2)], 2, "line 1 has one like these"),
        ([("a", 2), ("b#1", 1), ("a#2", 1)], 3, "'a#2' is how the pictures of line 1 are called"),
        ([(None, 2), ("1#2", 1)], 2, "'1#2' is how the pictures of line 1 are called"),
        ([("2#2", 1), (None, 2)], 2, "line 1 has taken that"),
    ],
)
def test_keys_that_would_meet(rows, line, says):
    with KeyLedger() as ledger:
        found = [ledger.add(number, key, copies) for number, (key, copies) in enumerate(rows, start=1)]
    assert [number for number, wrong in enumerate(found, start=1) if wrong] == [line]
    assert says in found[line - 1]


@pytest.mark.parametrize(
    "rows",
    [
        [("a", 1), ("A", 1), ("ä", 1), ("a\u0308", 1), (None, 1)],
        [("a#1", 1), ("a#2", 1), ("a", 1)],
        [("a", 3), ("a1", 1), ("a#", 1), ("a#0", 1), ("a#x", 1), ("#1", 1)],
        [(None, 1), (None, 3), ("9", 1), ("02", 1), ("9#1", 1), (None, 1)],
        [("a#1", 3), ("a#2", 3)],
    ],
)
def test_keys_that_do_not_meet(rows):
    with KeyLedger() as ledger:
        assert not any(ledger.add(line, key, copies) for line, (key, copies) in enumerate(rows, start=1))


KEYS = st.sampled_from(["a", "b", "1", "2", "3", "a#1", "a#2", "2#1", "a#1#1", None, None])


@given(st.lists(st.tuples(KEYS, st.integers(1, 3)), max_size=6))
def test_rows_that_pass_have_keys_all_different(rows):
    lines = [{"prompt": "x", "count": count} | ({} if key is None else {"key": key}) for key, count in rows]
    found = []
    with KeyLedger() as ledger:
        for line, row in enumerate(lines, start=1):
            if ledger.add(line, row.get("key"), row["count"]) is None:
                base = row.get("key", str(line))
                found += [base] if row["count"] == 1 else [f"{base}#{n}" for n in range(1, row["count"] + 1)]
    assert len(found) == len(set(found))


def test_duplicate_keys_are_counted_and_the_first_row_stays(opened):
    manifest = opened("key,prompt\na,fox\nb,bear\na,wolf\na,owl\n")
    report = validate(manifest)
    assert said(report) == [(4, "key"), (5, "key")]
    assert report.duplicate_keys == 2
    assert report.items == 2


def test_among_many_keys_the_two_that_are_the_same_are_found(opened):
    keys = [f"key-{number}" for number in range(20_000)]
    random.Random(5).shuffle(keys)
    keys[15_000] = keys[17]
    report = validate(opened("key,prompt\n" + "".join(f"{key},x\n" for key in keys)))
    assert said(report) == [(15_002, "key")]
    assert f"'{keys[17]}' is the key of line 19 already" in report.problems[0].message


def test_a_disk_without_room_for_the_keys_is_said():
    ledger = KeyLedger()
    ledger.close()
    with pytest.raises(ManifestError, match="TMPDIR names another"):
        ledger.add(1, "a", 1)


# ---------------------------------------------------------------- the same verdict again


ROWS = 'key,prompt,width,count\na,fox,64,2\nb,bear,-1,\na,owl,,\n,"wolf\npack",,\nc,lynx,64,\n'  # lines 2, 3, 4, 5, 7


def test_checked_rows_are_those_that_were_validated(opened):
    manifest = opened(ROWS)
    report = validate(manifest, defaults={"height": 32})
    with Checker(defaults={"height": 32}) as checker:
        rows = list(checked_rows(manifest, checker))
    good = [row for row in rows if isinstance(row, ManifestRow)]
    bad = [row for row in rows if isinstance(row, InvalidRow)]
    assert [row.row_key for row in good] == ["a#1", "a#2", "5", "c"]
    assert all(row.arguments["height"] == 32 for row in good)
    assert len(good) == report.items
    assert [(row.line, row.row_key, row.values["prompt"]) for row in bad] == [(3, "b", "bear"), (4, "a", "owl")]
    assert [problem for row in bad for problem in row.problems] == report.problems


def test_no_row_comes_after_a_fatal_problem_or_under_a_fatal_header(opened):
    with Checker() as checker:
        rows = list(checked_rows(opened('prompt\nfox\n"a"b\nbear\n'), checker))
    assert [(type(row), row.line) for row in rows] == [(ManifestRow, 2), (InvalidRow, 3)]
    with Checker(known_options=set()) as checker:
        rows = list(checked_rows(opened("prompt,widht\nfox,\n"), checker))
    assert rows == []


def test_rows_and_validation_can_go_on_in_another_thread(opened):
    from concurrent.futures import ThreadPoolExecutor

    with Checker() as checker:
        rows = checked_rows(opened(ROWS), checker)
        read = []
        for _ in range(4):
            with ThreadPoolExecutor(1) as pool:
                read.append(pool.submit(next, rows).result())
        assert [row.row_key for row in read] == ["a#1", "a#2", "b", "a"]


@pytest.mark.django_db
def test_the_sites_providers_with_what_they_declare(opened):
    ProviderConfig.objects.filter(name="flux").update(enabled=False)
    found = options_by_provider()
    assert "flux" not in found
    assert "steps" in found["sdxl"]
    assert list(found) == list(
        ProviderConfig.objects.in_chain_order().filter(enabled=True).values_list("name", flat=True)
    )
    rows = "prompt,quality,provider\na,high,openai_images\nb,best,openai_images\nc,high,sdxl\nd,high,flux\n"
    report = validate(opened(rows), providers=found)
    assert said(report) == [(3, "quality"), (4, "quality"), (5, "provider")]


FIELD = st.one_of(st.none(), st.integers(-5, 2000), st.text(max_size=5), st.booleans(), st.lists(st.text(max_size=3)))


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                ["prompt", "width", "seed", "size", "tags", "name", "key", "count", "provider", "x", "dry_run"]
            ),
            FIELD,
            max_size=6,
        ),
        max_size=5,
    )
)
def test_whatever_stands_in_a_file_a_row_that_passes_can_be_ordered(folder, rows):
    path = folder / "p.jsonl"
    path.write_text("{}\n" + "".join(json.dumps(row) + "\n" for row in rows))
    manifest = open_manifest(path)
    report = validate(manifest)
    with Checker() as checker:
        passed = [row for row in checked_rows(manifest, checker) if isinstance(row, ManifestRow)]
    assert len(passed) == report.items
    assert len({row.row_key for row in passed}) == len(passed)
    for row in passed:
        assert row.order().request.prompt.strip()
    assert all(isinstance(problem, Problem) and problem.line for problem in report.problems)
