"""A manifest of any length takes the same memory."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from mediagen.engine.batches.manifests import ManifestRow, ResultWriter, open_manifest, validate

WRITE = {
    "csv": ("prompt,width\n", lambda number: f"a fox {number},512\n"),
    "keys.csv": ("key,prompt,tags\n", lambda number: f'k{number * 7919 % 1_000_003},"a fox, {number}","red,fox"\n'),
    "jsonl": ("", lambda number: f'{{"prompt": "a fox {number}", "width": 512, "tags": ["red"]}}\n'),
    "bad.jsonl": ("", lambda number: f'{{"prompt": "a fox {number}", "width": -{number}}}\n'),
    "txt": ("", lambda number: f"a fox, number {number}\n"),
}


def peak_of(path, *, write: bool) -> tuple[int, int]:
    """(peak of bytes while the manifest is opened and validated, and then read and written; rows)."""
    tracemalloc.start()
    try:
        manifest = open_manifest(path)
        report = validate(manifest)
        if write:
            with ResultWriter(io.TextIOWrapper(io.BufferedWriter(Nowhere())), "jsonl") as writer:
                for row in manifest.rows():
                    if isinstance(row, ManifestRow):
                        writer.write(row, state="ready")
        return tracemalloc.get_traced_memory()[1], report.rows
    finally:
        tracemalloc.stop()


class Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data, /) -> int:
        return len(data)


@pytest.mark.parametrize(
    ("name", "few", "many"),
    [
        ("csv", 1_000, 4_000),
        pytest.param("csv", 5_000, 20_000, marks=pytest.mark.whole),
        pytest.param("keys.csv", 5_000, 20_000, marks=pytest.mark.whole),
        pytest.param("jsonl", 5_000, 20_000, marks=pytest.mark.whole),
        pytest.param("bad.jsonl", 5_000, 20_000, marks=pytest.mark.whole),
        pytest.param("txt", 5_000, 20_000, marks=pytest.mark.whole),
    ],
)
def test_many_rows_take_no_more_memory_than_few(tmp_path, name, few, many):
    header, line = WRITE[name]
    peaks = []
    for count in (few, many):
        path = tmp_path / f"{count}.{name}"
        with path.open("w") as file:
            file.write(header)
            file.writelines(line(number) for number in range(count))
        # Sixty thousand traced rows are slow enough without being written.
        peak, rows = peak_of(path, write=many < 50_000)
        assert rows == count
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 256 * 1024
    assert peaks[1] < 4 * 1024 * 1024


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.txt"])
def test_a_file_that_is_one_endless_line_is_never_held(tmp_path, name):
    path = tmp_path / name
    with path.open("w") as file:
        file.write("prompt\n" if name == "p.csv" else "")
        for _ in range(40):
            file.write('"x' * (1 << 19))
    tracemalloc.start()
    try:
        report = validate(open_manifest(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.problem_count >= 1
    assert path.stat().st_size >= 40 * (1 << 20)
    assert peak < 8 * (1 << 20)


def test_standard_input_is_not_held_either():
    class Endless(io.RawIOBase):
        left = 300

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            if not self.left:
                return 0
            self.left -= 1
            block = (b"a fox on the beach\n" * (len(buffer) // 19 + 1))[: len(buffer)]
            buffer[:] = block
            return len(buffer)

    stream = Endless()
    tracemalloc.start()
    try:
        with open_manifest("-", stdin=io.BufferedReader(stream, 1 << 16)) as manifest:
            assert manifest.size_bytes > 15 << 20
            peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * (1 << 20)
