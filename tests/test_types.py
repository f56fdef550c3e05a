from __future__ import annotations

import time

import pytest

from mediagen.errors import InvalidRequest
from mediagen.types import GeneratedImage, GenerationRequest, uuid7


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"prompt": "a\ud800"}, "prompt"),
        ({"prompt": "x", "negative_prompt": "\x00"}, "negative_prompt"),
        ({"prompt": "x", "width": 0}, "width"),
        ({"prompt": "x", "width": -5}, "width"),
        ({"prompt": "x", "width": 10**9}, "width"),
        ({"prompt": "x", "width": True}, "width"),
        ({"prompt": "x", "height": "1024"}, "height"),
        ({"prompt": "x", "height": 10.5}, "height"),
        ({"prompt": "x", "seed": -1}, "seed"),
        ({"prompt": "x", "seed": 2**63}, "seed"),
        ({"prompt": "x", "seed": "1"}, "seed"),
    ],
)
def test_nonsense_is_refused_with_the_name_of_the_argument(arguments, field):
    with pytest.raises(InvalidRequest) as refused:
        GenerationRequest.checked(**arguments)
    assert refused.value.field == field
    assert field in str(refused.value)


@pytest.mark.parametrize(
    "prompt",
    ["a", "\U0001f9d1\u200d\U0001f680 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u65e5\u672c\u8a9e", "x" * 1_000_000],
)
def test_any_text_is_a_prompt(prompt):
    assert GenerationRequest.checked(prompt=prompt).prompt == prompt


def test_the_repr_of_a_picture_is_short():
    assert len(repr(GeneratedImage(content=b"x" * 10_000, provider_name="flux"))) < 100


def test_ids_are_time_ordered_version_7():
    first = uuid7()
    time.sleep(0.002)
    second = uuid7()
    assert first < second
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
