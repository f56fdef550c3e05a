"""The placeholder at the end of the chain."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from hypothesis import given
from hypothesis import strategies as st

from mediagen import images
from mediagen.chain import MediaGeneratorChain
from mediagen.errors import InvalidRequest
from mediagen.providers import FluxAdapter, NoOpMediaAdapter
from mediagen.types import Call, reset_current_call, set_current_call
from tests.providers.wire import Wire, answer

# Neither NUL nor half a character: those are nonsense, and refused.
prompts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200).filter(str.strip)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_placeholder_of_the_asked_size_that_says_what_it_is(dry_run):
    made = await NoOpMediaAdapter(dry_run=dry_run).generate_image("a red fox", 320, 200)
    assert images.inspect(made.content).sha256 == made.sha256
    assert (made.width, made.height, made.format) == (320, 200, "png")
    assert (made.is_placeholder, made.cost, made.dry_run) == (True, 0, dry_run)
    assert {"dry_run": dry_run}.items() <= made.metadata.items()
    assert (made.provider_name, made.model_name) == ("noop_media", "placeholder")
    assert (made.fit_report, made.provider_job_id) == ({}, "")


async def test_the_calls_word_on_dry_runs_is_taken():
    token = set_current_call(Call(dry_run=False))
    try:
        assert (await NoOpMediaAdapter(dry_run=True).generate_image("a red fox", 64, 64)).dry_run is False
    finally:
        reset_current_call(token)


async def test_the_same_request_gives_the_same_bytes_and_another_one_others():
    async def content(prompt="a red fox", **options) -> bytes:
        return (await NoOpMediaAdapter().generate_image(prompt, 128, 128, **options)).content

    assert await content() == await content()
    assert await content(seed=1) == await content(seed=1)
    different = [await content(), await content("a grey wolf"), await content(seed=1), await content(seed=2)]
    different.append(await content(negative_prompt="dogs"))
    assert len(set(different)) == 5


async def test_seed_and_negative_prompt_are_honoured_and_options_reported():
    made = await NoOpMediaAdapter().generate_image("a red fox", 64, 64, seed=7, negative_prompt="dogs", steps=30)
    assert made.seed == 7
    assert list(made.fit_report) == ["options.steps"]


@given(st.integers(1, 400), st.integers(1, 400), prompts)
def test_every_request_that_is_no_nonsense_gets_its_picture(width, height, prompt):
    made = async_to_sync(NoOpMediaAdapter().generate_image)(prompt, width, height)
    assert (made.width, made.height) == (width, height)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [(("",), "prompt"), (("   ",), "prompt"), (("x", 0), "width"), (("x", 64, -1), "height"), (("x", 64.0), "width")],
)
async def test_nonsense_is_refused(arguments, field):
    with pytest.raises(InvalidRequest) as raised:
        await NoOpMediaAdapter().generate_image(*arguments)
    assert raised.value.field == field


async def test_it_is_always_there():
    with Wire(answer(500)) as wire:
        report = await NoOpMediaAdapter(dry_run=False).probe()
        assert await NoOpMediaAdapter(dry_run=False).check_health() is True
    assert (report.ok, wire.requests) == (True, [])
    assert NoOpMediaAdapter(dry_run=False).is_configured


async def test_it_ends_a_chain_that_has_nobody_else():
    chain = MediaGeneratorChain([FluxAdapter(dry_run=False), NoOpMediaAdapter(dry_run=False)])
    outcome = await chain.execute("generate_image", prompt="a red fox", width=64, height=64)
    assert (outcome.served_by, outcome.result.is_placeholder) == ("noop_media", True)
    assert outcome.attempts[-1].billable is False
    assert "BFL_API_KEY" in outcome.attempts[0].message
