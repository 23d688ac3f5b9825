"""A POST is seen through to its answer, whatever ends around it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from reelbatch.run import unshaken
from reelbatch.run.unshaken import all_ended, see_through


class Evicted(BaseException):
    """As Prefect's signal handler has it: it goes right through the loop."""


class Wire:
    """An answer that comes once it is let."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()
        self.written: list[str] = []

    async def post(self) -> str:
        try:
            await self.answer.wait()
            self.written.append("answered")
        except asyncio.CancelledError:
            self.written.append("in doubt")
            raise
        return "accepted"


def ended_in_the_middle(wire: Wire, work: Coroutine[Any, Any, Any], answer: bool) -> None:
    """A loop that is ended while the work waits; the answer, if any, comes after that."""

    async def story() -> None:
        kept = asyncio.ensure_future(work)
        await asyncio.sleep(0)
        if answer:
            asyncio.get_running_loop().call_later(0.05, wire.answer.set)
        await asyncio.sleep(0)
        assert not kept.done()
        raise Evicted

    with pytest.raises(Evicted):
        asyncio.run(story())


def test_a_loop_that_ends_waits_for_the_answer() -> None:
    wire = Wire()
    ended_in_the_middle(wire, see_through(wire.post(), gone=asyncio.Event()), answer=True)
    assert wire.written == ["answered"]


def test_a_loop_that_ends_waits_no_longer_than_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unshaken, "DRAIN_SECONDS", 0.05)
    wire = Wire()
    ended_in_the_middle(wire, see_through(wire.post(), gone=asyncio.Event()), answer=False)
    assert wire.written == ["in doubt"]


def test_the_work_s_own_time_limit_holds_meanwhile() -> None:
    wire = Wire()

    async def limited() -> None:
        try:
            async with asyncio.timeout(0.05):
                await wire.post()
        except TimeoutError:
            wire.written.append("no answer")

    ended_in_the_middle(wire, see_through(limited(), gone=asyncio.Event()), answer=False)
    assert wire.written == ["in doubt", "no answer"]


async def test_told_to_go_twice_it_still_waits() -> None:
    wire = Wire()
    work = asyncio.create_task(see_through(wire.post(), gone=asyncio.Event()))
    for _ in range(3):
        await asyncio.sleep(0)
        work.cancel()
    await asyncio.sleep(0)
    wire.answer.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert wire.written == ["answered"]


async def test_once_everybody_is_gone_nothing_is_waited_for() -> None:
    wire, gone = Wire(), asyncio.Event()
    work = asyncio.create_task(see_through(wire.post(), gone=gone))
    await asyncio.sleep(0)
    gone.set()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert wire.written == ["in doubt"]


async def test_undisturbed_it_is_the_work_s_own_result() -> None:
    wire = Wire()
    wire.answer.set()
    assert await see_through(wire.post(), gone=asyncio.Event()) == "accepted"


async def test_a_shard_told_to_go_twice_still_waits_for_its_posts() -> None:
    wire = Wire()
    post = asyncio.create_task(wire.post())
    shard = asyncio.create_task(all_ended([post]))
    for _ in range(2):
        await asyncio.sleep(0)
        shard.cancel()
    await asyncio.sleep(0)
    assert not shard.done()
    wire.answer.set()
    with pytest.raises(asyncio.CancelledError):
        await shard
    assert post.result() == "accepted"
