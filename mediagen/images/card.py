"""The card in the middle of a placeholder: what it is, who would have made it, and the prompt."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from mediagen.images import colours

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

_TITLE = "PLACEHOLDER"
_MIN_FONT_PX = 7
_MAX_TITLE_PX = 160
_PROMPT_CHARS = 400
"""of the prompt, before layout: more never fits"""
_MAX_PROMPT_LINES = 7
_MAX_FACT_CHARS = 60
_INK = 255
_BAR = 90
"""how dark the bars are that stand for characters without a glyph"""
_BAR_CHARS = (4, 2, 6, 3)
"""how many such characters one bar stands for, in turn"""
_LINE = 1.32
"""line height, in font sizes"""

# What the font that Pillow brings along can draw (a subset of Aileron), and what may stand for some of the rest.
_DRAWABLE = frozenset(map(chr, range(0x20, 0x7F))) | frozenset("«»°·‘’“”…‹›™")
_STAND_INS = str.maketrans({"×": "x", "–": "-", "—": "-", "−": "-", "ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE",
                            "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i"})  # fmt: skip
_NO_GLYPH = "\x00"


class _Line(NamedTuple):
    text: str
    """`_NO_GLYPH` where the font has no glyph"""
    font_px: int
    ink: int
    gap_above_px: int = 0


def draw(canvas: Image.Image, scheme: colours.Scheme, facts: Iterable[str], prompt: str) -> None:
    """Draw the card on a canvas of palette indices, as high as its text needs; nothing where none fits."""
    from PIL import Image, ImageDraw, features

    if not features.check("freetype2"):
        return  # a Pillow built without its font engine has no letters of any size
    width, height = canvas.size
    margin = min(width, height) // 12 if min(width, height) >= 128 else 0
    room_width, room_height = min(width - 2 * margin, 3 * height), min(height - 2 * margin, 3 * width)
    pad = max(2, min(room_width, room_height) // 14)
    text_width, text_height = room_width - 2 * pad, room_height - 2 * pad
    lines = _layout(text_width, text_height, scheme, list(facts), prompt)
    if not lines:
        return
    block = sum(line.gap_above_px + round(line.font_px * _LINE) for line in lines)
    card_width, card_height = room_width, min(room_height, block + 2 * pad)
    layer = Image.new("L", (card_width, card_height))
    pen = ImageDraw.Draw(layer)
    top = (card_height - block) // 2
    for line in lines:
        top += line.gap_above_px
        _write(pen, line, pad, top)
        top += round(line.font_px * _LINE)
    left, upper = (width - card_width) // 2, (height - card_height) // 2
    canvas.paste(layer.point(colours.ink_table()), (left, upper))
    if margin:
        bar = max(2, pad // 6)
        canvas.paste(colours.ACCENT, (left, upper, left + bar, upper + card_height))


def _layout(width: int, height: int, scheme: colours.Scheme, facts: list[str], prompt: str) -> list[_Line]:
    title_px = min(_MAX_TITLE_PX, height // 5)
    while title_px >= _MIN_FONT_PX and _width(_TITLE, title_px) > width:
        title_px = min(title_px - 1, int(title_px * width / _width(_TITLE, title_px)))
    if title_px < _MIN_FONT_PX or title_px * _LINE > height:
        return []
    fact_px = max(_MIN_FONT_PX + 1, round(title_px * 0.4))
    prompt_px = max(_MIN_FONT_PX + 3, round(title_px * 0.46))
    if fact_px <= _MIN_FONT_PX + 1:
        facts = facts[:3]  # on a thumbnail, leave some of the pattern to be seen
    lines = [_Line(_TITLE, title_px, _INK)]
    left = height - round(title_px * _LINE)
    for text in _join([_clip(_drawable(fact[:_MAX_FACT_CHARS]), fact_px, width) for fact in facts], fact_px, width):
        if left < fact_px * _LINE:
            return lines
        # Small letters are thin: their edges lose the contrast that the colour has.
        lines.append(_Line(text, fact_px, scheme.muted if fact_px >= 14 else _INK))
        left -= round(fact_px * _LINE)
    gap = round(prompt_px * 0.8)
    count = min(_MAX_PROMPT_LINES, int((left - gap) // round(prompt_px * _LINE)))
    if count > 0:
        wrapped = _wrap(_drawable(prompt[:_PROMPT_CHARS]), len(prompt) > _PROMPT_CHARS, prompt_px, width, count)
        lines += [_Line(text, prompt_px, _INK, 0 if number else gap) for number, text in enumerate(wrapped)]
    return lines


def _drawable(text: str) -> str:
    """One line of characters that the font has; `_NO_GLYPH` for each visible one that it lacks."""
    drawn = []
    for char in " ".join(text.translate(_STAND_INS).split()):
        if char in _DRAWABLE:
            drawn.append(char)
            continue
        base = [c for c in unicodedata.normalize("NFKD", char) if c in _DRAWABLE]
        # Marks, joiners and control characters have no width of their own.
        visible = unicodedata.category(char)[0] not in "MC"
        drawn += base or ([_NO_GLYPH] if visible else [])
    return "".join(drawn)[:_PROMPT_CHARS]


@lru_cache(maxsize=32)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size=size_px)


@lru_cache(maxsize=4096)
def _char_width(char: str, size_px: int) -> float:
    return size_px * 0.9 if char == _NO_GLYPH else _font(size_px).getlength(char)


def _width(text: str, size_px: int) -> float:
    return sum(_char_width(char, size_px) for char in text)


def _clip(text: str, size_px: int, width: int) -> str:
    return text if _width(text, size_px) <= width else _shortened(text, size_px, width)


def _shortened(text: str, size_px: int, width: int) -> str:
    """With an ellipsis at its end, and short enough for it."""
    while text and _width(text + "…", size_px) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _join(facts: list[str], size_px: int, width: int) -> list[str]:
    """Facts on as few lines as they fit."""
    lines: list[str] = []
    for fact in filter(None, facts):
        if lines and _width(f"{lines[-1]}  ·  {fact}", size_px) <= width:
            lines[-1] += f"  ·  {fact}"
        else:
            lines.append(fact)
    return lines


def _wrap(text: str, goes_on: bool, size_px: int, width: int, max_lines: int) -> list[str]:
    """Lines no wider than `width`; the last one ends in an ellipsis when there is more."""
    lines: list[str] = []
    line = ""
    words = text.split(" ")
    while words and len(lines) < max_lines:
        word = words.pop(0)
        longer = f"{line} {word}" if line else word
        if _width(longer, size_px) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
            line = ""
            words.insert(0, word)
            continue
        # A word wider than a line (also Chinese and Japanese, which have no spaces): break it anywhere.
        fits = _fitting_chars(word, size_px, width)
        lines.append(word[:fits])
        words.insert(0, word[fits:])
    if line and len(lines) < max_lines:
        lines.append(line)
        line = ""
    if lines and (goes_on or line or any(words)):
        lines[-1] = _shortened(lines[-1], size_px, width)
    return lines


def _fitting_chars(word: str, size_px: int, width: int) -> int:
    """How many characters of the word fit in a line, at least 1."""
    right_edges = accumulate(_char_width(char, size_px) for char in word)
    return max(1, sum(1 for right in right_edges if right <= width))


def _write(pen: ImageDraw.ImageDraw, line: _Line, left: float, top: int) -> None:
    size_px = line.font_px
    baseline = top + round(size_px * 0.98)
    for text in _runs(line.text):
        width = _width(text, size_px)
        if text[0] == _NO_GLYPH:
            box = (round(left), baseline - round(size_px * 0.58), round(left + width - size_px * 0.25), baseline)
            pen.rectangle(box, fill=_BAR)
        else:
            pen.text((left, baseline), text, fill=line.ink, font=_font(size_px), anchor="ls")
        left += width


def _runs(text: str) -> list[str]:
    """Split into runs of characters with a glyph and, as long as words, runs without."""
    runs: list[str] = []
    for char in text:
        longest = _BAR_CHARS[len(runs) % len(_BAR_CHARS)] if char == _NO_GLYPH else _PROMPT_CHARS
        if runs and (runs[-1][0] == _NO_GLYPH) == (char == _NO_GLYPH) and len(runs[-1]) < longest:
            runs[-1] += char
        else:
            runs.append(char)
    return runs
