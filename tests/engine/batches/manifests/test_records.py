"""Cells, objects and lines: what is read, compared with Python's own readers, and every fault with its line."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.engine.batches.manifests import ManifestError, Problem, open_manifest
from mediagen.engine.batches.manifests.lines import physical_lines
from mediagen.engine.batches.manifests.records import csv_records, delimiter_of, jsonl_records

LIMIT = 1 << 20


def cells_of(text: str, delimiter: str = ",", limit: int = LIMIT):
    return list(csv_records(physical_lines(io.BytesIO(text.encode()), limit), delimiter, limit))


CELL = st.text(st.sampled_from('ab ,;"\n\r\t\u00e9\u2028'), max_size=8)


@given(st.lists(st.lists(CELL, min_size=2, max_size=4), max_size=6), st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_the_csv_module_writes_is_read_as_it_was(rows, end):
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    assert [cells for _, cells, problem in cells_of(out.getvalue())] == rows


@given(st.text(st.sampled_from('ab,"\n\r'), max_size=30))
def test_any_text_is_read_as_the_strict_csv_module_reads_it(text):
    ours = [record for record in cells_of(text) if record[2] is None]
    fatal = any(problem for _, _, problem in cells_of(text))
    try:
        theirs = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        assert fatal
        return
    assert not fatal
    assert [cells for _, cells, _ in ours] == theirs


def test_line_numbers_are_those_of_an_editor_despite_newlines_in_cells():
    text = 'prompt,width\n"one\ntwo\r\nthree",1\n\nfox,2\n"a ""b""\n",3\nbear,4'
    assert [(line, cells) for line, cells, _ in cells_of(text)] == [
        (1, ["prompt", "width"]),
        (2, ["one\ntwo\r\nthree", "1"]),
        (6, ["fox", "2"]),
        (7, ['a "b"\n', "3"]),
        (9, ["bear", "4"]),
    ]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('p\nfox\n"never closed,1\nbear\n', 3, "the quotation mark at character 1 is not closed before the end"),
        ('p\nfox,"never closed', 2, "the quotation mark at character 5 is not closed before the end"),
        ('p\n"a\nb","c\nd', 2, "the quotation mark at line 3, character 4 is not closed"),
        ('p\n"a""', 2, "the quotation mark at character 1 is not closed"),
        ('p\n"' + "x\n" * 200, 2, "is not closed within 100 bytes"),
    ],
)
def test_an_unclosed_quotation_mark_is_told_where_it_stands_and_ends_the_reading(text, line, says):
    *_, (number, cells, problem) = cells_of(text, limit=100)
    assert number == problem.line == line
    assert cells is None
    assert says in problem.message
    assert problem.fatal


def test_text_behind_a_closing_quotation_mark_is_told_and_the_next_line_is_read():
    read = cells_of('p;q\n"He said "hi";1\n"x\ny"z;2\nfox;3\n', ";")
    assert [line for line, _, _ in read] == [1, 2, 3, 5]
    first, second = read[1][2], read[2][2]
    assert first.message.startswith("'hi\";1' follows a closing quotation mark at character 11, where a semicolon or")
    assert "Write a quotation mark inside a quoted cell twice." in first.message
    assert "at line 4, character 3" in second.message
    assert first.fatal
    assert second.fatal


def test_a_quotation_mark_inside_an_unquoted_cell_is_a_character():
    assert cells_of('a 5" pipe,x"y"') == [(1, ['a 5" pipe', 'x"y"'], None)]


def test_many_lines_of_a_long_quoted_cell_take_time_in_proportion():
    text = '"' + "x\n" * 400_000 + '",1\n'
    ((line, cells, problem),) = cells_of(text)
    assert (line, problem) == (1, None)
    assert len(cells[0]) == 800_000


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("prompt,width", ","),
        ("prompt;width", ";"),
        ("prompt\twidth;x\ty", "\t"),
        ('"a,b";width', ";"),
        ("prompt", ","),
        ("prompt;a,b", ","),
    ],
)
def test_the_delimiter_is_seen_in_the_header(header, delimiter):
    assert delimiter_of(header) == delimiter


def objects_of(text: str, limit: int = LIMIT):
    return list(jsonl_records(physical_lines(io.BytesIO(text.encode()), limit), limit))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=5), st.booleans())
def test_json_lines_are_read_as_they_were_written(rows, ascii_only):
    text = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # half a character can only be written in ASCII
    assert [record for _, record, _ in objects_of(text)] == rows


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"prompt": "a fox"', "is no JSON: Expecting ',' delimiter at character 19"),
        ("a fox", "is no JSON: Expecting value at character 1"),
        ('{"prompt": "a"} {"prompt": "b"}', "Extra data at character 17"),
        ('["a fox"]', 'is a list, no JSON object. Write one object per line, such as {"prompt": "a fox"}.'),
        ('"a fox"', "is a text, no JSON object"),
        ("null", "is null, no JSON object"),
        ("12", "is a bare value, no JSON object"),
        ('{"prompt": "a", "prompt": "b"}', "the key 'prompt' stands there twice"),
        ('{"prompt": "a", "x": {"y": 1, "y": 2}}', "the key 'y' stands there twice"),
        ('{"prompt": "a", "guidance": NaN}', "NaN is no JSON"),
        ('{"prompt": "a", "guidance": -Infinity}', "-Infinity is no JSON"),
        ('{"prompt": "a", "seed": ' + "1" * 5000 + "}", "a number is too long"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_malformed_line_is_told_and_the_next_is_read(line, says):
    _, (number, record, problem), last = objects_of(f'{{"prompt": "x"}}\n{line}\n{{"prompt": "y"}}\n')
    assert number == problem.line == 2
    assert record is None
    assert says in problem.message
    assert not problem.fatal
    assert last == (3, {"prompt": "y"}, None)


def header_problems(tmp_path, content: str, **options) -> list[Problem]:
    path = tmp_path / "p.csv"
    path.write_text(content)
    with pytest.raises(ManifestError) as caught:
        open_manifest(path, **options)
    return caught.value.problems


def test_all_that_is_wrong_with_a_header_is_told_at_once(tmp_path):
    found = header_problems(tmp_path, "\n\ncolour,Width,width,dry_run,two words\nred,1,1,1,1\n")
    assert [(problem.line, problem.column) for problem in found] == [
        (3, "width"),
        (3, ""),
        (3, "dry_run"),
        (3, "two words"),
    ]
    assert "twice" in found[0].message
    assert "there is no column prompt. The header has: colour, width" in found[1].message
    assert "a manifest cannot set dry_run" in found[2].message
    assert "Known are: prompt, negative_prompt" in found[3].message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("\n \n\r\n", "There is no row in the file, only blank lines."),
        (",,\na,b,c\n", "there is no column prompt. The header has: nothing."),
        ('prompt,"width\na,1\n', "the quotation mark at character 8 is not closed"),
        ("prompt,option.prompt\na,b\n", "prompt is a column of its own and no option"),
        ("prompt," + ",".join(f"c{n}" for n in range(1000)) + "\n", "1,001 columns; at most 1,000"),
    ],
)
def test_headers_that_cannot_be(tmp_path, content, says):
    found = header_problems(tmp_path, content)
    assert says in found[0].message


def test_rows_that_do_not_fit_the_header(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("prompt,width,,name,,\na fox,64,,x\na, red,64,,,,,\n,,,,,,,,\n,,\na bear\nwolf,64,oops\n")
    read = list(open_manifest(path).rows())
    assert [(item.line, isinstance(item, Problem)) for item in read] == [(2, False), (3, True), (6, False), (7, True)]
    assert "has 8 cells, the header has 6 columns" in read[1].message
    assert "'oops' stands in a column without a name" in read[3].message
    assert read[2].arguments == {"prompt": "a bear"}


def test_after_a_fatal_problem_no_row_comes_but_further_problems_do(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text('prompt,width\nfox,64\n"a "b"",64\nbear,64\nwolf,-5\n')
    read = list(open_manifest(path).rows())
    assert [item.line for item in read] == [2, 3, 5]
    assert read[1].fatal
    assert read[2].column == "width"


@pytest.mark.parametrize(
    ("content", "prompts"),
    [
        (b"sep=;\r\nprompt;size\r\nA fox, red;512x512\r\n", ["A fox, red"]),
        (b"\xef\xbb\xbfsep=,\r\nprompt,size\r\nA fox,512x512\r\n", ["A fox"]),
        (b'\n"SEP=\t"\nprompt\tsize\nA fox\t512x512\n', ["A fox"]),
        (b"prompt,size\r\nA fox,512x512\r\n\x1a", ["A fox"]),
        (b"prompt,size\r\nA fox,512x512\x1a", ["A fox"]),
        (b"prompt\nsep=;\n", ["sep=;"]),
    ],
)
def test_what_spreadsheets_and_old_editors_add_is_no_prompt(tmp_path, content, prompts):
    path = tmp_path / "prompts.csv"
    path.write_bytes(content)
    with open_manifest(path) as manifest:
        rows = list(manifest.rows())
    assert [row.arguments["prompt"] for row in rows] == prompts
    assert rows[0].line == content[: content.index(prompts[0].encode())].count(b"\n") + 1


@pytest.mark.parametrize("name", ["prompts.txt", "prompts.jsonl"])
def test_a_lone_control_z_buys_no_picture(tmp_path, name):
    path = tmp_path / name
    path.write_bytes((b'{"prompt": "A fox"}' if name.endswith("l") else b"A fox") + b"\r\n\x1a")
    with open_manifest(path) as manifest:
        assert [row.arguments["prompt"] for row in manifest.rows()] == ["A fox"]
