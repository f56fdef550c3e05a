"""Physical lines of a file, in bounded memory whatever the file holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from mediagen.engine.batches.manifests.problems import Problem

MAX_RECORD_BYTES = 1 << 20
BLOCK_BYTES = 1 << 16


def physical_lines(file: BinaryIO, limit: int = MAX_RECORD_BYTES) -> Iterator[tuple[int, bytes | None]]:
    """(number from 1, bytes with their line end). A line ends with LF, CRLF or a lone CR.

    A line of more than `limit` bytes is read past and comes as None. Never holds more than `limit` and two blocks.
    """
    number, rest, too_long = 0, b"", False
    while block := file.read(BLOCK_BYTES):
        lines = (rest + block).splitlines(keepends=True)
        # What ends with CR may go on with LF in the next block.
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        for line in lines:
            number += 1
            if too_long or len(line) > limit:
                too_long = False
                yield number, None
            else:
                yield number, line
        if len(rest) > limit:
            too_long, rest = True, rest[-1:]
    # DOS editors end a file with Ctrl-Z; it is no prompt.
    rest = rest.removesuffix(b"\x1a")
    if rest:
        yield number + 1, None if too_long or len(rest) > limit else rest


def too_long_problem(line: int, limit: int, *, fatal: bool = False) -> Problem:
    return Problem(line, "", f"is longer than {limit:,} bytes. Is this a manifest? Shorten the line.", fatal)


def decoded(line: int, content: bytes) -> tuple[str, Problem | None]:
    """The text; when it is no UTF-8 a problem that names the byte, and the text with replacement characters."""
    try:
        return content.decode(), None
    except UnicodeDecodeError as exc:
        message = (
            f"byte {exc.start + 1} of the line is 0x{content[exc.start]:02x}, which is not UTF-8 there. "
            'Save the file as UTF-8 (in Excel: "CSV UTF-8").'
        )
        return content.decode(errors="replace"), Problem(line, "", message)
