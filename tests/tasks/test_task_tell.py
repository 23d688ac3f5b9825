"""The log of a run: a sentence with its ids for each row that matters, none for a good one."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from reelbatch.jobs import State
from reelbatch.run import journal
from tasks.doubts import settle_doubts_at_hand
from tests.parts.emulator import Emulator
from tests.parts.log import Listening, listening
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
TOM = "tom,A cat called Tom,1"
FELIX = "felix,A cat called Felix,2"


@pytest.fixture
def heard() -> Iterator[Listening]:
    with listening() as heard:
        yield heard


async def test_a_row_that_goes_well_costs_no_line(studio: Studio, heard: Listening) -> None:
    studio.write(HEADER, TOM, FELIX)
    await studio.make()
    assert heard.lines == []


async def test_at_debug_level_each_step_of_a_row_is_told(studio: Studio) -> None:
    studio.write(HEADER, TOM)
    with listening(logging.DEBUG) as heard:
        await studio.make()
    request_id = studio.job("tom")["request_id"]
    mine = heard.about("row tom take 1")
    assert [line["message"] for line in mine] == [
        f"cats: row tom take 1: {step} (request {request_id})"
        for step in ("submitted", "made", "archived")
    ]
    assert {line["request_id"] for line in mine} == {request_id}
    assert {line["level"] for line in mine} == {"debug"}


async def test_a_failed_row_is_told_with_its_reason_and_all_its_ids(
    studio: Studio, fal: Emulator, heard: Listening
) -> None:
    fal.break_("model_refusal", prompt="A cat called Tom")
    studio.write(HEADER, TOM, FELIX)
    await studio.make()
    (line,) = heard.lines
    job = studio.job("tom")
    assert line["message"] == (
        f"cats: row tom take 1: failed with content_policy_violation: {job['error_message']} "
        f"(request {job['request_id']})"
    )
    ids = ("batch", "row_id", "take", "job_id", "request_id", "attempt", "error", "level")
    assert [line[name] for name in ids] == [
        *("cats", "tom", 1, job["id"], job["request_id"], 1),
        *("content_policy_violation", "info"),
    ]


async def test_a_row_that_is_sent_again_is_told_with_what_made_it_fail(
    studio: Studio, fal: Emulator, heard: Listening
) -> None:
    fal.break_("runner_error", times=1, with_={"type": "runner_server_error"})
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": State.ARCHIVED}
    (line,) = heard.lines
    first, _ = studio.attempts("tom")
    assert f"to be sent again after {first['error_type']}" in line["message"]
    assert (line["request_id"], line["attempt"]) == (first["request_id"], 1)


async def test_a_doubt_and_its_end_are_told(
    studio: Studio, fal: Emulator, heard: Listening
) -> None:
    fal.break_("accept_then_drop", times=1)
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        await studio.produce(run)
        doubt = heard.about("row tom take 1: in doubt: ")[0]
        assert (doubt["attempt"], "request_id" in doubt) == (1, False)
        while not await settle_doubts_at_hand(run):
            pass
    (adopted,) = heard.about("no longer in doubt: fal's list has its request")
    assert adopted["request_id"] == studio.job("tom")["request_id"]


async def test_a_parked_account_is_told_once_and_when_it_is_over(
    studio: Studio, fal: Emulator, heard: Listening
) -> None:
    fal.break_("too_many_requests", times=1, with_={"retry_after": 1})
    studio.write(HEADER, TOM, FELIX)
    await studio.make()
    (parked,) = heard.about("cats: parked (throttled): ")
    (lifted,) = heard.about("cats: no longer parked")
    assert heard.lines.index(parked) < heard.lines.index(lifted)


async def test_a_locked_account_is_told_as_a_warning_and_stops(
    studio: Studio, fal: Emulator, heard: Listening
) -> None:
    fal.lock()
    studio.write(HEADER, TOM)
    await studio.make()
    assert [line["level"] for line in heard.about("parked (locked): ")] == ["warning"]
    (stopped,) = heard.about("stopped: locked (")
    assert "Top up your balance" in stopped["message"]


async def test_of_one_kind_only_so_many_rows_are_told(
    studio: Studio, fal: Emulator, heard: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of ten thousand that fails alike must not hold Prefect up for minutes."""
    monkeypatch.setattr(journal, "ROWS_OF_A_KIND", 2)
    fal.break_("model_refusal")
    studio.write(HEADER, *(f"cat-{n},A cat {n},{n}" for n in range(5)))
    await studio.make()
    told = heard.about("failed with content_policy_violation")
    assert len(told) == 2
    assert ["at debug level only" in line["message"] for line in told] == [False, True]
