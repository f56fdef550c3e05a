"""Errors speak English to logs and rows, and the reader's language to readers."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from django.utils import translation

from mediagen.errors import InvalidRequest
from mediagen.wording import say, translated


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A language that says the last sentence first, and has no word for "plain"."""
    words = {"The %(what)s has %(number)s sides. Fewer!": "Weniger! %(number)s Seiten hat %(what)s.", "tile": "Kachel"}
    monkeypatch.setattr(translation, "gettext", lambda text: words.get(text, text))
    return words.__getitem__


def test_an_error_is_english_and_can_be_said_in_another_language(backwards: Callable[[str], str]) -> None:
    error = InvalidRequest(say("The %(what)s has %(number)s sides. Fewer!", what=say("tile"), number=5), field="sides")
    assert str(error) == f"{error}" == "The tile has 5 sides. Fewer!"
    assert translated(error) == "Weniger! 5 Seiten hat Kachel."
    assert translated(pickle.loads(pickle.dumps(say("tile")))) == "Kachel"


def test_an_error_within_an_error_is_said_in_the_language_too(backwards: Callable[[str], str]) -> None:
    outer = InvalidRequest(say("Not so: %(why)s", why=InvalidRequest(say("tile"))))
    assert (str(outer), translated(outer)) == ("Not so: tile", "Not so: Kachel")


@pytest.mark.parametrize("text", ["100 % plain", "", "%(nothing)s"])
def test_text_that_nobody_marked_stays_as_it_is(text: str) -> None:
    assert translated(text) == translated(say(text)) == translated(ValueError(text)) == text
