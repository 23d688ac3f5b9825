"""Cancelling: only fal's own word says what became of it."""

from __future__ import annotations

from typing import Any

import pytest

from reelbatch.errors import Transient
from reelbatch.fal.answers import CancelAnswer
from reelbatch.fal.client import Fal
from tests.reelbatch.fal.opened import REQUEST_ID, fal_saying, submission
from tests.reelbatch.fal.raw_server import RawServer, answer, drop


@pytest.mark.parametrize(
    ("code", "content", "expected"),
    [
        (202, {"status": "CANCELLATION_REQUESTED"}, CancelAnswer.REQUESTED),
        (200, {"status": "OK"}, CancelAnswer.REMOVED),
        (400, {"status": "ALREADY_COMPLETED"}, CancelAnswer.ALREADY_COMPLETED),
        (404, {"status": "NOT_FOUND"}, CancelAnswer.NOT_FOUND),
        (200, {"success": True}, CancelAnswer.REQUESTED),
        (200, {"success": False}, CancelAnswer.ALREADY_COMPLETED),
    ],
)
async def test_every_documented_answer_has_its_meaning(
    code: int, content: dict[str, Any], expected: CancelAnswer
) -> None:
    async with fal_saying(code, content) as fal:
        assert await fal.cancel(submission()) is expected


async def test_it_is_a_put_without_a_body(server: RawServer, local_fal: Fal) -> None:
    server.then(answer(202, {"status": "CANCELLATION_REQUESTED"}))
    await local_fal.cancel(submission(server.url))
    (request,) = server.requests
    assert (request.method, request.body) == ("PUT", b"")
    assert request.target == f"/fal-ai/ovi/requests/{REQUEST_ID}/cancel"
    assert request.headers["content-length"] == "0"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (200, ""),
        (200, "{}"),
        (202, "<html>"),
        (302, "{}"),
        (401, '{"detail": "invalid key credentials"}'),
        (403, '{"detail": "User is locked."}'),
        (404, "<html>not found</html>"),
        (500, '{"success": true}'),
        (503, "<html>nginx</html>"),
    ],
)
async def test_anything_else_is_asked_again(code: int, text: str) -> None:
    """A gateway's 404 must not pass for a cancellation: the job would be paid twice."""
    async with fal_saying(code, text=text) as fal:
        with pytest.raises(Transient):
            await fal.cancel(submission())


async def test_a_lost_answer_is_asked_again(server: RawServer, local_fal: Fal) -> None:
    server.then(drop())
    with pytest.raises(Transient):
        await local_fal.cancel(submission(server.url))
