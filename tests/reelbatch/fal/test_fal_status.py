"""A status read tells where a request stands, and never fails a job."""

from __future__ import annotations

from typing import Any

import pytest

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import Completed, Gone, Queued, Running, Status, Submission
from reelbatch.fal.client import Fal
from tests.reelbatch.fal.opened import REQUEST_ID, fal_saying, submission
from tests.reelbatch.fal.raw_server import Act, RawServer, answer, drop, head, send

LOG = {"message": "Done.", "timestamp": "2026-02-17T10:30:05.789Z", "level": "INFO"}


@pytest.mark.parametrize(
    ("code", "content", "status"),
    [
        (202, {"status": "IN_QUEUE", "queue_position": 12654}, Queued(position=12654)),
        (202, {"status": "IN_QUEUE"}, Queued(position=None)),
        (202, {"status": "IN_PROGRESS", "logs": None}, Running()),
        (200, {"status": "IN_PROGRESS"}, Running()),
        (202, {"status": "IN_PROGRESS", "logs": [LOG, "x"]}, Running(logs=("Done.",))),
        (200, {"status": "COMPLETED"}, Completed()),
        (200, {"status": "COMPLETED", "logs": None, "metrics": None}, Completed()),
        (
            200,
            {"status": "COMPLETED", "logs": [], "metrics": {"inference_time": 58.2}},
            Completed(inference_seconds=58.2),
        ),
        (
            200,
            {"status": "COMPLETED", "error": "Runner gone", "error_type": "runner_disconnected"},
            Completed(error="Runner gone", error_type="runner_disconnected"),
        ),
        (404, {"status": "NOT_FOUND"}, Gone(status_code=404)),
        (410, {}, Gone(status_code=410)),
    ],
)
async def test_every_documented_answer_has_its_status(
    code: int, content: dict[str, Any], status: Status
) -> None:
    async with fal_saying(code, content) as fal:
        assert await fal.status(submission()) == status


@pytest.mark.parametrize("code", [301, 400, 401, 403, 408, 422, 429, 500, 502, 503, 504])
async def test_an_answer_that_is_no_status_is_asked_for_again(code: int) -> None:
    """403 `User is locked` comes on jobs that are still running (fal.md, section 3.3)."""
    async with fal_saying(code, {"detail": "User is locked. Reason: TOP_UP."}) as fal:
        with pytest.raises(Transient, match="User is locked"):
            await fal.status(submission())


async def test_fals_wish_to_wait_is_passed_on() -> None:
    async with fal_saying(429, {"detail": "slow down"}, retry_after="12") as fal:
        with pytest.raises(Transient) as raised:
            await fal.status(submission())
    assert raised.value.retry_after == 12


GARBAGE = {
    "HTML": send(head(200, b"<html>maintenance</html>")),
    "no object": send(head(200, b'"COMPLETED"')),
    "no status": answer(200, {}),
    "a new word": answer(200, {"status": "EXPIRED"}),
    "a status that is no text": answer(200, {"status": ["COMPLETED"]}),
    "half a body": drop(head(200, b'{"status": "COMPLETED"', length=900)),
    "too large": send(head(200, b" " * 1_100_000)),
    "nothing": drop(),
}


@pytest.mark.parametrize("act", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_asked_for_again(server: RawServer, local_fal: Fal, act: Act) -> None:
    server.then(act)
    with pytest.raises(Transient):
        await local_fal.status(submission(server.url))


async def test_logs_are_fetched_only_when_asked_for(server: RawServer, local_fal: Fal) -> None:
    server.then(answer(202, {"status": "IN_PROGRESS", "logs": [LOG]}))
    await local_fal.status(submission(server.url))
    assert await local_fal.status(submission(server.url), logs=True) == Running(logs=("Done.",))
    targets = [request.target for request in server.requests]
    path = f"/fal-ai/ovi/requests/{REQUEST_ID}/status"
    assert targets == [f"{path}?logs=0", f"{path}?logs=1"]


async def test_many_reads_share_a_connection(server: RawServer, local_fal: Fal) -> None:
    server.then(answer(202, {"status": "IN_PROGRESS"}))
    for _ in range(20):
        await local_fal.status(submission(server.url))
    assert (len(server.requests), server.connections) == (20, 1)


async def test_a_url_from_elsewhere_is_never_asked() -> None:
    """The ledger may hold the submission of another fal; our key is not for it."""
    elsewhere = Submission(
        request_id=submission().request_id,
        status_url="https://evil.example/status",
        response_url="https://evil.example/",
        cancel_url="https://evil.example/cancel",
    )
    async with fal_saying(200, {"status": "COMPLETED"}) as fal:
        for ask in (fal.status, fal.result, fal.cancel):
            with pytest.raises(Permanent) as raised:
                await ask(elsewhere)
            assert raised.value.error == "foreign_url"
