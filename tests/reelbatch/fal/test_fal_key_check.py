"""A look at the key that costs nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from reelbatch.fal.answers import KeyCheck
from tests.reelbatch.fal.opened import fal_saying, fal_with


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (404, {"status": "NOT_FOUND"}, KeyCheck.GOOD),
        (401, {"detail": "invalid key credentials"}, KeyCheck.BAD),
        (403, {"detail": "User is locked. Reason: TOP_UP."}, KeyCheck.LOCKED),
        (403, {"detail": "no"}, KeyCheck.UNKNOWN),
        (200, {"status": "COMPLETED"}, KeyCheck.UNKNOWN),
        (404, {}, KeyCheck.UNKNOWN),
        (429, {}, KeyCheck.UNKNOWN),
        (503, {}, KeyCheck.UNKNOWN),
        (302, {}, KeyCheck.UNKNOWN),
    ],
)
async def test_fals_answer_tells(status: int, content: dict[str, Any], expected: KeyCheck) -> None:
    async with fal_saying(status, content) as fal:
        assert await fal.check_key() is expected


async def test_any_web_servers_404_is_no_good_key() -> None:
    async with fal_saying(404, text="<html>Not found</html>") as fal:
        assert await fal.check_key() is KeyCheck.UNKNOWN


async def test_it_asks_for_a_request_that_cannot_exist() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx.Response(404, json={"status": "NOT_FOUND"})

    async with fal_with(handler) as fal:
        await fal.check_key()
    nobody = "00000000-0000-0000-0000-000000000000"
    assert asked == [f"GET /fal-ai/ovi/requests/{nobody}/status"]


async def test_no_answer_is_unreachable() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("no", request=request)

    async with fal_with(handler) as fal:
        assert await fal.check_key() is KeyCheck.UNREACHABLE
