"""Options as data: what is taken, what is converted, and what the refusal says."""

from __future__ import annotations

import pytest

from mediagen.providers import Option
from mediagen.providers.options import clean_options

STEPS = Option(kind="int", minimum=10, maximum=50)
SCALE = Option(kind="float", minimum=0, maximum=35)
TIER = Option(kind="choice", choices=("low", "high"))
ACCOUNT = Option(kind="text", pattern=r"[a-z\-]+", max_length=8)
RAW = Option(kind="bool")


@pytest.mark.parametrize(
    ("option", "value", "cleaned"),
    [
        (STEPS, 30, 30),
        (STEPS, "30", 30),
        (STEPS, 30.0, 30),
        (SCALE, "7.5", 7.5),
        (SCALE, 0, 0),
        (TIER, "low", "low"),
        (ACCOUNT, "org-a", "org-a"),
        (RAW, True, True),
        (RAW, "no", False),
        (RAW, "ON", True),
        (RAW, 0, False),
    ],
)
def test_values_that_fit(option, value, cleaned):
    found = option.clean(value)
    assert found == cleaned
    assert type(found) in (type(cleaned), float)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        (STEPS, 9, "from 10 to 50, not 9"),
        (STEPS, 51, "from 10 to 50"),
        (STEPS, 30.5, "a whole number"),
        (STEPS, "many", "a whole number, not 'many'"),
        (STEPS, True, "not True"),
        (STEPS, [30], "a whole number"),
        (STEPS, float("nan"), "a whole number"),
        (STEPS, float("inf"), "a whole number"),
        (SCALE, float("nan"), "a number, not nan"),
        (SCALE, float("inf"), "a number, not inf"),
        (SCALE, "1" * 5000, "a number"),
        (TIER, "medium", "one of low, high"),
        (TIER, 1, "must be text, not int"),
        (ACCOUNT, "org a", r"must match [a-z\-]+"),
        (ACCOUNT, "org-a\n", "must match"),
        (ACCOUNT, "org-org-org", "at most 8 characters, not 11"),
        (RAW, "perhaps", "true or false"),
        (RAW, 2, "true or false"),
        (Option(kind="int", minimum=1), 0, "from 1, not 0"),
        (Option(kind="int", maximum=1), 2, "to 1, not 2"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_what_would(option, value, says):
    with pytest.raises(ValueError, match="must") as caught:
        option.clean(value)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 200


def test_clean_options_sorts_out_names_and_leaves_out_none():
    cleaned, unknown = clean_options({"steps": STEPS, "tier": TIER}, {"steps": "20", "tier": None, "colour": "red"})
    assert cleaned == {"steps": 20}
    assert unknown == ["colour"]


def test_the_first_wrong_option_is_named():
    with pytest.raises(ValueError, match=r"^option tier must be one of low, high; not 'x'\.$"):
        clean_options({"tier": TIER}, {"tier": "x"})
