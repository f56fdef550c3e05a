"""Requests as the servers record them, answers as they write them, and a strict multipart parser."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl

if TYPE_CHECKING:
    from tests.servers.faults import Fault


class MalformedBody(ValueError):
    """The body is not what its content type says."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body. `filename` is None for a plain text field."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None

    @property
    def text(self) -> str:
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            raise MalformedBody(f"{self.name} is no UTF-8 text") from None


@dataclass(slots=True, eq=False)
class Request:
    """One request as it arrived. `headers` have lowercase names; `status` is what was answered, None if nothing."""

    method: str
    path: str
    raw_query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    step: str = ""
    fault: Fault | None = None
    status: int | None = None
    accepted: bool = False
    """whether the service found nothing wrong with it (a fault may have spoiled the rest)"""
    leads_to: str = ""
    """the step that the answer makes possible: a job to poll, a file to download"""
    received_at: float = 0.0
    """`time.monotonic()` when its head had been read"""

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.raw_query, keep_blank_values=True))

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON, or `MalformedBody`."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise MalformedBody("the body is not JSON") from None

    def form(self) -> dict[str, Part]:
        """The fields of a multipart or urlencoded body by name, or `MalformedBody` (also for a name given twice)."""
        parts: dict[str, Part] = {}
        for part in self.parts():
            if part.name in parts:
                raise MalformedBody(f"{part.name} is given twice")
            parts[part.name] = part
        return parts

    def parts(self) -> list[Part]:
        """The fields in the order in which they came; a name may come more than once."""
        if self.media_type == "application/x-www-form-urlencoded":
            text = self.body.decode("ascii", "replace")
            fields = parse_qs(text, keep_blank_values=True)
            return [Part(name, value.encode()) for name, values in fields.items() for value in values]
        return list(parse_multipart(self.headers.get("content-type", ""), self.body))

    def __repr__(self) -> str:
        fault = f", fault {self.fault}" if self.fault else ""
        return f"<Request {self.step}: {self.method} {self.path} -> {self.status}{fault}>"


@dataclass(slots=True)
class Answer:
    """What a server answers, before the wire may spoil it."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def header_list(self) -> list[tuple[bytes, bytes]]:
        named = {"content-length": str(len(self.body)), **self.headers}
        if self.content_type:
            named["content-type"] = self.content_type
        if self.status == 204:
            del named["content-length"]
        return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]


def json_answer(data: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> Answer:
    """`data` as JSON. Header names are given with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(data).encode(), content_type, named)


class Answered(Exception):
    """Raised by a handler that is done early: the request is wrong, or misbehaviour was asked for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}")
        self.answer = answer


_PARAMETER = re.compile(r'([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')


def _parameters(value: str) -> dict[str, str]:
    found = {}
    for name, quoted, bare in _PARAMETER.findall(value):
        text = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare
        found[name.lower()] = text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    return found


def parse_multipart(content_type: str, body: bytes) -> list[Part]:
    """The parts of a multipart/form-data body (RFC 7578), or `MalformedBody` that says what is wrong with it."""
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise MalformedBody(f"the content type is {kind.strip() or 'missing'}, not multipart/form-data")
    boundary = _parameters(rest).get("boundary", "")
    if not boundary:
        raise MalformedBody("the content type names no boundary")
    mark = b"--" + boundary.encode("latin-1")
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 2 or pieces[0] or not pieces[-1].startswith(b"--"):
        raise MalformedBody("the body is not closed by its boundary")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, blank, content = piece.partition(b"\r\n\r\n")
    if not blank or not head.startswith(b"\r\n"):
        raise MalformedBody("a part has no headers")
    headers: dict[str, str] = {}
    for line in head[2:].decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    disposition, _, rest = headers.get("content-disposition", "").partition(";")
    parameters = _parameters(rest)
    if disposition.strip().lower() != "form-data" or not parameters.get("name"):
        raise MalformedBody("a part has no name")
    return Part(parameters["name"], content, parameters.get("filename"), headers.get("content-type"))
