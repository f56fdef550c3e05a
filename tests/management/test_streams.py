"""Output that fails touches no work: characters it does not have, a reader who has left, a full disk."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from mediagen.management.streams import ForgivingStream
from mediagen.models import ApiToken, MediaAsset


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_characters_that_the_output_does_not_have_are_replaced():
    raw = io.BytesIO()
    stream = ForgivingStream(io.TextIOWrapper(raw, encoding="latin-1"))
    stream.write("a fox \U0001f98a, caf\xe9\n")
    assert raw.getvalue() == b"a fox ?, caf\xe9\n"


def test_what_cannot_be_written_to_is_silent_from_then_on_and_says_so_once():
    told = []
    stream = ForgivingStream(Full())
    stream.when_gone = lambda: told.append(1)
    stream.write("one\n")
    stream.write("two\n")
    stream.flush()
    assert stream.is_gone
    assert told == [1]
    assert not stream.isatty()


def test_a_reader_who_has_left_is_noticed_before_anything_is_written():
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        stream = ForgivingStream(pipe)
        stream.look()
        assert not stream.is_gone
        os.close(reading)
        stream.look()
        assert stream.is_gone


def test_a_process_without_standard_output_is_no_fault():
    stream = ForgivingStream(None)
    stream.write("words\n")
    stream.flush()
    stream.look()
    assert not stream.is_gone
    assert not stream.isatty()


@pytest.mark.django_db
def test_nothing_is_begun_for_an_output_that_is_gone_already():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe, pytest.raises(CommandError) as caught:
        call_command("generate_assets", "a cat", "a dog", stdout=pipe)
    assert caught.value.returncode == 3
    assert "with 2 of 2 not made" in str(caught.value)
    assert set(MediaAsset.objects.values_list("generation_state", flat=True)) == {"interrupted"}


@pytest.mark.django_db
def test_a_token_that_could_not_be_shown_is_told(admin_user):
    with pytest.raises(CommandError) as caught:
        call_command("mediagen_token", "create", admin_user.get_username(), stdout=Full(), stderr=io.StringIO())
    assert str(ApiToken.objects.get().pk) in str(caught.value)


def test_the_third_signal_ends_what_hangs():
    script = """
import asyncio, django
django.setup()
from mediagen.management.signals import run_until_told
class Stubborn:
    def stop(self): pass
    stop_now = stop
    async def run(self, until):
        say("begun")
        await asyncio.sleep(60)
def say(text): print(text, flush=True)
run_until_told(Stubborn(), None, say)
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for words in ("begun", "Once more stops at once", "Once more leaves without a word"):
        assert words in process.stdout.readline()
        process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(10) == -signal.SIGINT
