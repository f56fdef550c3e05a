"""Room for bodies: first come, first served; nothing is lost by a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from mediagen.http.bodies import BodyRoom, body_room, needs_room, take_room


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_fits_does_not_wait_and_the_rest_comes_in_order():
    room = BodyRoom(100)
    got: list[str] = []

    async def body(name: str, size: int, over: asyncio.Event) -> None:
        await room.take(size)
        got.append(name)
        await over.wait()
        room.give_back(size)

    ends = {name: asyncio.Event() for name in "abcd"}
    sizes = {"a": 60, "b": 40, "c": 90, "d": 10}
    tasks = [asyncio.create_task(body(name, sizes[name], ends[name])) for name in "abcd"]
    await settle()
    assert got == ["a", "b"]
    ends["b"].set()
    await settle()
    assert got == ["a", "b"]  # d would fit, but c was first
    ends["a"].set()
    await settle()
    assert got == ["a", "b", "c", "d"]
    for end in ends.values():
        end.set()
    await asyncio.gather(*tasks)
    assert room.taken_bytes == 0


async def test_one_that_is_larger_than_the_room_gets_in_alone():
    room = BodyRoom(100)
    await room.take(10)
    large = asyncio.create_task(room.take(1000))
    await settle()
    assert not large.done()
    room.give_back(10)
    await large
    small = asyncio.create_task(room.take(1))
    await settle()
    assert not small.done()
    room.give_back(1000)
    await small


async def test_one_that_gives_up_waiting_lets_in_who_is_behind():
    room = BodyRoom(100)
    await room.take(60)
    first, second = asyncio.create_task(room.take(50)), asyncio.create_task(room.take(40))
    await settle()
    first.cancel()
    await settle()
    assert second.done()
    assert room.taken_bytes == 100


async def test_a_cancellation_when_the_room_has_just_been_given():
    room = BodyRoom(100)
    await room.take(100)
    waiting = asyncio.create_task(room.take(100))
    await settle()
    room.give_back(100)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert room.taken_bytes == 0


async def test_a_body_that_grows_does_not_wait_again():
    room = BodyRoom(100)
    async with body_room(room) as give_back:
        assert needs_room(80)
        await take_room(80)
        assert not needs_room(80)
        await take_room(300)
        assert room.taken_bytes == 300
        give_back()
        assert room.taken_bytes == 0
    assert room.taken_bytes == 0


async def test_without_a_limit_there_is_room():
    assert not needs_room(10**12)
    await take_room(10**12)
