from __future__ import annotations

import base64
import pickle

import pytest

from mediagen.secrets import MASK, Secret, scrub

PLANTED = "sekrit-planted-0123456789"


def test_a_secret_shows_itself_to_nobody():
    secret = Secret(PLANTED)
    assert PLANTED not in f"{secret} {secret!r} {[secret]} {vars(type(secret))}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize(
    "form", [PLANTED, base64.b64encode(PLANTED.encode()).decode(), "a/b+c=d key", "a%2Fb%2Bc%3Dd%20key"]
)
def test_every_form_is_taken_out(form):
    assert scrub(f"<<{form}>>", [Secret(PLANTED), "a/b+c=d key"]) == f"<<{MASK}>>"


@pytest.mark.parametrize(
    "cased", [PLANTED.upper(), PLANTED.title(), base64.b64encode(PLANTED.upper().encode()).decode()]
)
def test_case_hides_nothing(cased):
    assert scrub(f"<<{cased}>>", [Secret(PLANTED)]) == f"<<{MASK}>>"


def test_nor_do_escapes_of_json():
    assert scrub('<<a\\"b\\/C-D>>', ['a"b/c-d']) == f"<<{MASK}>>"


def test_nor_do_those_of_python():
    account = '{"private_key": "-----BEGIN\\nabc"}'
    assert scrub(repr({"text": account}), [account]) == repr({"text": MASK})


@pytest.mark.parametrize(
    "text", ["sk-abcdefgh12345678", "r8_abcdefgh12345678", "figd_abcdefgh12345678", "Bearer abcdefghijklmnop1234"]
)
def test_what_looks_like_a_key_goes_too(text):
    assert scrub(f"Incorrect API key provided: {text}.") == f"Incorrect API key provided: {MASK}."


def test_ordinary_text_stays():
    text = "402: You have 3 credits; task-force sketch of a risk-averse desk"
    assert scrub(text, [Secret(""), Secret("abc")]) == text


def test_the_fingerprint_changes_with_the_value():
    assert Secret("a").fingerprint() != Secret("b").fingerprint()
