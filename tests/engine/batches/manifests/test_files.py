"""Which files are manifests, and what is said of those that are none."""

from __future__ import annotations

import hashlib
import io
import os
import threading

import pytest

from mediagen.engine.batches.manifests import ManifestError, ManifestRow, Problem, open_manifest
from mediagen.engine.batches.manifests.source import stdin_source


def prompts(manifest) -> list[str]:
    return [row.arguments["prompt"] for row in manifest.rows()]


def lines_and_texts(error: ManifestError) -> list[tuple[int, str]]:
    return [(problem.line, problem.message) for problem in error.problems]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", "prompt\na fox\na bear\n"),
        ("P.CSV", "Prompt\na fox\na bear"),
        ("p.tsv", "prompt\twidth\na fox\t64\na bear\t64\n"),
        ("p.csv", "prompt;width\na fox;64\na bear;64\n"),
        ("p.jsonl", '{"prompt": "a fox"}\n{"prompt": "a bear"}\n'),
        ("p.ndjson", '\n{"prompt": "a fox"}\n\n{"prompt": "a bear"}'),
        ("p.txt", "a fox\n\n   \n  a bear  \n"),
    ],
)
def test_every_format_gives_its_rows_as_often_as_asked(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    manifest = open_manifest(path)
    assert prompts(manifest) == prompts(manifest) == ["a fox", "a bear"]
    assert manifest.name == name
    assert manifest.size_bytes == len(content)
    assert manifest.digest == hashlib.sha256(content.encode()).hexdigest()


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_byte_order_marks_and_all_line_ends(tmp_path, name, end, bom):
    rows = {
        "p.csv": ["prompt", "äpfel", "", '"birnen"'],
        "p.jsonl": ['{"prompt": "äpfel"}', "", '{"prompt": "birnen"}'],
        "p.txt": ["äpfel", "", "birnen"],
    }[name]
    path = tmp_path / name
    path.write_bytes(bom + end.join(rows).encode())
    read = list(open_manifest(path).rows())
    assert [row.arguments["prompt"] for row in read] == ["äpfel", "birnen"]
    assert read[1].line == len(rows)


def test_a_crlf_that_falls_between_two_blocks_is_one_line_end(tmp_path):
    path = tmp_path / "p.txt"
    path.write_bytes(b"x" * 65535 + b"\r\n" + b"second\r\nthird\n")
    assert [(row.line, len(row.arguments["prompt"])) for row in open_manifest(path).rows()] == [
        (1, 65535),
        (2, 6),
        (3, 5),
    ]


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (b' \n{"prompt": "a fox"}\n', "jsonl"),
        (b"\xef\xbb\xbfprompt\na fox\n", "csv"),
        (b"prompt,size\na fox,64x64\n", "csv"),
        (b'"prompt";"size"\na fox;64x64\n', "csv"),
        (b"a fox\n", "txt"),
        (b"a red, quick fox\n", "txt"),
    ],
)
def test_standard_input_is_recognised_by_how_it_begins(content, format):
    with open_manifest("-", stdin=io.BytesIO(content)) as manifest:
        assert manifest.format == format
        assert manifest.name == "stdin"
        assert manifest.digest == hashlib.sha256(content).hexdigest()
        assert len(prompts(manifest)) == len(prompts(manifest)) == 1


def test_standard_input_is_csv_when_a_template_names_its_columns():
    stream = io.BytesIO(b"colour,animal\nred,fox\n")
    with open_manifest("-", stdin=stream, template="a {colour} {animal}") as manifest:
        assert prompts(manifest) == ["a red fox"]


def test_the_format_that_is_said_counts_more_than_beginning_and_name(tmp_path):
    with open_manifest("-", stdin=io.BytesIO(b"prompt\na fox\n"), format="txt") as manifest:
        assert prompts(manifest) == ["prompt", "a fox"]
    path = tmp_path / "list.dat"
    path.write_text("a fox\n")
    assert prompts(open_manifest(path, format="TXT")) == ["a fox"]


def test_text_taken_for_csv_is_told_how_to_be_text():
    with pytest.raises(ManifestError) as caught:
        open_manifest("-", stdin=io.BytesIO(b"a beach, seed, sand\n"))
    assert "there is no column prompt" in str(caught.value)
    assert "--format txt" in str(caught.value)


def test_a_text_stream_will_do_as_standard_input():
    with open_manifest("-", stdin=io.StringIO("ein Füchschen\n")) as manifest:
        assert prompts(manifest) == ["ein Füchschen"]


def test_the_copy_of_standard_input_is_private_and_goes_with_the_manifest():
    manifest = open_manifest("-", stdin=io.BytesIO(b"a fox\n"))
    path = manifest._source.path
    assert path.stat().st_mode & 0o077 == 0
    manifest.close()
    assert not path.exists()
    manifest.close()


def test_the_copy_goes_when_nobody_holds_it_any_more_and_when_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = stdin_source(io.BytesIO(b"a fox\n"))
    assert len(list(tmp_path.iterdir())) == 1
    del source
    assert list(tmp_path.iterdir()) == []
    for refused in (b"", b"a\0b", b"width\n1\n"):
        with pytest.raises(ManifestError):
            open_manifest("-", stdin=io.BytesIO(refused), format="csv")
    assert list(tmp_path.iterdir()) == []


def test_no_standard_input_at_all(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ManifestError, match="no standard input"):
        open_manifest("-")


def test_a_full_disk_while_standard_input_is_copied_is_said():
    class Full(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(ManifestError, match=r"stdin: Reading the file failed: No space left on device"):
        open_manifest("-", stdin=Full())


def test_a_named_pipe_is_read_like_standard_input(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b'{"prompt": "a fox"}\n',))
    writer.start()
    with open_manifest(path) as manifest:
        writer.join()
        assert prompts(manifest) == prompts(manifest) == ["a fox"]
        assert manifest.name == "pipe"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\xff\xfep\x00r\x00o\x00m\x00p\x00t\x00", "Save it as UTF-8"),
        (b"\xfe\xff\x00p\x00r", "UTF-16"),
        (b"p\x00r\x00o\x00m\x00p\x00t\x00", "UTF-16 without its mark"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary"),
        (b"PK\x03\x04 sheet", "Save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Save the sheet as CSV"),
        (b"\x1f\x8b\x08", "gunzip"),
    ],
)
def test_what_is_no_text_is_refused_at_once(tmp_path, content, says):
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"^p\.csv: ") as caught:
        open_manifest(path)
    assert says in str(caught.value)


def test_directories_missing_files_and_other_things(tmp_path):
    (tmp_path / "dir.csv").mkdir()
    (tmp_path / "list").write_text("a fox")
    (tmp_path / "list.json").write_text("[]")
    for path, says in (
        (tmp_path / "dir.csv", "is a directory. Name a file in it."),
        (tmp_path / "none.csv", "There is no file"),
        (tmp_path / "list" / "p.csv", "Reading the file failed: Not a directory"),
        (f"{tmp_path}/{'x' * 300}.csv", "File name too long"),
        ("a\0b.csv", "is no path"),
        ("/dev/zero", "is no file. Name a file, or - for standard input."),
        (tmp_path / "list", "say it with --format"),
        (tmp_path / "list.json", "one object per line"),
    ):
        with pytest.raises(ManifestError) as caught:
            open_manifest(path)
        assert says in str(caught.value)
        assert caught.value.field == "manifest"
        assert len(caught.value.problems) == 1
    with pytest.raises(ManifestError, match="Formats: csv"):
        open_manifest(tmp_path / "list", format="xlsx")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "p.csv"
    path.write_text("prompt\na fox\n")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(ManifestError, match=r"^p\.csv: The file may not be read: permission denied\. "):
        open_manifest(path)


def test_a_file_that_changes_between_two_readings_is_noticed(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("a fox\n")
    manifest = open_manifest(path)
    path.write_text("a fox\na bear\n")
    with pytest.raises(ManifestError, match=r"p\.txt: The file was changed"):
        list(manifest.rows())


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("a fox\na bear\n")
    manifest = open_manifest(path)
    rows = manifest.rows()
    next(rows)
    with path.open("a") as file:
        file.write("a wolf\n")
    with pytest.raises(ManifestError, match="was changed"):
        list(rows)


def test_two_readings_at_once_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("".join(f"{number}\n" for number in range(50_000)))
    manifest = open_manifest(path)
    for one, other in zip(manifest.rows(), manifest.rows(), strict=True):
        assert one == other


LONG = "x" * 10_000_000


def test_a_line_of_ten_megabytes_is_one_problem_and_the_next_lines_are_read(tmp_path):
    text, jsonl = tmp_path / "p.txt", tmp_path / "p.jsonl"
    text.write_text(f"a fox\n{LONG}\na bear\n")
    jsonl.write_text(f'{{"prompt": "a fox"}}\r\n{{"prompt": "{LONG}"}}\r\n{{"prompt": "a bear"}}\r\n')
    for path in (text, jsonl):
        first, problem, last = open_manifest(path).rows()
        assert (first.arguments["prompt"], last.arguments["prompt"]) == ("a fox", "a bear")
        assert (first.line, last.line) == (1, 3)
        assert str(problem).startswith("line 2: is longer than 1,048,576 bytes.")


def test_a_line_of_ten_megabytes_ends_csv_because_what_follows_is_uncertain(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(f"prompt\na fox\n{LONG}\na bear\n")
    row, problem = open_manifest(path).rows()
    assert row.line == 2
    assert problem.line == 3
    assert problem.fatal


def test_the_longest_line_can_be_set_and_a_line_just_as_long_is_read(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("1234567\n12345678\nxyz")
    read = list(open_manifest(path, max_record_bytes=8).rows())
    assert isinstance(read[0], ManifestRow)
    assert read[1] == Problem(2, "", "is longer than 8 bytes. Is this a manifest? Shorten the line.")
    assert isinstance(read[2], ManifestRow)


def test_a_last_line_that_is_too_long_is_reported_too(tmp_path):
    path = tmp_path / "p.txt"
    for length in (9, 70_000, 200_000):
        path.write_text("a\n" + "x" * length)
        assert [problem.line for problem in open_manifest(path, max_record_bytes=8).rows()][1:] == [2]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("p.csv", [b"prompt", b"a fox", b"a caf\xe9", b'"two\nlin\xe9s"', b"a bear"]),
        ("p.jsonl", [b'{"prompt":"a"}', b'{"prompt":"a fox"}', b"a caf\xe9", b"", b"lin\xe9s", b'{"prompt":"b"}']),
        ("p.txt", [b"", b"a fox", b"a caf\xe9", b"", b"lin\xe9s", b"a bear"]),
    ],
)
def test_invalid_utf8_is_told_with_line_and_byte_and_reading_goes_on(tmp_path, name, rows):
    path = tmp_path / name
    path.write_bytes(b"\n".join(rows))
    problems = [item for item in open_manifest(path).rows() if isinstance(item, Problem)]
    assert [problem.line for problem in problems] == [3, 5]
    assert "byte 6 of the line is 0xe9" in problems[0].message
    assert "Save the file as UTF-8" in problems[0].message
    assert not any(problem.fatal for problem in problems)
    assert isinstance(list(open_manifest(path).rows())[-1], ManifestRow)


def test_surrogates_in_utf8_are_no_utf8(tmp_path):
    path = tmp_path / "p.txt"
    path.write_bytes(b"half \xed\xa0\x80\n")
    (problem,) = open_manifest(path).rows()
    assert "byte 6 of the line is 0xed" in problem.message


def test_the_text_of_an_error_names_the_file_and_the_first_twenty_problems():
    problems = [Problem(line, "width", "must be more.") for line in range(1, 31)]
    error = ManifestError(problems, name="p.csv", total=5000)
    lines = str(error).splitlines()
    assert lines[0] == "p.csv: 5,000 problems:"
    assert lines[1] == "  line 1, column width: must be more."
    assert len(lines) == 22
    assert lines[-1] == "  ... and 4,980 more problems."
    assert str(ManifestError(problems[:1], name="p.csv")) == "p.csv: line 1, column width: must be more."
