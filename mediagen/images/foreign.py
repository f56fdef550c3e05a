"""Says in words what bytes are that are no picture we accept."""

from __future__ import annotations

import codecs
import re

from mediagen.images.isobmff import brands

_SIGNATURES = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive (or an Office document)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\x1aE\xdf\xa3", "a WebM or Matroska video"),
    (b"RIFF", "a RIFF file (sound or video)"),
    (b"OggS", "an Ogg file (sound or video)"),
    (b"ID3", "an MP3 file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_BASE64_PICTURE = (b"iVBORw0KGgo", b"/9j/", b"UklGR", b"R0lGOD", b"AAAAIGZ0eXBhdmlm", b"AAAAHGZ0eXBhdmlm")
_HTML = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<title", b"<div", b"<p>", b"<h1")
_TITLE = re.compile(rb"<title[^>]{0,200}>([^<]{1,300})", re.IGNORECASE)
_LOOK_AT_BYTES = 2048


def describe(view: memoryview) -> str:
    """A noun phrase, such as 'an HTML page titled "502 Bad Gateway"'. Reads only the first bytes."""
    if not len(view):
        return "empty (0 bytes)"
    head = bytes(view[:_LOOK_AT_BYTES])
    for signature, words in _SIGNATURES:
        if head.startswith(signature):
            return words
    if major := brands(view)[:1]:
        if major[0] in _HEIF_BRANDS:
            return "a HEIC picture"
        return f"an MP4 or similar video (brand {_printable(major[0])})"
    return _describe_text(head.removeprefix(b"\xef\xbb\xbf").lstrip()) or (
        f"of a type we do not know ({len(view)} bytes that begin with {head[:8].hex(' ')})"
    )


def _describe_text(text: bytes) -> str:
    start = text.lower()
    if start.startswith(b"<svg") or (start.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in start):
        return "an SVG drawing, which may hold scripts"
    if start.startswith(_HTML) or (start.startswith((b"<?xml", b"<!--")) and b"<html" in start):
        title = _TITLE.search(text)
        return f'an HTML page titled "{_printable(title[1])}"' if title else "an HTML page"
    if start.startswith(b"<?xml"):
        return "an XML document"
    if start.startswith(b"data:"):
        return "a data: URL in text; decode it first"
    if text.startswith(_BASE64_PICTURE):
        return "a picture in base64 text; decode it first"
    if start.startswith((b"{", b"[")) and _is_text(text):
        return "JSON"
    return "text" if _is_text(text) else ""


def _is_text(data: bytes) -> bool:
    try:
        # Incremental, because only the beginning was taken and its last character may be half there.
        words = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return bool(words) and all(c.isprintable() or c.isspace() for c in words)


def _printable(data: bytes) -> str:
    words = " ".join(data.decode("utf-8", "replace").split())
    return "".join(c for c in words if c.isprintable())[:60]
