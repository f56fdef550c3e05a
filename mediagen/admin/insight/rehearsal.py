"""The page that rehearses the chain: what is asked of it, and its answer in rows and bars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from mediagen.engine.insight import MOST_PICTURES, Rehearsal, RehearsedAttempt, RehearsedPicture, rehearse

SCENARIO_CHOICES = [
    ("first_down", _("The first provider cannot be reached")),
    ("first_busy", _("The first provider answers 503")),
    ("first_hangs", _("The first provider takes the request and never answers")),
    ("first_lost", _("The connection to the first provider breaks off after sending")),
    ("first_limited", _("The first provider answers 429 for a minute")),
    ("first_refuses", _("The first provider's moderation refuses")),
    ("first_corrupt", _("The first provider sends damaged bytes")),
    ("first_bad_key", _("The first provider refuses the key")),
    ("all_down", _("No provider can be reached")),
    ("all_well", _("All is well")),
]
BEHAVIOUR_CHOICES = [
    ("", _("as the scenario says")),
    ("well", _("delivers")),
    ("down", _("cannot be reached")),
    ("busy", _("answers 503")),
    ("hangs", _("takes the request and never answers")),
    ("lost", _("breaks off after sending")),
    ("limited", _("answers 429 for a minute")),
    ("refuses", _("refuses the prompt")),
    ("corrupt", _("sends damaged bytes")),
    ("bad_key", _("refuses the key")),
]
INTERVALS = [("0", _("one right after the other")), ("10", _("one every 10 s")), ("60", _("one a minute"))]
MIN_WIDTH = 0.6
"""of a bar, in hundredths of the longest picture: what took no time is still seen"""


class RehearsalForm(forms.Form):
    scenario = forms.ChoiceField(label=_("What goes wrong"), choices=SCENARIO_CHOICES, initial="first_down")
    pictures = forms.IntegerField(label=_("Pictures"), min_value=1, max_value=MOST_PICTURES, initial=8)
    every_s = forms.ChoiceField(label=_("Asked for"), choices=INTERVALS, initial="10")

    def __init__(self, data: Any, names: list[str]) -> None:
        """`names` are the providers that can be told apart."""
        asked = data if "scenario" in data else None
        super().__init__(asked, label_suffix="")
        self.names = names
        for number, name in enumerate(names):
            self.fields[f"p{number}"] = forms.ChoiceField(label=name, choices=BEHAVIOUR_CHOICES, required=False)

    @property
    def single(self) -> list[Any]:
        """The fields of single providers."""
        return [self[f"p{number}"] for number in range(len(self.names))]

    @property
    def has_single(self) -> bool:
        return any(field.value() for field in self.single)

    def rehearse(self) -> Rehearsal:
        """Of what the form asks; without an answer yet, of what it begins with."""
        values = self.cleaned_data if self.is_bound else {name: field.initial for name, field in self.fields.items()}
        chosen = {name: values.get(f"p{number}") for number, name in enumerate(self.names)}
        return rehearse(
            values["scenario"],
            behaviours={name: behaviour for name, behaviour in chosen.items() if behaviour},
            pictures=int(values["pictures"]),
            every_s=float(values["every_s"]),
        )


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt as a bar, in hundredths of the longest picture."""

    x: float
    width: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Row:
    """A picture, with its attempts (those passed over gathered in front) and its bars."""

    picture: RehearsedPicture
    asked: tuple[RehearsedAttempt, ...]
    passed_over: tuple[RehearsedAttempt, ...]
    bars: tuple[Bar, ...]


def rows(rehearsal: Rehearsal) -> list[Row]:
    longest_s = rehearsal.longest_s or 1.0
    return [
        Row(
            picture,
            tuple(attempt for attempt in picture.attempts if attempt.was_asked),
            tuple(attempt for attempt in picture.attempts if not attempt.was_asked and "breaker" in attempt.message),
            tuple(_bars(picture, longest_s)),
        )
        for picture in rehearsal.pictures
    ]


def _bars(picture: RehearsedPicture, longest_s: float) -> Iterator[Bar]:
    for attempt in picture.attempts:
        if attempt.was_asked:
            x = 100 * attempt.begins_s / longest_s
            width = max(MIN_WIDTH, 100 * attempt.took_s / longest_s)
            yield Bar(round(min(x, 100 - MIN_WIDTH), 2), round(width, 2), attempt.outcome)
