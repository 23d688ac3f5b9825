"""Following by stream: each change at once, few calls, and never a dead end where streams fail."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import Completed, Queued, Running, Status, Submission
from reelbatch.run import streams
from reelbatch.run.polling import Poller
from reelbatch.run.run_times import RunTimes
from reelbatch.run.schedule import Schedule
from reelbatch.run.streams import Streams
from reelbatch.run.watches import Overdue, Settled
from tests.reelbatch.run.simulated_fal import submission
from tests.reelbatch.run.test_run_polling import Answers, at_work
from tests.reelbatch.run.virtual_time import now, run_ahead

DONE = Completed(inference_seconds=3.0)
Word = tuple[float, Status | Exception]
"""So many seconds later; an exception breaks the stream off."""


class Told:
    """Streams that say these words, one list for each time one is opened; the last one for ever."""

    def __init__(self, *lists: Sequence[Word]) -> None:
        self._lists = list(lists)
        self.opened = 0

    async def __call__(self, asked: Submission) -> AsyncGenerator[Status, None]:
        self.opened += 1
        words = self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]
        for seconds, word in words:
            await asyncio.sleep(seconds)
            if isinstance(word, Exception):
                raise word
            yield word
        raise Transient("fal's status stream ended before the request did.")


def listening(
    told: Callable[[Submission], AsyncGenerator[Status, None]],
    ask: Answers | None = None,
    *,
    places: int = 100,
    run_timeout: float = 3600.0,
) -> Poller:
    return Poller(
        ask or Answers(AssertionError("nobody need be asked")),
        Schedule(RunTimes()),
        run_timeout_seconds=run_timeout,
        streams=Streams(told, places=places),
        clock=now,
    )


def test_an_end_is_known_when_it_is_told() -> None:
    told = Told([(0.0, Queued(position=3)), (50.0, Running()), (70.0, DONE)])

    async def story() -> None:
        poller, heard = listening(told), asyncio.Event()
        assert await poller.finished(submission("tom"), age=0.0, heard=heard) == DONE
        assert now() == pytest.approx(120.0)
        assert heard.is_set()
        assert poller.schedule.run_times.median == 3.0

    run_ahead(story())
    assert told.opened == 1


def test_a_stream_that_broke_off_is_opened_again() -> None:
    told = Told([(0.0, Running()), (60.0, Transient("cut"))], [(0.0, Running()), (9.0, DONE)])

    async def story() -> None:
        assert await listening(told).finished(submission("tom"), age=0.0) == DONE

    run_ahead(story())
    assert told.opened == 2


def test_a_request_whose_streams_break_is_polled() -> None:
    told, ask = Told([(0.0, Running())]), Answers(Running(), DONE)

    async def story() -> None:
        async with at_work(listening(told, ask)) as poller:
            assert await poller.finished(submission("tom"), age=0.0) == DONE

    run_ahead(story())
    assert (told.opened, ask.asked) == (streams.BREAKS, 2)


def test_where_streams_say_nothing_no_more_are_opened_for_a_while() -> None:
    told, ask = Told([(3600.0, DONE)]), Answers(DONE)

    async def story() -> None:
        async with at_work(listening(told, ask)) as poller:
            for n in range(20):
                assert await poller.finished(submission(f"cat-{n}"), age=0.0) == DONE
            assert told.opened == streams.IN_A_ROW
            await asyncio.sleep(streams.REST_SECONDS)
            await poller.finished(submission("later"), age=0.0)
            assert told.opened == streams.IN_A_ROW + streams.BREAKS

    run_ahead(story())


def test_those_beyond_the_places_are_polled() -> None:
    told, ask = Told([(0.0, Running()), (100.0, DONE)]), Answers(DONE)

    async def story() -> None:
        async with at_work(listening(told, ask, places=2)) as poller:
            waits = [
                asyncio.create_task(poller.finished(submission(f"{n}"), age=0.0)) for n in range(6)
            ]
            await asyncio.wait(waits[2:])
            assert now() < 60.0
            await asyncio.wait(waits)

    run_ahead(story())
    assert (told.opened, ask.asked) == (2, 4)


def test_a_stream_that_has_spoken_once_is_not_waited_for_for_ever() -> None:
    told = Told([(0.0, Queued(position=0)), (90_000.0, DONE)], [(0.0, DONE)])

    async def story() -> None:
        assert await listening(told).finished(submission("tom"), age=0.0) == DONE
        assert now() < streams.NEXT_WORD_SECONDS + 2

    run_ahead(story())
    assert told.opened == 2


def test_fal_may_say_when_to_open_the_next_one() -> None:
    told = Told([(0.0, Transient("slow down", retry_after=40.0))], [(0.0, DONE)])

    async def story() -> None:
        assert await listening(told).finished(submission("tom"), age=0.0) == DONE
        assert now() == pytest.approx(40.0)

    run_ahead(story())


def test_what_runs_past_its_time_is_overdue_though_its_stream_is_silent() -> None:
    told = Told([(0.0, Queued(position=0)), (100.0, Running()), (100.0, DONE)])

    async def story() -> None:
        poller = listening(told, run_timeout=60.0)
        assert await poller.finished(submission("tom"), age=0.0) == Overdue()
        assert now() == pytest.approx(160.0)
        patient = await poller.finished(submission("tom"), age=0.0, patient=True)
        assert patient == DONE

    run_ahead(story())


def test_what_went_back_to_the_queue_is_not_overdue() -> None:
    """A runner failed, and fal makes it again."""
    told = Told([(0.0, Running()), (30.0, Queued(position=0)), (60.0, Running()), (50.0, DONE)])

    async def story() -> None:
        ending = await listening(told, run_timeout=60.0).finished(submission("tom"), age=0.0)
        assert ending == DONE

    run_ahead(story())


def test_a_stream_may_say_at_once_that_all_is_over() -> None:
    async def story() -> None:
        assert await listening(Told([(0.0, DONE)])).finished(submission("tom"), age=0.0) == DONE

    run_ahead(story())


@pytest.mark.parametrize("error", [Permanent("not our host", error="foreign_url"), KeyError("bug")])
def test_whoever_waits_hears_of_what_a_stream_cannot_get_over(error: Exception) -> None:
    async def story() -> None:
        with pytest.raises(type(error)):
            await listening(Told([(0.0, error)])).finished(submission("tom"), age=0.0)

    run_ahead(story())


def test_what_somebody_else_has_settled_is_not_listened_to_any_more() -> None:
    told = Told([(0.0, Running()), (9000.0, DONE)])

    async def story() -> None:
        poller = listening(told)
        waiting = asyncio.create_task(poller.finished(submission("tom"), age=0.0))
        await asyncio.sleep(1)
        poller.settled({"tom"})
        assert await waiting == Settled()

    run_ahead(story())


def test_a_count_is_answered_from_the_streams() -> None:
    told = Told([(0.0, Running()), (100.0, DONE)])

    async def story() -> None:
        poller = listening(told)
        waiting = asyncio.create_task(poller.finished(submission("tom"), age=0.0))
        await asyncio.sleep(1)
        assert await poller.ask(submission("tom")) == Running()
        await waiting

    run_ahead(story())


def test_the_slots_are_those_that_run_while_others_wait() -> None:
    """Three slots, nine requests of ten seconds."""

    async def told(asked: Submission) -> AsyncGenerator[Status, None]:
        turn = int(asked.request_id) // 3
        yield Queued(position=0)
        await asyncio.sleep(10.0 * turn)
        yield Running()
        await asyncio.sleep(10.0)
        yield DONE

    async def story() -> None:
        poller = listening(told)
        assert poller.slots is None
        await asyncio.gather(*(poller.finished(submission(f"{n}"), age=0.0) for n in range(9)))
        assert poller.slots == 3

    run_ahead(story())


def test_a_low_limit_of_open_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    for limits, places in {
        (1024, 4096): streams.MOST,
        (256, 512): 512 - streams.FOR_THE_REST,
        (64, 64): 1,
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY): streams.MOST,
    }.items():
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        assert streams.places_for_streams() == places
    assert raised == [(1200, 4096), (512, 512), (64, 64)]
