"""One queue of looks for all jobs: a status read never fails a job, and all keep one pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import Completed, Gone, Running, Status, Submission
from reelbatch.run.polling import Poller
from reelbatch.run.watches import Overdue
from tests.reelbatch.run.simulated_fal import SimulatedFal, new_poller, submission
from tests.reelbatch.run.virtual_time import now, run_ahead


@asynccontextmanager
async def at_work(poller: Poller) -> AsyncIterator[Poller]:
    work = asyncio.create_task(poller.work())
    yield poller
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


class Answers:
    """Says these one after the other, the last one for ever; an exception is raised."""

    def __init__(self, *answers: Status | Exception) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, asked: Submission) -> Status:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_status_that_cannot_be_read_is_read_again() -> None:
    ask = Answers(Transient("no answer"), Transient("502"), Completed(inference_seconds=3.0))

    async def story() -> None:
        async with at_work(new_poller(ask)) as poller:
            ending = await poller.finished(submission("tom"), age=0.0)
            assert ending == Completed(inference_seconds=3.0)

    run_ahead(story())
    assert ask.asked == 3


def test_fal_may_say_when_to_ask_again() -> None:
    ask = Answers(Transient("slow down", retry_after=40.0), Completed())

    async def story() -> None:
        async with at_work(new_poller(ask)) as poller:
            await poller.finished(submission("tom"), age=0.0, at_once=True)
            assert now() >= 40.0

    run_ahead(story())


def test_what_may_not_be_asked_is_told_to_whoever_waits_for_it_and_to_nobody_else() -> None:
    async def ask(asked: Submission) -> Status:
        if asked.request_id == "tom":
            raise Permanent("not with this key", error="auth")
        return Completed()

    async def story() -> None:
        async with at_work(new_poller(ask)) as poller:
            tom, rex = (
                asyncio.create_task(poller.finished(submission(name), age=0.0))
                for name in ("tom", "rex")
            )
            await asyncio.wait({tom, rex}, timeout=60.0)
            with pytest.raises(Permanent, match="not with this key"):
                tom.result()
            assert rex.result() == Completed()

    run_ahead(story())


def test_what_fal_does_not_know_is_said_and_not_decided() -> None:
    async def story() -> None:
        async with at_work(new_poller(Answers(Gone(status_code=404)))) as poller:
            assert await poller.finished(submission("tom"), age=0.0) == Gone(status_code=404)

    run_ahead(story())


def test_what_runs_past_the_run_timeout_is_overdue() -> None:
    async def story() -> None:
        poller = new_poller(Answers(Running()), run_timeout_seconds=30.0)
        async with at_work(poller):
            assert await poller.finished(submission("tom"), age=0.0) == Overdue()
            assert 30.0 < now() < 90.0

    run_ahead(story())


def test_a_patient_wait_outlasts_the_run_timeout() -> None:
    async def story() -> None:
        fal = SimulatedFal(slots=1)
        poller = new_poller(fal.status, run_timeout_seconds=30.0)
        async with at_work(poller):
            ending = await poller.finished(fal.accept("tom", 300.0), age=0.0, patient=True)
            assert ending == Completed(inference_seconds=300.0)

    run_ahead(story())


def test_what_waits_in_fals_queue_is_never_overdue() -> None:
    """Its start timeout is fal's matter; the run timeout begins with the run."""

    async def story() -> None:
        fal = SimulatedFal(slots=1)
        poller = new_poller(fal.status, run_timeout_seconds=70.0)
        async with at_work(poller):
            waits = [
                poller.finished(fal.accept(name, 60.0), age=0.0) for name in ("tom", "rex", "kit")
            ]
            assert set(await asyncio.gather(*waits)) == {Completed(inference_seconds=60.0)}

    run_ahead(story())


def test_all_jobs_of_a_process_keep_one_pace() -> None:
    async def story() -> None:
        fal = SimulatedFal(slots=100)
        async with at_work(new_poller(fal.status, calls_per_second=10.0)) as poller:
            names = [f"job-{n}" for n in range(100)]
            waits = (
                poller.finished(fal.accept(name, 1.0), age=0.0, at_once=True) for name in names
            )
            await asyncio.gather(*waits)
        looks = sorted(at for one in fal.looks.values() for at in one)
        for first, eleventh in zip(looks, looks[11:], strict=False):
            assert eleventh - first >= 1.0 - 1e-6

    run_ahead(story())


def test_while_nothing_is_known_only_a_request_or_two_are_followed() -> None:
    async def story() -> None:
        fal = SimulatedFal(slots=100)
        poller = new_poller(fal.status)
        async with at_work(poller):
            waits = [
                asyncio.create_task(poller.finished(fal.accept(f"job-{n}", 60.0), age=0.0))
                for n in range(100)
            ]
            await asyncio.wait(waits, timeout=50.0)
            assert 1 <= sum(bool(looks) for looks in fal.looks.values()) <= 2
            await asyncio.gather(*waits)

    run_ahead(story())


def test_a_first_request_that_has_to_queue_is_asked_about_until_it_is_done() -> None:
    """Nothing is known yet, and somebody else's work holds every slot."""

    async def story() -> None:
        fal = SimulatedFal(slots=1)
        fal.accept("somebody else's", 300.0)
        async with at_work(new_poller(fal.status)) as poller:
            ending = poller.finished(fal.accept("tom", 60.0), age=0.0)
            assert await asyncio.wait_for(ending, 600.0) == Completed(inference_seconds=60.0)

    run_ahead(story())


def test_whoever_stops_waiting_leaves_the_others_their_scout() -> None:
    async def story() -> None:
        fal = SimulatedFal(slots=2)
        poller = new_poller(fal.status)
        async with at_work(poller):
            scout = asyncio.create_task(poller.finished(fal.accept("tom", 60.0), age=0.0))
            other = asyncio.create_task(poller.finished(fal.accept("rex", 60.0), age=0.0))
            await asyncio.wait({scout}, timeout=5.0)
            scout.cancel()
            assert await asyncio.wait_for(other, 120.0) == Completed(inference_seconds=60.0)

    run_ahead(story())


def test_what_another_process_left_behind_is_looked_at_first_thing() -> None:
    async def story() -> None:
        async with at_work(new_poller(Answers(Completed()))) as poller:
            await poller.finished(submission("tom"), age=3000.0, at_once=True)
            assert now() < 0.1

    run_ahead(story())


def test_what_is_asked_by_the_way_is_told_to_whoever_waits_for_it() -> None:
    """No look of its own is due: the poller is not even at work."""

    async def story() -> None:
        poller = new_poller(Answers(Running(), Completed()))
        tom, rex = (
            asyncio.create_task(poller.finished(submission(name), age=0.0))
            for name in ("tom", "rex")
        )
        await asyncio.sleep(0)
        assert await poller.ask(submission("tom")) == Running()
        assert await poller.ask(submission("tom")) == Completed()
        assert await tom == Completed()
        assert not rex.done()
        rex.cancel()

    run_ahead(story())
