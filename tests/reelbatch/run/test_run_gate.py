"""One line for claims: first come first served, and one job never holds another up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from reelbatch.ledger.claims import Claim, Claimed, Stop, Wait
from reelbatch.run.gate import Gate
from tests.reelbatch.run.virtual_time import now, run_ahead


def claimed(name: str) -> Claimed:
    return Claimed(attempt_id=name, token="token", n=1, claimed_at=datetime.now(UTC))


class Ledger:
    """Has so many places; notes who asked."""

    def __init__(self, places: int = 0) -> None:
        self.places = places
        self.asked: list[str] = []

    def wants(self, name: str) -> Callable[[], Coroutine[Any, Any, Claim]]:
        async def attempt() -> Claim:
            self.asked.append(name)
            await asyncio.sleep(0.001)
            if not self.places:
                return Wait(reason="window")
            self.places -= 1
            return claimed(name)

        return attempt


async def nobody_parked() -> None:
    return None


async def nobody_paused() -> bool:
    return False


async def settled() -> None:
    """Everybody has done what can be done now, and half a second is over."""
    await asyncio.sleep(0.5)


def test_who_comes_first_is_served_first() -> None:
    async def story() -> None:
        gate, ledger, served = Gate(nobody_parked, nobody_paused), Ledger(), list[str]()

        async def one(name: str) -> None:
            answer = await gate.claim(ledger.wants(name))
            assert isinstance(answer, Claimed)
            served.append(answer.attempt_id)
            gate.place_freed()

        everybody = asyncio.gather(*(one(name) for name in "abcde"))
        await settled()
        ledger.places = 5
        gate.place_freed()
        await everybody
        assert served == list("abcde")

    run_ahead(story())


def test_only_the_first_in_line_asks_the_ledger() -> None:
    async def story() -> None:
        gate, ledger = Gate(nobody_parked, nobody_paused), Ledger()
        line = [asyncio.create_task(gate.claim(ledger.wants(name))) for name in "abc"]
        await asyncio.wait(line, timeout=10)
        assert set(ledger.asked) == {"a"}
        assert len(ledger.asked) < 15
        gate.close()
        await asyncio.gather(*line)

    run_ahead(story())


def test_a_place_that_is_freed_wakes_the_first_at_once() -> None:
    async def story() -> None:
        gate, ledger = Gate(nobody_parked, nobody_paused), Ledger()
        first = asyncio.create_task(gate.claim(ledger.wants("a")))
        await settled()
        ledger.places, before = 1, now()
        gate.place_freed()
        await first
        assert now() - before < 0.1

    run_ahead(story())


def test_who_waits_for_a_probe_goes_on_once_it_is_answered() -> None:
    """And not a second later, when it would look again by itself."""

    async def story() -> None:
        gate, answers = Gate(nobody_parked, nobody_paused), list[Claim]()

        async def parked() -> Claim:
            soon = datetime.now(UTC) + timedelta(seconds=4)
            return answers.pop() if answers else Wait(reason="parked", until=soon)

        first = asyncio.create_task(gate.claim(parked))
        await settled()
        answers.append(claimed("a"))
        before = now()
        gate.probe_answered()
        await first
        assert now() - before < 0.1

    run_ahead(story())


def test_a_place_that_another_process_freed_is_found_without_a_word() -> None:
    async def story() -> None:
        gate, ledger = Gate(nobody_parked, nobody_paused), Ledger()
        first = asyncio.create_task(gate.claim(ledger.wants("a")))
        await settled()
        ledger.places = 1
        assert isinstance(await asyncio.wait_for(first, 5), Claimed)

    run_ahead(story())


def test_what_is_a_jobs_own_matter_leaves_the_line_at_once() -> None:
    async def story() -> None:
        gate, ledger = Gate(nobody_parked, nobody_paused), Ledger(places=1)
        twin = Wait(reason="twin", job_id="the-other")
        later = Wait(reason="later", until=datetime.now(UTC) + timedelta(hours=1))

        async def says(answer: Claim) -> Claim:
            return answer

        answers = tuple(
            await asyncio.gather(
                gate.claim(lambda: says(twin)),
                gate.claim(lambda: says(later)),
                gate.claim(ledger.wants("a")),
            )
        )
        assert answers[:2] == (twin, later)
        assert isinstance(answers[2], Claimed)
        assert now() < 0.1

    run_ahead(story())


def test_closing_sends_everybody_home() -> None:
    async def story() -> None:
        gate, ledger = Gate(nobody_parked, nobody_paused), Ledger()
        line = [asyncio.create_task(gate.claim(ledger.wants(name))) for name in "abc"]
        await settled()
        gate.close()
        assert await asyncio.gather(*line) == [None, None, None]
        assert await gate.claim(ledger.wants("late")) is None
        assert "late" not in ledger.asked

    run_ahead(story())


def test_a_stop_is_told_once_and_closes_the_gate() -> None:
    async def story() -> None:
        gate, ledger = Gate(nobody_parked, nobody_paused), Ledger(places=1)
        stop = Stop(reason="budget")

        async def says() -> Claim:
            return stop

        first, second = await asyncio.gather(gate.claim(says), gate.claim(ledger.wants("a")))
        assert (first, second) == (stop, None)
        assert gate.closed.is_set()

    run_ahead(story())


def test_while_the_account_is_parked_somebody_decides_whether_to_go_on_waiting() -> None:
    async def story() -> None:
        looked: list[float] = []

        async def look() -> None:
            looked.append(now())
            if len(looked) == 3:
                gate.close()

        gate = Gate(look, nobody_paused)
        later = datetime.now(UTC) + timedelta(hours=1)

        async def parked() -> Claim:
            return Wait(reason="parked", until=later)

        assert await gate.claim(parked) is None
        assert len(looked) == 3
        assert now() < 60

    run_ahead(story())


def test_a_claim_that_breaks_lets_the_next_one_in() -> None:
    async def story() -> None:
        gate, ledger = Gate(nobody_parked, nobody_paused), Ledger(places=1)

        async def breaks() -> Claim:
            raise OSError("the disk is full")

        first, second = await asyncio.gather(
            gate.claim(breaks), gate.claim(ledger.wants("a")), return_exceptions=True
        )
        assert isinstance(first, OSError)
        assert isinstance(second, Claimed)

    run_ahead(story())


def test_once_there_are_places_the_next_few_ask_together() -> None:
    async def story() -> None:
        gate, ledger = Gate(nobody_parked, nobody_paused), Ledger(places=15)
        line = [gate.claim(ledger.wants(str(n))) for n in range(15)]
        answers = await asyncio.gather(*line)
        assert all(isinstance(answer, Claimed) for answer in answers)
        assert now() < 0.005  # 1, 2, 4 and 8 of them, a millisecond each

    run_ahead(story())


def test_after_a_refusal_only_the_first_asks_again() -> None:
    async def story() -> None:
        gate, ledger = Gate(nobody_parked, nobody_paused), Ledger(places=7)
        line = [asyncio.create_task(gate.claim(ledger.wants(str(n)))) for n in range(20)]
        await settled()
        ledger.asked.clear()
        await asyncio.wait(line[7:], timeout=10)
        assert set(ledger.asked) == {"7"}
        gate.close()
        assert (await asyncio.gather(*line))[7:] == [None] * 13

    run_ahead(story())


def test_one_whose_question_breaks_keeps_nobody_waiting() -> None:
    async def story() -> None:
        gate, ledger = Gate(nobody_parked, nobody_paused), Ledger(places=2)

        async def breaks() -> Claim:
            raise OSError("no disk")

        answers = await asyncio.gather(
            gate.claim(ledger.wants("a")),
            gate.claim(breaks),
            gate.claim(ledger.wants("b")),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [Claimed, OSError, Claimed]

    run_ahead(story())
