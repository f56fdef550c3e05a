"""Texts of errors: English in logs, rows and commands, and in the reader's language where somebody reads them.

from mediagen.wording import say as _

raise InvalidRequest(_("The width is %(width)s and must be more.", width=width))
...
except InvalidRequest as exc:
    logger.info("refused: %s", exc)  # English
    message_user(request, translated(exc))
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any


class Said(str):
    """An English text that can be said in another language."""

    __slots__ = ("msgid", "values")
    msgid: str
    values: Mapping[str, Any]

    def in_language(self) -> str:
        """In the language that is active; in English where it has no words for it."""
        values = {name: translated(value) if isinstance(value, Said) else value for name, value in self.values.items()}
        # Only now: errors of pictures are raised where nobody has imported Django.
        return _filled(import_module("django.utils.translation").gettext(self.msgid), values)


def say(msgid: str, /, **values: Any) -> Said:
    """The English text with its %(placeholders)s filled. Without values a % is a %."""
    kept = {name: _text(value) if isinstance(value, BaseException) else value for name, value in values.items()}
    said = Said(_filled(msgid, kept))
    said.msgid, said.values = msgid, kept
    return said


def translated(told: BaseException | str) -> str:
    """What an error or a text says, in the reader's language as far as it can be said there."""
    text = _text(told) if isinstance(told, BaseException) else told
    return text.in_language() if isinstance(text, Said) else text


def _text(error: BaseException) -> str:
    said = str(error)
    first = error.args[0] if error.args else said
    return first if isinstance(first, Said) and first == said else said  # a class may say more than it was given


def _filled(text: str, values: Mapping[str, Any]) -> str:
    return text % values if values else text
