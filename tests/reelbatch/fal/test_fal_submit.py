"""The POST that costs money: sent once, and its outcome never guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import httpx
import pytest

from reelbatch.fal import submit as submit_module
from reelbatch.fal.answers import Accepted, Ambiguous, KeyCheck, NotSent, Rejected, SubmitOutcome
from reelbatch.fal.client import Fal, open_fal
from reelbatch.fal.error_types import Family
from tests.reelbatch.fal.opened import (
    KEY,
    OVI,
    QUEUE,
    REQUEST_ID,
    fal_saying,
    fal_with,
    local_settings,
    real_settings,
    submission,
)
from tests.reelbatch.fal.raw_server import Act, RawServer, answer, drop, hang, head, send

BODY = {"prompt": "a cat says <S>hé<E>", "image_url": "https://e/x.png", "seed": 7}
ACCEPTED = {
    "request_id": REQUEST_ID,
    "status_url": f"{QUEUE}/fal-ai/ovi/requests/{REQUEST_ID}/status",
    "response_url": f"{QUEUE}/fal-ai/ovi/requests/{REQUEST_ID}",
    "cancel_url": f"{QUEUE}/fal-ai/ovi/requests/{REQUEST_ID}/cancel",
}


async def submit(fal: Fal, webhook_url: str | None = None) -> SubmitOutcome:
    return await fal.submit(
        OVI, BODY, token="t0ken", start_timeout_seconds=7200, webhook_url=webhook_url
    )


async def test_the_request_carries_the_body_the_deadline_the_token_and_the_key(
    server: RawServer, local_fal: Fal
) -> None:
    """And forbids fal to run another model instead."""
    server.then(answer(200, ACCEPTED))
    await submit(local_fal)
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", f"/{OVI}")
    assert json.loads(request.body) == BODY
    assert request.headers["x-fal-request-start-timeout"] == "7200.0"
    assert request.headers["x-app-fal-disable-fallback"] == "true"
    assert request.headers["x-fal-tags"] == "reelbatch=t0ken"
    assert request.headers["authorization"] == f"Key {KEY}"
    assert request.headers["content-type"] == "application/json"


async def test_a_webhook_url_with_a_query_arrives_as_it_was_given(
    server: RawServer, local_fal: Fal
) -> None:
    server.then(answer(200, ACCEPTED))
    url = "https://hooks.example/webhooks/fal/t0ken?a=b c&d=e+f#g"
    await submit(local_fal, url)
    assert parse_qs(urlsplit(server.requests[0].target).query) == {"fal_webhook": [url]}


async def test_an_accepted_request_has_an_id_and_three_urls() -> None:
    async with fal_saying(200, ACCEPTED) as fal:
        assert await submit(fal) == Accepted(submission=submission())


@pytest.mark.parametrize(
    "lie",
    [
        {"status_url": f"https://evil.example/fal-ai/ovi/requests/{REQUEST_ID}/status"},
        {"response_url": f"https://queue.fal.run@evil.example/{REQUEST_ID}"},
        {"response_url": f"https://id:secret@queue.fal.run/{REQUEST_ID}"},
        {"cancel_url": f"http://queue.fal.run/fal-ai/ovi/requests/{REQUEST_ID}/cancel"},
        {"cancel_url": f"https://queue.fal.run:8443/fal-ai/ovi/requests/{REQUEST_ID}/cancel"},
        {"status_url": "https://queue.falrun.com/x"},
        {"status_url": None},
        {"status_url": ["https://queue.fal.run/x"]},
        {"status_url": "https://[::1/x"},
        {"status_url": ""},
    ],
)
async def test_urls_from_elsewhere_are_replaced_by_our_own(lie: dict[str, Any]) -> None:
    """The key is sent to them later."""
    async with fal_saying(200, ACCEPTED | lie) as fal:
        assert await submit(fal) == Accepted(submission=submission())


async def test_a_request_id_cannot_lead_our_own_urls_astray() -> None:
    async with fal_saying(200, {"request_id": "a/../../b?c#d"}) as fal:
        outcome = await submit(fal)
    assert isinstance(outcome, Accepted)
    assert outcome.submission.response_url == f"{QUEUE}/fal-ai/ovi/requests/a%2F..%2F..%2Fb%3Fc%23d"


@pytest.mark.parametrize(
    ("endpoint_id", "app"),
    [
        ("fal-ai/ovi", "fal-ai/ovi"),
        ("fal-ai/ovi/image-to-video", "fal-ai/ovi"),
        ("workflows/me/reel/fast", "workflows/me/reel"),
    ],
)
async def test_requests_live_under_owner_and_app_only(endpoint_id: str, app: str) -> None:
    async with fal_saying(200) as fal:
        assert fal.submission(endpoint_id, "r1").status_url == f"{QUEUE}/{app}/requests/r1/status"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_is_a_rejection_and_is_never_followed(
    server: RawServer, local_fal: Fal, status: int
) -> None:
    server.then(answer(status, {}, location=f"{server.url}/elsewhere"))
    assert isinstance(await submit(local_fal), Rejected)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 422, 429, 451, 499])
async def test_a_4xx_is_a_rejection(server: RawServer, local_fal: Fal, status: int) -> None:
    server.then(answer(status, {"detail": "no"}))
    outcome = await submit(local_fal)
    assert isinstance(outcome, Rejected)
    assert outcome.failure.http_status == status
    assert len(server.requests) == 1


async def test_a_4xx_is_a_rejection_even_if_its_body_breaks_off(
    server: RawServer, local_fal: Fal
) -> None:
    server.then(drop(head(403, b'{"detail": "User is lo', length=500)))
    assert isinstance(await submit(local_fal), Rejected)


async def test_a_lock_says_what_to_do() -> None:
    words = "User is locked. Reason: Exhausted balance. Top up at fal.ai/dashboard/billing."
    async with fal_saying(403, {"detail": words}) as fal:
        outcome = await submit(fal)
    assert isinstance(outcome, Rejected)
    assert outcome.failure.family is Family.LOCKED
    assert outcome.failure.message == words
    assert "Top up" in outcome.failure.advice


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("Sat, 22 Aug 2026 10:00:09 GMT", 9.0), ("soon", None), ("", None), ("-3", None)],
)
async def test_429_keeps_what_fal_says_of_waiting(value: str, seconds: float | None) -> None:
    headers = {"retry_after": value, "date": "Sat, 22 Aug 2026 10:00:00 GMT"}
    async with fal_saying(429, {"detail": "slow down"}, **headers) as fal:
        outcome = await submit(fal)
    assert isinstance(outcome, Rejected)
    assert outcome.failure.family is Family.THROTTLED
    assert outcome.retry_after == seconds


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 599])
async def test_answers_after_which_it_may_run_are_ambiguous(
    server: RawServer, local_fal: Fal, status: int
) -> None:
    server.then(answer(status, {"detail": "hm"}))
    outcome = await submit(local_fal)
    assert isinstance(outcome, Ambiguous)
    assert outcome.failure is not None
    assert len(server.requests) == 1


UNUSABLE = {
    "no JSON": send(head(200, b"<html>ok</html>")),
    "no object": send(head(200, b'["019e"]')),
    "no id": answer(200, {"status": "IN_QUEUE"}),
    "an id that is no text": answer(200, {"request_id": 7}),
    "an empty id": answer(200, {"request_id": ""}),
    "no body": send(head(204, b"")),
    "half a body": drop(head(200, b'{"request_id": "01', length=500)),
    "nested past reason": send(head(200, b"[" * 100_000)),
    "too large": send(head(200, b" " * (1024 * 1024 + 1))),
    "bytes that are no text": send(head(200, b"\xff\xfe\x00")),
}


@pytest.mark.parametrize("act", UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_a_2xx_without_a_readable_id_is_ambiguous(
    server: RawServer, local_fal: Fal, act: Act
) -> None:
    server.then(act)
    assert isinstance(await submit(local_fal), Ambiguous)
    assert len(server.requests) == 1


BROKEN = {
    "closed after reading": drop(),
    "closed within the head": drop(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "no HTTP at all": drop(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
}


@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN.keys())
async def test_a_lost_answer_is_ambiguous_and_the_post_is_sent_once(
    server: RawServer, local_fal: Fal, act: Act
) -> None:
    """fal_client would have sent it ten times here."""
    server.then(act).then(answer(200, ACCEPTED))
    assert isinstance(await submit(local_fal), Ambiguous)
    assert len(server.requests) == 1


async def test_a_post_on_a_connection_that_was_just_closed_is_not_sent_again(
    server: RawServer, local_fal: Fal
) -> None:
    """The pool's connection dies under the second POST; only fal's answer may tell of it."""
    server.then(answer(200, ACCEPTED)).then(drop()).then(answer(200, ACCEPTED))
    assert isinstance(await submit(local_fal), Accepted)
    assert isinstance(await submit(local_fal), Ambiguous)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "act", [hang, send(head(200, b'{"request_id"', length=500))], ids=["head", "body"]
)
async def test_a_post_without_an_answer_is_given_up_and_ambiguous(
    server: RawServer, local_fal: Fal, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit_module, "GIVEN_UP_SECONDS", 0.2)
    server.then(act)
    assert isinstance(await submit(local_fal), Ambiguous)
    assert len(server.requests) == 1


def test_a_post_is_given_up_after_thirty_seconds() -> None:
    """The ledger calls it in doubt after 45."""
    assert submit_module.GIVEN_UP_SECONDS == 30


async def test_a_refused_connection_is_not_sent(unused_tcp_port: int) -> None:
    async with open_fal(local_settings(f"http://127.0.0.1:{unused_tcp_port}")) as fal:
        assert isinstance(await submit(fal), NotSent)


async def test_a_failed_tls_handshake_is_not_sent(server: RawServer) -> None:
    """The server speaks no TLS: it sees bytes, and never a request."""
    server.then(answer(200, ACCEPTED))
    async with open_fal(local_settings(server.url.replace("http:", "https:"))) as fal:
        assert isinstance(await submit(fal), NotSent)
    assert server.requests == []


async def test_where_fal_s_names_lead_nowhere_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the real transport: both domains are tried, and neither is an error of ours."""
    asked: list[str] = []

    async def nowhere(_: object, host: str, *__: object, **___: object) -> None:
        asked.append(host)
        raise OSError("no such name")

    monkeypatch.setattr(aiohttp.TCPConnector, "_resolve_host", nowhere)
    async with open_fal(real_settings()) as fal:
        assert isinstance(await submit(fal), NotSent)
        assert await fal.check_key() is KeyCheck.UNREACHABLE
    assert asked == 2 * ["queue.fal.run", "queue.falrun.com"]


def _failing(*errors: type[httpx.TransportError]) -> tuple[list[str], Callable[..., Any]]:
    hosts: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        if len(hosts) <= len(errors):
            raise errors[len(hosts) - 1]("no", request=request)
        assert request.headers["host"] == request.url.host
        assert json.loads(request.content) == BODY
        return httpx.Response(200, json=ACCEPTED)

    return hosts, handler


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout])
async def test_fals_backup_domain_is_tried_when_no_connection_was_made(
    error: type[httpx.TransportError],
) -> None:
    hosts, handler = _failing(error)
    async with fal_with(handler) as fal:
        assert await submit(fal) == Accepted(submission=submission())
    assert hosts == ["queue.fal.run", "queue.falrun.com"]


async def test_when_both_domains_are_unreachable_nothing_was_sent() -> None:
    hosts, handler = _failing(httpx.ConnectError, httpx.ConnectTimeout)
    async with fal_with(handler) as fal:
        assert isinstance(await submit(fal), NotSent)
    assert len(hosts) == 2


async def test_a_lost_answer_of_the_backup_domain_is_ambiguous() -> None:
    hosts, handler = _failing(httpx.ConnectError, httpx.ReadError)
    async with fal_with(handler) as fal:
        assert isinstance(await submit(fal), Ambiguous)
    assert len(hosts) == 2


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadError,
        httpx.ReadTimeout,
        httpx.WriteError,
        httpx.WriteTimeout,
        httpx.RemoteProtocolError,
        httpx.CloseError,
    ],
)
async def test_the_backup_domain_is_not_tried_once_something_was_sent(
    error: type[httpx.TransportError],
) -> None:
    hosts, handler = _failing(error)
    async with fal_with(handler) as fal:
        assert isinstance(await submit(fal), Ambiguous)
    assert hosts == ["queue.fal.run"]


async def test_a_queue_that_is_not_fals_has_no_backup_domain() -> None:
    hosts, handler = _failing(httpx.ConnectError)
    async with fal_with(handler, fal_queue_url="https://queue.example") as fal:
        assert isinstance(await submit(fal), NotSent)
    assert hosts == ["queue.example"]


async def test_a_full_pool_means_not_sent() -> None:
    hosts, handler = _failing(httpx.PoolTimeout)
    async with fal_with(handler) as fal:
        assert isinstance(await submit(fal), NotSent)
    assert hosts == ["queue.fal.run"]
