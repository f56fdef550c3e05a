"""Where a manifest's bytes are: a file, or a temporary copy of what came through a pipe. Read twice at least."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from mediagen.engine.batches.manifests.lines import BLOCK_BYTES
from mediagen.engine.batches.manifests.problems import ManifestError, shown

_UTF8_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_OTHER_FILES = (
    (b"PK\x03\x04", 'a workbook or another zip file. Save the sheet as CSV (in Excel: "CSV UTF-8")'),
    (b"\xd0\xcf\x11\xe0", 'an old Excel or Word file. Save the sheet as CSV (in Excel: "CSV UTF-8")'),
    (b"\x1f\x8b", "compressed. Unpack it, or pipe it: gunzip -c FILE | manage.py generate_assets --from -"),
)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Source:
    """A regular file with what was found when it was opened."""

    path: Path
    name: str
    """for people: the file's name, or "stdin" """
    digest: str
    """SHA-256 of all bytes, hex"""
    size_bytes: int
    head: bytes
    """the first bytes, without a byte order mark"""
    changed_at: int
    """time of the last change, ns"""
    is_temporary: bool = False
    """a copy of what came through a pipe"""
    remove: Callable[[], object] = lambda: None
    """remove the copy; does nothing to a file"""

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The bytes behind a byte order mark. `ManifestError` when the file is not the one that was opened first."""
        with _reported(self.name), self.path.open("rb") as file:
            self._check(file)
            if file.read(len(_UTF8_BOM)) != _UTF8_BOM:
                file.seek(0)
            yield file
            self._check(file)

    def _check(self, file: BinaryIO) -> None:
        found = os.fstat(file.fileno())
        if (found.st_size, found.st_mtime_ns) != (self.size_bytes, self.changed_at):
            raise ManifestError(
                "The file was changed while it was being used. Let it be until the run is over, and start again.",
                name=self.name,
            )


def file_source(path: str | Path) -> Source:
    """A file or a named pipe. `ManifestError` for what cannot be read or is no text."""
    path = Path(path)
    name = path.name or str(path)
    with _reported(name):
        try:
            kind = path.stat().st_mode
        except FileNotFoundError:
            raise ManifestError(f"There is no file {shown(str(path))}. Check the path.") from None
        except ValueError:
            raise ManifestError(f"{shown(str(path))} is no path of a file.") from None
        if stat.S_ISDIR(kind):
            raise ManifestError(f"{shown(str(path))} is a directory. Name a file in it.")
        if stat.S_ISFIFO(kind):
            with path.open("rb") as pipe:
                return _spooled(pipe, name)
        if not stat.S_ISREG(kind):
            raise ManifestError(f"{shown(str(path))} is no file. Name a file, or - for standard input.")
        with path.open("rb") as file:
            return _described(file, path, name)


def stdin_source(stdin: IO[Any] | None = None) -> Source:
    """Standard input, or the stream given: copied to a temporary file, for it can be read only once."""
    stream = stdin if stdin is not None else sys.stdin
    if stream is None:
        raise ManifestError("There is no standard input to read. Name a file instead of -.")
    return _spooled(getattr(stream, "buffer", stream), "stdin")


def _spooled(stream: IO[Any], name: str) -> Source:
    handle, temporary = tempfile.mkstemp(prefix="mediagen-manifest-")
    path = Path(temporary)
    try:
        with os.fdopen(handle, "w+b") as file, _reported(name):
            while block := stream.read(BLOCK_BYTES):
                file.write(block.encode(errors="surrogatepass") if isinstance(block, str) else block)
            file.flush()
            file.seek(0)
            source = _described(file, path, name)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    source.is_temporary = True
    # Also when nobody closes it: at the end of the process at the latest.
    source.remove = weakref.finalize(source, path.unlink, missing_ok=True)
    return source


def _described(file: BinaryIO, path: Path, name: str) -> Source:
    found = os.fstat(file.fileno())
    head = file.read(BLOCK_BYTES)
    if not head:
        raise ManifestError("The file is empty. Write a prompt per row into it.", name=name)
    _refuse_other_files(head, name)
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    return Source(
        path=path,
        name=name,
        digest=digest.hexdigest(),
        size_bytes=found.st_size,
        head=head.removeprefix(_UTF8_BOM),
        changed_at=found.st_mtime_ns,
    )


def _refuse_other_files(head: bytes, name: str) -> None:
    if head.startswith(_OTHER_BOMS):
        message = 'The file is UTF-16 or UTF-32. Save it as UTF-8 (in Excel: "CSV UTF-8"; in an editor: UTF-8).'
        raise ManifestError(message, name=name)
    for beginning, what in _OTHER_FILES:
        if head.startswith(beginning):
            raise ManifestError(f"The file is no text but {what}.", name=name)
    if b"\0" in head:
        raise ManifestError(
            "The file is binary, or UTF-16 without its mark: it holds NUL bytes. Name a text file in UTF-8.", name=name
        )


@contextmanager
def _reported(name: str) -> Iterator[None]:
    """What the system says about a file, as `ManifestError`."""
    try:
        yield
    except OSError as exc:
        what = "The file may not be read: permission denied"
        if not isinstance(exc, PermissionError):
            what = f"Reading the file failed: {exc.strerror or exc}"
        raise ManifestError(f"{what}. Check the file, its rights and the disk.", name=name) from None
