"""Faults of the POST that costs money: accepted or not, and whether we are told."""

import asyncio
import json
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response

from reelbatch.emulator.account import EXHAUSTED
from reelbatch.emulator.account import locked as locked_answer
from reelbatch.emulator.faults.moments import Call
from reelbatch.emulator.faults.registry import fault
from reelbatch.emulator.wire import (
    Dropped,
    Hanging,
    detail,
    nginx_page,
    redirection,
    repeating,
)


@fault(at="submit")
async def accept_then_drop(call: Call) -> Response:
    """Accepted; the connection closes without an answer."""
    await call.proceed()
    return Dropped()


@fault(at="submit")
async def accept_then_hang(call: Call) -> Response:
    """Accepted; the answer never comes."""
    await call.proceed()
    return Hanging()


@fault(at="submit")
async def drop_before_accept(call: Call) -> Response:
    """Not accepted; the connection closes without an answer."""
    return Dropped()


@fault(at="submit")
async def hang_before_accept(call: Call) -> Response:
    """Not accepted; the answer never comes."""
    return Hanging()


@fault(at="submit")
async def nginx_error(call: Call, *, status: int = 502, accepted: bool = False) -> Response:
    """nginx's HTML page of 502, 503 or 504; accepted or not."""
    if accepted:
        await call.proceed()
    return nginx_page(status)


@fault(at="submit")
async def json_error(call: Call, *, status: int = 500, accepted: bool = False) -> Response:
    """A JSON error of any status (500, 503, 408, 409, 422, ...); accepted or not."""
    if accepted:
        await call.proceed()
    return detail(status, "Internal Server Error" if status >= 500 else "Refused")


@fault(at="submit")
async def garbled_answer(call: Call) -> Response:
    """Accepted; the 200 holds half a JSON document."""
    answer = await call.proceed()
    return Response(bytes(answer.body)[:40], 200, media_type="application/json")


@fault(at="submit")
async def empty_answer(call: Call) -> Response:
    """Accepted; the 200 has no body."""
    await call.proceed()
    return Response(b"", 200, media_type="application/json")


@fault(at="submit")
async def answer_without_id(call: Call) -> Response:
    """Accepted; the 200 names neither request_id nor URLs."""
    await call.proceed()
    return JSONResponse({"status": "IN_QUEUE", "queue_position": 0})


@fault(at="submit")
async def slow_answer(call: Call, *, seconds: float = 2.0) -> Response:
    """Accepted; the right answer comes late."""
    answer = await call.proceed()
    await asyncio.sleep(seconds)
    return answer


@fault(at="submit")
async def answer_after_webhook(call: Call) -> Response:
    """Accepted; the webhook is delivered before the answer leaves."""
    answer = await call.proceed()
    if call.submission is not None:
        await call.submission.webhook_tried.wait()
    return answer


@fault(at="submit")
async def too_many_requests(call: Call, *, retry_after: float | None = None) -> Response:
    """429, with a Retry-After header if one is given; not accepted."""
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return detail(429, "Too many requests", headers)


@fault(at="submit")
async def locked(call: Call, *, reason: str = EXHAUSTED) -> Response:
    """403 "User is locked"; not accepted."""
    return locked_answer(reason)


@fault(at="submit")
async def unauthorized(call: Call) -> Response:
    """401 for a good key; not accepted."""
    return detail(401, "invalid key credentials")


@fault(at="submit")
async def redirected(call: Call, *, status: int = 307, location: str = "/elsewhere") -> Response:
    """3xx to another place; not accepted."""
    return redirection(location, status)


@fault(at="submit")
async def answer_names_another_host(call: Call, *, url: str = "https://fal.example") -> Response:
    """Accepted; the 200's status, response and cancel URLs lie on another host."""
    answer = json.loads(bytes((await call.proceed()).body))
    for name in ("status_url", "response_url", "cancel_url"):
        answer[name] = url + urlsplit(answer[name]).path
    return JSONResponse(answer)


@fault(at="submit")
async def headers_repeated(call: Call, *, status: int = 422, accepted: bool = False) -> Response:
    """A JSON error that repeats the caller's headers, the key among them; accepted or not."""
    if accepted:
        await call.proceed()
    return repeating(call.request, status)
