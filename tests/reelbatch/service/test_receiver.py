"""Each call fal may make, in any order and as often as it likes, leaves the ledger right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event
from starlette.requests import Request
from starlette.types import Message

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.answers import accepted, doubted
from reelbatch.ledger.results import Ending, settle_failed
from reelbatch.ledger.schema import metadata
from reelbatch.ledger.strays import stragglers_of
from reelbatch.ledger.unknown_calls import calls_nobody_knows
from tests.contracts.ledger_parts import (
    CRASHED,
    PRICE,
    account,
    archived,
    attempt,
    batch_named,
    check_books,
    claimed,
    handle,
    job,
    pending,
    state,
    submitted,
)
from tests.parts.log import listening
from tests.reelbatch.service.conftest import Door, spoken


def on_its_way(ledger: Ledger) -> tuple[str, str, str]:
    """A job fal has: its id, its token, its request."""
    (job_id,) = pending(ledger)
    attempt_id = submitted(ledger, job_id)
    return job_id, attempt(ledger, attempt_id)["token"], f"request-{attempt_id}"


async def test_a_good_result_is_settled_and_answered(ledger: Ledger, door: Door) -> None:
    job_id, token, request_id = on_its_way(ledger)
    answer = await door.call(token, request_id)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    kept = job(ledger, job_id)
    assert (kept["state"], kept["cost_usd"]) == (State.COMPLETED, PRICE)
    assert kept["output_url"] == "https://v3b.fal.media/files/b/1/out.mp4"
    assert account(ledger)["last_webhook_at"] is not None
    check_books(ledger)


async def test_the_same_call_again_changes_nothing(ledger: Ledger, door: Door) -> None:
    job_id, token, request_id = on_its_way(ledger)
    calls = [door.call(token, request_id) for _ in range(5)]
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
    assert job(ledger, job_id)["cost_usd"] == PRICE
    check_books(ledger)


async def test_a_call_before_the_submit_response_is_how_we_learn_the_id(
    ledger: Ledger, door: Door
) -> None:
    """And the submitter's own news, when it comes, is no surprise."""
    (job_id,) = pending(ledger)
    taken = claimed(ledger, job_id)
    assert (await door.call(taken.token, "r-1")).status_code == 200
    assert state(ledger, job_id) is State.COMPLETED
    assert accepted(ledger, taken.attempt_id, handle("r-1"))
    assert state(ledger, job_id) is State.COMPLETED
    check_books(ledger)


async def test_a_call_settles_a_doubt(ledger: Ledger, door: Door) -> None:
    (job_id,) = pending(ledger)
    taken = claimed(ledger, job_id)
    doubted(ledger, taken.attempt_id, "no answer")
    assert (await door.call(taken.token, "r-1")).status_code == 200
    assert (state(ledger, job_id), job(ledger, job_id)["cost_usd"]) == (State.COMPLETED, PRICE)
    check_books(ledger)


async def test_a_call_after_the_video_is_archived_changes_nothing(
    ledger: Ledger, door: Door
) -> None:
    (job_id,) = pending(ledger)
    attempt_id = archived(ledger, job_id)
    token = attempt(ledger, attempt_id)["token"]
    assert (await door.call(token, f"request-{attempt_id}")).status_code == 200
    assert state(ledger, job_id) is State.ARCHIVED
    check_books(ledger)


@pytest.mark.parametrize("ending", ["cancelled", "permanent"])
async def test_a_late_good_result_beats_failure_and_cancellation(
    ledger: Ledger, door: Door, ending: Ending
) -> None:
    """It was paid, whatever fal had said before."""
    job_id, token, request_id = on_its_way(ledger)
    settle_failed(ledger, f"{job_id}-1", CRASHED, ending=ending, charge="none", price=PRICE)
    assert (await door.call(token, request_id)).status_code == 200
    assert (state(ledger, job_id), job(ledger, job_id)["cost_usd"]) == (State.COMPLETED, PRICE)
    check_books(ledger)


async def test_a_second_request_on_one_token_is_booked_beside_the_first(
    ledger: Ledger, door: Door
) -> None:
    """The first result wins."""
    job_id, token, request_id = on_its_way(ledger)
    await door.call(token, request_id)
    assert (await door.call(token, "r-second")).status_code == 200
    kept = job(ledger, job_id)
    assert (kept["attempt_id"], kept["cost_usd"]) == (f"{job_id}-1", 2 * PRICE)
    assert attempt(ledger, f"{job_id}-2")["request_id"] == "r-second"
    check_books(ledger)


async def test_a_second_request_that_failed_waits_to_be_settled(ledger: Ledger, door: Door) -> None:
    job_id, token, request_id = on_its_way(ledger)
    await door.call(token, "r-second", status="ERROR", error="Invalid status code: 422")
    found = [one["request_id"] for one in stragglers_of(ledger, batch_named(ledger).id)]
    assert (found, state(ledger, job_id)) == (["r-second"], State.SUBMITTED)
    await door.call(token, request_id)
    assert state(ledger, job_id) is State.COMPLETED


@pytest.mark.parametrize(
    "said",
    [
        {"status": "ERROR", "error": "Invalid status code: 422", "payload": {"detail": "no"}},
        {"payload": None, "payload_error": "Response payload is not JSON serializable."},
        {"payload": {"seed": 7}},
    ],
)
async def test_what_carries_no_video_is_left_to_be_fetched(
    ledger: Ledger, door: Door, said: dict[str, Any]
) -> None:
    """This receiver has no key of fal's; a run or the sweep asks for the result."""
    job_id, token, request_id = on_its_way(ledger)
    assert (await door.call(token, request_id, **said)).status_code == 200
    assert (state(ledger, job_id), account(ledger)["spent_usd"]) == (State.SUBMITTED, Decimal(0))


async def test_a_request_we_never_sent_is_noted_and_fal_need_not_come_again(
    ledger: Ledger, door: Door
) -> None:
    """Another ledger's, say: its token is kept nowhere."""
    job_id, _, _ = on_its_way(ledger)
    await door.call("anothers-token", "r-unknown")
    answer = await door.call("anothers-token", "r-unknown", status="ERROR")
    assert (answer.status_code, answer.json()) == (200, {"status": "not known"})
    (call,) = calls_nobody_knows(ledger)
    assert (call.request_id, call.user_id) == ("r-unknown", "user_1")
    assert (call.status, call.times) == ("ERROR", 2)
    assert "anothers-token" not in repr(everything_in(ledger))
    assert state(ledger, job_id) is State.SUBMITTED


def everything_in(ledger: Ledger) -> dict[str, list[Any]]:
    """Every table, but for when an account last heard a webhook."""
    with ledger.reading() as tx:
        return {
            table.name: sorted(
                repr([value for name, value in row.items() if name != "last_webhook_at"])
                for row in tx.execute(table.select()).mappings()
            )
            for table in metadata.sorted_tables
        }


async def test_the_very_call_played_back_later_changes_nothing(ledger: Ledger, door: Door) -> None:
    """Somebody on the way has kept it, signature and all."""
    (job_id,) = pending(ledger)
    token = claimed(ledger, job_id).token
    body = spoken("r-1")
    headers = door.signer.headers("r-1", body)

    async def call(token: str) -> int:
        path = f"/webhooks/fal/{token}"
        return (await door.http.post(path, content=body, headers=headers)).status_code

    assert await call(token) == 200
    before = everything_in(ledger)
    assert [await call(token) for _ in range(3)] == [200] * 3
    assert everything_in(ledger) == before


async def test_forged_calls_never_reach_the_database(ledger: Ledger, door: Door) -> None:
    """Anybody can send them, as many as he likes."""
    _, token, request_id = on_its_way(ledger)
    body = spoken(request_id)
    signed = door.signer.headers(request_id, body)
    forged: list[dict[str, Any]] = [
        {"content": body, "headers": signed | {"X-Fal-Webhook-Signature": "00" * 64}},
        {"content": body + b" ", "headers": signed},
        {"content": body, "headers": door.signer.headers(request_id, body, age=400)},
        {"content": body},
    ]
    with statements_of(ledger) as statements, listening() as heard:
        calls = [door.http.post(f"/webhooks/fal/{token}", **one) for one in forged * 50]
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {401}
        assert statements == []
        assert 1 <= len(heard.about("a call was refused: ")) < 20, "they do not fill the disk"
        await door.call(token, request_id)
        assert statements, "we would have seen them"


@contextmanager
def statements_of(ledger: Ledger) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    heard: list[str] = []

    def hear(*said: Any) -> None:
        heard.append(said[2])

    event.listen(ledger.engine, "before_cursor_execute", hear)
    yield heard
    event.remove(ledger.engine, "before_cursor_execute", hear)


async def test_a_forged_call_changes_nothing(ledger: Ledger, door: Door) -> None:
    job_id, token, request_id = on_its_way(ledger)
    body = spoken(request_id)
    headers = door.signer.headers(request_id, body)
    tampered = body.replace(b"out.mp4", b"own.mp4")
    stale = door.signer.headers(request_id, body, age=400)
    unsigned: dict[str, str] = {}
    for content, signed in ((tampered, headers), (body, stale), (body, unsigned)):
        answer = await door.http.post(f"/webhooks/fal/{token}", content=content, headers=signed)
        assert (answer.status_code, answer.json()) == (401, {"status": "not verified"})
    other = await door.call(token, "r-other", body=body)
    assert other.status_code == 401
    assert state(ledger, job_id) is State.SUBMITTED
    assert account(ledger)["last_webhook_at"] is None


async def test_what_is_no_json_is_not_understood(ledger: Ledger, door: Door) -> None:
    job_id, token, request_id = on_its_way(ledger)
    assert (await door.call(token, request_id, body=b"<html>")).status_code == 400
    assert state(ledger, job_id) is State.SUBMITTED


async def test_a_body_over_the_cap_is_not_read(ledger: Ledger, door: Door) -> None:
    _, token, request_id = on_its_way(ledger)
    body = b" " * (1024 * 1024 + 1)
    assert (await door.call(token, request_id, body=body)).status_code == 413


@pytest.mark.parametrize(("hangs_up", "status"), [(True, 400), (False, 408)])
async def test_a_caller_who_hangs_up_or_dawdles_is_no_trouble(
    door: Door, monkeypatch: pytest.MonkeyPatch, hangs_up: bool, status: int
) -> None:
    """Anybody can; neither is worth a traceback, nor a connection for ever."""
    monkeypatch.setattr("reelbatch.service.receiver.BODY_SECONDS", 0.05)

    async def hear() -> Message:
        if not hangs_up:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    call = {"type": "http", "headers": [], "path_params": {"token": "any"}}
    assert (await door.receiver.receive(Request(call, hear))).status_code == status


async def test_health_and_figures_tell_the_truth(ledger: Ledger, door: Door) -> None:
    _, token, request_id = on_its_way(ledger)
    await door.call(token, request_id)
    await door.http.post(f"/webhooks/fal/{token}", content=spoken(request_id))
    assert (await door.http.get("/healthz")).json() == {"status": "ok"}
    shown = (await door.http.get("/metrics")).text
    assert 'reelbatch_jobs{state="completed"} 1.0' in shown
    assert 'reelbatch_attempts{outcome="good"} 1.0' in shown
    assert 'reelbatch_usd{kind="spent"} 0.2' in shown
    assert 'reelbatch_webhooks_total{status="200"} 1.0' in shown
    assert 'reelbatch_webhooks_total{status="401"} 1.0' in shown
    assert "reelbatch_seconds_since_webhook " in shown
