"""What pictures show, asked of those that can see: the requests, what every answer is taken for, and what it costs."""

from __future__ import annotations

import base64
from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image

from mediagen.chain import MediaGeneratorChain
from mediagen.descriptions import MOST_CHARS, DescribeRequest, one_line, shortened
from mediagen.errors import BadResponse, InvalidRequest, Outcome, Refused, UnsupportedRequest
from mediagen.providers import GeminiAdapter, NoOpMediaAdapter, OpenAIImagesAdapter, SDXLAdapter
from mediagen.secrets import scrub
from mediagen.types import GeneratedImage
from tests import pictures
from tests.providers.wire import Wire, answer, json_of
from tests.servers import Fault

KEY = "sk-planted/secret+0123456789"
PRICES = {"describe_input_price": 2, "describe_output_price": 8}
MODELS = {OpenAIImagesAdapter: "gpt-sees", GeminiAdapter: "gemini-sees"}
BOTH = pytest.mark.parametrize("adapter", MODELS)


def seeing(adapter, **options):
    given = {"api_key": KEY, "dry_run": False, "describe_model": MODELS[adapter], **PRICES, **options}
    return adapter(**given)


def picture(width=64, height=48) -> GeneratedImage:
    return GeneratedImage(content=pictures.png(width, height), format="png", width=width, height=height)


def chat(content, *, reason="stop", refusal=None, usage=(1000, 50)):
    message = {"role": "assistant", "content": content, "refusal": refusal}
    counted = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True))
    return answer(
        json={
            "id": "chatcmpl-1",
            "model": "gpt-sees-1",
            "choices": [{"message": message, "finish_reason": reason}],
            "usage": counted,
        }
    )


def gemini(*parts, reason="STOP", usage=(1000, 30, 20), **more):
    counted = dict(zip(("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"), usage, strict=True))
    body = {"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason}], **more}
    return answer(json={**body, "usageMetadata": counted})


# ---------------------------------------------------------------- at the strict servers


@BOTH
async def test_the_server_takes_it_and_it_costs_what_was_counted(adapter, provider_servers):
    server = provider_servers[adapter.name]
    provider = seeing(adapter, api_key=server.key, base_url=server.base_url)
    said = await provider.describe_image(picture(3000, 2000), "de", 80)
    assert (said.text, said.language, said.provider_name) == ("A lighthouse at dawn.", "de", adapter.name)
    [bought] = server.purchases
    assert "German (de)" in bought.prompt
    assert "80 characters" in bought.prompt
    assert Decimal(0) < said.cost < provider.estimate_describe(image=picture())


@BOTH
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault.no_picture(), Outcome.BAD_RESPONSE),
        (Fault.moderation(), Outcome.REFUSED),
        (Fault.http(503), Outcome.UNAVAILABLE),
        (Fault.http(401), Outcome.MISCONFIGURED),
        (Fault.rate_limited(), Outcome.RATE_LIMITED),
        (Fault.truncated_body(), Outcome.BAD_RESPONSE),
        (Fault.reset_after_body_read(), Outcome.UNKNOWN),
    ],
    ids=str,
)
async def test_each_fault_is_named_and_buys_nothing_twice(adapter, fault, outcome, provider_servers, settings):
    settings.MEDIAGEN = {"RETRIES": 0}
    server = provider_servers[adapter.name]
    server.fault("submit", fault, times=None)
    chain = MediaGeneratorChain([seeing(adapter, api_key=server.key, base_url=server.base_url), NoOpMediaAdapter()])
    done = await chain.execute("describe_image", image=picture(), dry_run=False)
    assert done.result is None, "a placeholder is no description"
    assert done.attempts[0].outcome is outcome
    assert done.attempts[0].model_name == MODELS[adapter]
    assert len(server.purchases) <= 1


# ---------------------------------------------------------------- what is sent


async def test_the_picture_leaves_small_and_bare():
    buffer = BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "PLANTED place"
    Image.new("RGBA", (3000, 1500), (10, 200, 30, 0)).convert("RGB").save(buffer, "JPEG", exif=exif, comment="PLANTED")
    given = GeneratedImage(content=buffer.getvalue(), format="jpeg", width=3000, height=1500)
    with Wire(chat("A green field.")) as wire:
        await seeing(OpenAIImagesAdapter, organization="org-1").describe_image(given, "pt_BR", 100)
    sent = json_of(wire.only)
    assert str(wire.only.url) == "https://api.openai.com/v1/chat/completions"
    assert wire.only.headers["openai-organization"] == "org-1"
    assert (sent["model"], set(sent)) == ("gpt-sees", {"model", "messages", "max_completion_tokens"})
    [text, image] = sent["messages"][0]["content"]
    assert "Brazilian Portuguese (pt-br)" in text["text"]
    content = base64.b64decode(image["image_url"]["url"].partition(",")[2])
    with Image.open(BytesIO(content)) as opened:
        assert (opened.format, opened.size, dict(opened.getexif())) == ("JPEG", (1024, 512), {})
    assert b"PLANTED" not in content


async def test_another_server_is_asked_with_the_word_that_it_knows():
    with Wire(chat("x y")) as wire:
        await seeing(
            OpenAIImagesAdapter, dialect="generic", base_url="http://127.0.0.1:1/v1", model="m"
        ).describe_image(picture())
    assert "max_tokens" in json_of(wire.only)


# ---------------------------------------------------------------- what comes back


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('"A red fox\nin the snow."', "A red fox in the snow."),
        ("\u201eEin Fuchs\u201c", "Ein Fuchs"),
        ('"Yes" and "no" on a sign', '"Yes" and "no" on a sign'),
        (
            "a\u202eb \u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "a b \u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        (f"the key is {KEY} here", f"the key is {scrub(KEY, [KEY])} here"),
    ],
)
async def test_the_words_are_kept_as_one_clean_line(said, kept):
    with Wire(chat(said)):
        found = await seeing(OpenAIImagesAdapter).describe_image(picture())
    assert found.text == kept
    assert (found.cost, found.model_name) == (Decimal("0.0024"), "gpt-sees-1")


async def test_too_long_a_text_is_cut_behind_a_word_and_said():
    with Wire(chat("word " * 60)):
        found = await seeing(OpenAIImagesAdapter).describe_image(picture(), max_chars=42)
    assert found.text == "word word word word word word word word…"
    assert found.fit_report["text"]["made"] == 299


@pytest.mark.parametrize(
    ("adapter", "said", "error", "match"),
    [
        (OpenAIImagesAdapter, chat(None, refusal="I can't help with that."), Refused, "can't help"),
        (OpenAIImagesAdapter, chat("", reason="content_filter"), Refused, "filter"),
        (OpenAIImagesAdapter, chat("", reason="length"), BadResponse, "thinking"),
        (OpenAIImagesAdapter, chat('" "'), BadResponse, "without words"),
        (
            OpenAIImagesAdapter,
            answer(json={"usage": {"prompt_tokens": 1000, "completion_tokens": 50}}),
            BadResponse,
            "without words",
        ),
        (GeminiAdapter, gemini({"text": "only thought", "thought": True}), BadResponse, "no description"),
        (GeminiAdapter, gemini({"text": "half a sen"}, reason="SAFETY"), Refused, "SAFETY"),
        (GeminiAdapter, gemini(promptFeedback={"blockReason": "SAFETY"}), Refused, "prompt"),
    ],
)
async def test_what_is_no_description_says_so_and_what_it_cost(adapter, said, error, match):
    with Wire(said), pytest.raises(error, match=match) as caught:
        await seeing(adapter).describe_image(picture())
    assert caught.value.cost == Decimal("0.0024")


# ---------------------------------------------------------------- prices, dry run, what cannot be


def test_a_price_is_known_when_both_are_set_else_what_the_site_holds():
    assert seeing(OpenAIImagesAdapter).estimate_describe() == Decimal("0.068")
    half = {"describe_input_price": 2, "describe_output_price": None}
    assert seeing(OpenAIImagesAdapter, **half).estimate_describe() is None
    assert seeing(OpenAIImagesAdapter, **half, price_when_unknown="0.05").estimate_describe() == Decimal("0.05")


async def test_without_a_model_it_is_passed_over_with_what_to_set():
    chain = MediaGeneratorChain([OpenAIImagesAdapter(KEY, dry_run=False), SDXLAdapter(KEY, dry_run=False)])
    with Wire() as wire:
        done = await chain.execute("describe_image", image=picture())
    assert wire.requests == []
    assert "describe_model" in done.attempts[0].message
    assert [attempt.outcome for attempt in done.attempts] == [Outcome.SKIPPED, Outcome.SKIPPED]


async def test_a_dry_run_says_that_it_is_one_and_is_the_same_again():
    chain = MediaGeneratorChain([seeing(GeminiAdapter), NoOpMediaAdapter()], dry_run=True)
    first, again = [await chain.execute_describe_image(picture(), "fr") for _ in range(2)]
    assert first == again
    assert first.text.startswith("Dry run: gemini was not asked")
    assert (first.dry_run, first.cost, first.language) == (True, 0, "fr")
    assert (await MediaGeneratorChain([NoOpMediaAdapter()], dry_run=True).execute_describe_image(picture())).dry_run
    with pytest.raises(UnsupportedRequest):
        await NoOpMediaAdapter(dry_run=False).describe_image(picture())


async def test_a_foreign_provider_may_answer_with_plain_text_and_is_stood_in_for():
    class Sees:
        def get_name(self):
            return "sees"

        async def check_health(self):
            return True

        async def describe_image(self, image, language="en", max_chars=160):
            return "  Two\nboats "

    chain = MediaGeneratorChain([Sees()])
    assert (await chain.execute_describe_image(picture())).text == "Two boats"
    assert (await chain.execute("describe_image", image=picture(), dry_run=True)).result.dry_run


@pytest.mark.parametrize(
    "wrong", [{"language": "x"}, {"language": "e n"}, {"max_chars": MOST_CHARS + 1}, {"max_chars": True}]
)
def test_what_cannot_be_asked_is_said_before(wrong):
    with pytest.raises(InvalidRequest) as caught:
        DescribeRequest.checked(image=picture(), **wrong)
    assert caught.value.field in wrong


def test_texts_are_cut_and_cleaned():
    assert (shortened("a" * 30, 20), shortened("ab cd", 5)) == ("a" * 19 + "…", "ab cd")
    assert (one_line("a\x00b\ud800 \u2028c"), one_line(7)) == ("a b c", "")
