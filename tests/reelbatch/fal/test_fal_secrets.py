"""The key goes to four hosts, and into no record, message, log or repr."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import aiohttp
import httpx
import pytest

from reelbatch.errors import Permanent, ReelbatchError, Refused
from reelbatch.fal.answers import Ambiguous, FailedResult, KeyCheck, Rejected
from reelbatch.fal.client import CALLS, open_fal
from reelbatch.fal.connections import Connections
from reelbatch.fal.wire import TIMEOUTS
from tests.reelbatch.fal.opened import (
    KEY,
    OVI,
    fal_saying,
    fal_with,
    local_settings,
    real_settings,
    submission,
)
from tests.reelbatch.fal.raw_server import RawServer, answer

SECRET = KEY.partition(":")[2]


def assert_no_secret(*values: object) -> None:
    for value in values:
        assert SECRET not in repr(value)
        assert SECRET not in str(value)


async def test_only_our_four_hosts_are_shown_the_key() -> None:
    shown: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Key {KEY}"
        shown.append(request.url.host)
        return httpx.Response(404, json={"status": "NOT_FOUND"})

    async with fal_with(handler) as fal:
        await fal.status(submission())
        await fal.cancel(submission())
        with pytest.raises(Permanent):
            await fal.prices([OVI])
    assert set(shown) == {"queue.fal.run", "api.fal.ai"}


@pytest.mark.parametrize(
    "url",
    [
        "https://queue.fal.run.evil.example/x",
        "https://evil.example/queue.fal.run",
        "https://queue.fal.run@evil.example/",
        "https://a:b@queue.fal.run/",
        "http://queue.fal.run/x",
        "https://queue.fal.run:444/x",
        "https://evil.example\\@queue.fal.run/",
        "//queue.fal.run/x",
        "queue.fal.run",
        "https://queue.fal.run\t.evil.example/",
        "file:///etc/passwd",
        "",
    ],
)
async def test_a_lookalike_of_our_host_is_refused_before_a_byte_leaves(url: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"sent to {request.url}")

    async with fal_with(handler) as fal:
        ours = submission()
        stranger = type(ours)(
            request_id=ours.request_id, status_url=url, response_url=url, cancel_url=url
        )
        with pytest.raises(Permanent):
            await fal.result(stranger)


ECHOES: list[Any] = [
    {"detail": f"No user found for Key {KEY}"},
    {"detail": [{"loc": ["header"], "msg": f"bad {SECRET}", "type": "one_of"}]},
    {"error": {"type": "authorization_error", "message": f"Key {KEY} may not"}},
    {"detail": "x" * 1990 + KEY},
]


@pytest.mark.parametrize("content", ECHOES)
@pytest.mark.parametrize("status", [401, 422, 500])
async def test_a_key_that_fal_repeats_is_taken_out(status: int, content: Any) -> None:
    async with fal_saying(status, content, x_fal_request_id="r") as fal:
        outcome = await fal.submit(OVI, {}, token="t", start_timeout_seconds=60)
        assert isinstance(outcome, Rejected | Ambiguous)
        assert_no_secret(outcome)
        for ask in (fal.status, fal.result):
            try:
                result = await ask(submission())
                assert isinstance(result, FailedResult)
                assert_no_secret(result)
            except ReelbatchError as error:
                assert_no_secret(error, *traceback.format_exception(error))
        with pytest.raises(ReelbatchError) as raised:
            await fal.prices([OVI])
        assert_no_secret(raised.value, *traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "repeated",
    [
        "X-Fal-Tags: reelbatch=t0ken",
        "https://hooks.example/webhooks/fal/t0ken",
        "https://queue.fal.run/fal-ai/ovi?fal_webhook=https%3A%2F%2Fhooks.example%2Ft0ken",
    ],
)
@pytest.mark.parametrize("status", [422, 500])
async def test_a_token_that_fal_repeats_is_taken_out(status: int, repeated: str) -> None:
    """Who knows it may have fal sign a call about another request to our receiver."""
    async with fal_saying(status, {"detail": f"bad {repeated}"}) as fal:
        outcome = await fal.submit(OVI, {}, token="t0ken", start_timeout_seconds=60)
    assert isinstance(outcome, Rejected | Ambiguous)
    assert "t0ken" not in repr(outcome)
    assert "bad " in repr(outcome)


async def test_no_repr_holds_the_key() -> None:
    async with fal_saying(200) as fal:
        assert_no_secret(fal, vars(fal), fal._wire.credentials, real_settings())


async def test_neither_key_nor_webhook_token_gets_into_a_library_s_log(
    server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A token there would let anyone forge a webhook's path."""
    caplog.set_level(logging.DEBUG)
    server.then(answer(200, {"request_id": "r"}))
    async with open_fal(local_settings(server.url)) as fal:
        await fal.submit(
            OVI,
            {},
            token="t0ken",
            start_timeout_seconds=60,
            webhook_url="https://hooks.example/webhooks/fal/t0ken",
        )
    assert "t0ken" in server.requests[0].target
    assert "t0ken" not in caplog.text
    assert_no_secret(caplog.text)


async def test_a_lost_answer_names_neither_key_nor_token() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError(f"{request.url} {request.headers}", request=request)

    async with fal_with(handler) as fal:
        outcome = await fal.submit(
            OVI, {}, token="t0ken", start_timeout_seconds=60, webhook_url="https://h/t0ken"
        )
    assert isinstance(outcome, Ambiguous)
    assert "t0ken" not in repr(outcome)
    assert_no_secret(outcome)


async def test_a_connection_that_is_not_made_in_time_names_no_token(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp would tell the whole URL."""

    async def nobody_answers(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", nobody_answers)
    request = httpx.Request("POST", f"{server.url}/t0ken", extensions={"timeout": TIMEOUTS})
    async with Connections(CALLS, outside=False) as connections:
        with pytest.raises(httpx.ConnectTimeout) as raised:
            await connections.send(request)
    assert "t0ken" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("key", ["id:sec\nret", "id:sécret", "id: secret", "id:sec\x00ret"])
async def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    """aiohttp would quote it in its errors."""
    with pytest.raises(Refused) as raised:
        async with open_fal(real_settings(fal_key=key)):
            pass
    assert key not in str(raised.value)


async def test_without_a_key_nothing_is_claimed() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        return httpx.Response(401, json={"detail": "Authentication is required"})

    async with fal_with(handler, fal_key=None) as fal:
        assert await fal.check_key() is KeyCheck.MISSING
        outcome = await fal.submit(OVI, {}, token="t", start_timeout_seconds=60)
    assert isinstance(outcome, Rejected)
    assert outcome.failure.error_type == "no_key"
