import base64
import json

import pytest

from mediagen.errors import BadResponse
from mediagen.http import Response, taken
from mediagen.providers.inline import picture_bytes

PICTURE = bytes(range(256)) * 400
TEXT = base64.b64encode(PICTURE).decode()


def answer(text, status=200):
    return Response(status, {}, text.encode() if isinstance(text, str) else text, "https://vendor.example/")


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"data:image/png;base64,{TEXT}",
        "\r\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)),
        TEXT.rstrip("="),
        base64.urlsafe_b64encode(PICTURE).decode(),
    ],
    ids=["plain", "data URL", "lines", "without padding", "URL-safe"],
)
@pytest.mark.parametrize("form", [str, lambda text: memoryview(text.encode())], ids=["text", "bytes"])
def test_a_paid_picture_is_read_however_it_is_written(text, form):
    assert picture_bytes(form(text)) == PICTURE


@pytest.mark.parametrize("text", ["", None, 7, "no, thänks", TEXT[:-1] + "*", "A" * 5])
def test_what_is_no_base64_says_so(text):
    with pytest.raises(BadResponse):
        picture_bytes(text)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n", " :\n\t")])
def test_a_long_value_is_taken_out_of_the_json(separators):
    whole = {"created": 1, "data": [{"revised_prompt": 'the key "b64_json": "x"', "b64_json": TEXT}], "usage": {"n": 2}}
    found, value = answer(json.dumps(whole, separators=separators)).json_object_and("b64_json")
    assert bytes(value) == TEXT.encode()
    assert taken(found["data"][0].pop("b64_json"), value) is value
    del whole["data"][0]["b64_json"]
    assert found == whole


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"b64_json": "short"}),
        json.dumps({"b64_json": None}),
        json.dumps({"other": TEXT}),
        '{"b64_json": "' + TEXT.replace("A", "\\u0041") + '"}',
        json.dumps({"b64_json": TEXT})[: len(TEXT) // 2],
    ],
    ids=["short", "null", "another key", "escaped", "cut off"],
)
def test_what_cannot_be_taken_out_is_decoded_as_always(text):
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(BadResponse):
            answer(text).json_object_and("b64_json")
    else:
        assert answer(text).json_object_and("b64_json") == (expected, None)


def test_a_json_that_is_no_object_is_refused():
    with pytest.raises(BadResponse, match="list"):
        answer(json.dumps([{"b64_json": TEXT}])).json_object_and("b64_json")
