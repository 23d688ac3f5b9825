"""Moves that share a transaction: all of them are written, or none, and a limit stays a limit."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from reelbatch.jobs import State
from reelbatch.ledger import Ledger, open_ledger
from reelbatch.ledger.claims import Claimed, Wait, claim
from reelbatch.ledger.posts import lock_account
from reelbatch.ledger.together import Move, together
from reelbatch.run.bookkeeping import Bookkeeper
from tests.contracts.ledger_parts import (
    ACCOUNT,
    batch_named,
    body,
    check_books,
    entered,
    job,
    jobs_of,
    rows,
    terms,
)


class Broken(Exception):
    """What a move of the tests breaks with."""


def breaks() -> None:
    raise Broken


def _ids(ledger: Ledger, count: int) -> list[str]:
    batch = batch_named(ledger)
    entered(ledger, batch, rows(count))
    return [one["id"] for one in jobs_of(ledger, batch)]


def test_claims_made_together_take_no_more_than_the_window(ledger: Ledger) -> None:
    ids = _ids(ledger, 8)
    claims = [partial(claim, ledger, one, body(one), terms(window=3)) for one in ids]
    answers = together(ledger, ACCOUNT, claims)
    assert [type(answer) for answer in answers] == [Claimed] * 3 + [Wait] * 5
    check_books(ledger)


def test_where_one_move_breaks_none_is_written(ledger: Ledger) -> None:
    ids = _ids(ledger, 1)
    with pytest.raises(Broken):
        together(ledger, ACCOUNT, [partial(claim, ledger, ids[0], body(ids[0]), terms()), breaks])
    assert job(ledger, ids[0])["state"] == State.PENDING
    check_books(ledger)


def test_nobody_else_sees_a_move_before_all_are_committed(ledger: Ledger, ledger_url: str) -> None:
    ids = _ids(ledger, 1)
    beside = open_ledger(ledger_url)
    seen: list[Move] = [
        partial(claim, ledger, ids[0], body(ids[0]), terms()),
        lambda: job(beside, ids[0])["state"],
    ]
    assert together(ledger, ACCOUNT, seen)[1] == State.PENDING
    assert job(beside, ids[0])["state"] == State.SUBMITTING
    beside.close()


async def test_who_breaks_a_group_hears_of_it_and_the_others_are_served(ledger: Ledger) -> None:
    ids = _ids(ledger, 6)
    bookkeeper = Bookkeeper(ledger, ACCOUNT)
    moves = [partial(claim, ledger, one, body(one), terms()) for one in ids]
    answers = await asyncio.gather(
        *(bookkeeper.together(move) for move in moves[:3]),
        bookkeeper.together(breaks),
        *(bookkeeper.together(move) for move in moves[3:]),
        return_exceptions=True,
    )
    bookkeeper.close()
    assert isinstance(answers.pop(3), Broken)
    assert [type(answer) for answer in answers] == [Claimed] * 6
    check_books(ledger)


async def test_while_another_process_writes_the_loop_goes_on(
    ledger: Ledger, ledger_url: str
) -> None:
    ids = _ids(ledger, 3)
    beside = open_ledger(ledger_url)
    bookkeeper = Bookkeeper(ledger, ACCOUNT)
    with beside.writing() as tx:
        lock_account(tx, ACCOUNT)
        moves = [partial(claim, ledger, one, body(one), terms()) for one in ids]
        work = [asyncio.create_task(bookkeeper.together(move)) for move in moves]
        await asyncio.sleep(0.2)
        assert not any(one.done() for one in work)
    assert {type(answer) for answer in await asyncio.gather(*work)} == {Claimed}
    bookkeeper.close()
    beside.close()
    check_books(ledger)


async def test_those_who_have_gone_do_not_keep_the_others(ledger: Ledger) -> None:
    ids = _ids(ledger, 20)
    bookkeeper = Bookkeeper(ledger, ACCOUNT)
    moves = [partial(claim, ledger, one, body(one), terms()) for one in ids]
    work = [asyncio.create_task(bookkeeper.together(move)) for move in moves]
    await asyncio.sleep(0)
    for one in work[2:18]:
        one.cancel()
    answers = await asyncio.gather(*work, return_exceptions=True)
    assert {type(one) for one in answers[:2] + answers[18:]} == {Claimed}
    bookkeeper.close()
    check_books(ledger)


async def test_what_stands_in_line_is_written_though_the_threads_are_told_to_end(
    ledger: Ledger,
) -> None:
    ids = _ids(ledger, 40)
    bookkeeper = Bookkeeper(ledger, ACCOUNT)
    moves = [partial(claim, ledger, one, body(one), terms()) for one in ids]
    work = [asyncio.create_task(bookkeeper.together(move)) for move in moves]
    await asyncio.sleep(0)
    bookkeeper.close()
    assert {type(answer) for answer in await asyncio.gather(*work)} == {Claimed}
