"""Faults of status, stream, result and cancel: none of them says anything about the job."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import count

from starlette.responses import JSONResponse, Response, StreamingResponse

from reelbatch.emulator.account import EXHAUSTED, locked
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

NOT_FOUND = {"status": "NOT_FOUND"}
EVENT_STREAM = "text/event-stream"
Events = AsyncIterator[bytes | str | memoryview]


@fault(at="status")
async def status_error(call: Call, *, status: int = 500) -> Response:
    """A JSON error instead of the status."""
    return detail(status, "Internal Server Error")


@fault(at="status")
async def status_nginx(call: Call, *, status: int = 502) -> Response:
    """nginx's HTML page instead of the status."""
    return nginx_page(status)


@fault(at="status")
async def status_garbled(call: Call) -> Response:
    """The right code with half a JSON document."""
    answer = await call.proceed()
    return Response(bytes(answer.body)[:25], answer.status_code, media_type="application/json")


@fault(at="status")
async def status_locked(call: Call, *, reason: str = EXHAUSTED) -> Response:
    """403 "User is locked" on a status read."""
    return locked(reason)


@fault(at="status")
async def status_missing(call: Call) -> Response:
    """404 for a request that is there."""
    return JSONResponse(NOT_FOUND, 404)


@fault(at="status")
async def status_dropped(call: Call) -> Response:
    """The connection closes without a status."""
    return Dropped()


@fault(at="status")
async def status_hanging(call: Call) -> Response:
    """The status never comes."""
    return Hanging()


@fault(at="status")
async def status_redirected(call: Call, *, location: str = "/elsewhere") -> Response:
    """307 to another place instead of the status."""
    return redirection(location)


@fault(at="status")
async def status_headers_repeated(call: Call, *, status: int = 500) -> Response:
    """A JSON error that repeats the caller's headers, the key among them."""
    return repeating(call.request, status)


@fault(at="stream")
async def stream_error(call: Call, *, status: int = 500) -> Response:
    """A JSON error instead of the stream."""
    return detail(status, "Internal Server Error")


@fault(at="stream")
async def stream_headers_repeated(call: Call, *, status: int = 500) -> Response:
    """A JSON error that repeats the caller's headers, the key among them."""
    return repeating(call.request, status)


@fault(at="stream")
async def stream_redirected(call: Call, *, location: str = "/elsewhere") -> Response:
    """307 to another place instead of the stream."""
    return redirection(location)


@fault(at="stream")
async def stream_broken(call: Call, *, events: int = 1) -> Response:
    """The stream ends after some events, whatever the state."""
    return await changed(call, partial(only, events=events))


@fault(at="stream")
async def stream_silent(call: Call, *, every_seconds: float = 0.2) -> Response:
    """After its first event the stream sends comments only, whatever becomes of the request."""
    return await changed(call, partial(comments_after_one, every_seconds=every_seconds))


async def changed(call: Call, change: Callable[[StreamingResponse], Events]) -> Response:
    """What the stream would say, otherwise; an answer that is no stream stays as it is."""
    whole = await call.proceed()
    if not isinstance(whole, StreamingResponse):
        return whole
    return StreamingResponse(change(whole), media_type=EVENT_STREAM)


async def comments_after_one(whole: StreamingResponse, every_seconds: float) -> Events:
    async for event in only(whole, 1):
        yield event
    while True:
        await asyncio.sleep(every_seconds)
        yield b": still here\n\n"


async def only(whole: StreamingResponse, events: int) -> Events:
    number = count(1)
    async for event in whole.body_iterator:
        yield event
        if next(number) >= events:
            return


@fault(at="stream")
async def stream_hanging(call: Call) -> Response:
    """The stream never begins."""
    return Hanging()


@fault(at="result")
async def result_flake(call: Call, *, status: int = 500, html: bool = False) -> Response:
    """A 5xx of the gateway's own, without x-fal-request-id."""
    return nginx_page(status) if html else detail(status, "Internal Server Error")


@fault(at="result")
async def result_in_progress(call: Call) -> Response:
    """400 "Request is still in progress" although the status said COMPLETED."""
    return detail(400, "Request is still in progress")


@fault(at="result")
async def result_missing(call: Call) -> Response:
    """404 for a result that is there."""
    return JSONResponse(NOT_FOUND, 404)


@fault(at="result")
async def result_expired(call: Call, *, status: int = 404) -> Response:
    """The result is gone, for this call and all later ones."""
    if call.submission is not None:
        call.submission.gone = True
    return JSONResponse(NOT_FOUND, status)


@fault(at="result")
async def result_garbled(call: Call) -> Response:
    """The right code and headers with half a JSON document."""
    answer = await call.proceed()
    half = Response(bytes(answer.body)[:25], answer.status_code, media_type="application/json")
    half.headers["x-fal-request-id"] = answer.headers.get("x-fal-request-id", "")
    return half


@fault(at="result")
async def result_dropped(call: Call) -> Response:
    """The connection closes without a result."""
    return Dropped()


@fault(at="unknown")
async def unknown_nginx(call: Call, *, status: int = 502) -> Response:
    """nginx's HTML page where a request that is not there is asked for: the free look, say."""
    return nginx_page(status)


@fault(at="result")
async def result_redirected(call: Call, *, location: str = "/elsewhere") -> Response:
    """307 to another place instead of the result."""
    return redirection(location)


@fault(at="result")
async def result_headers_repeated(call: Call, *, status: int = 422) -> Response:
    """A JSON error that repeats the caller's headers, the key among them."""
    return repeating(call.request, status)


@fault(at="cancel")
async def cancel_redirected(call: Call, *, location: str = "/elsewhere") -> Response:
    """307 to another place; not cancelled."""
    return redirection(location)


@fault(at="cancel")
async def cancel_error(call: Call, *, status: int = 500, done: bool = False) -> Response:
    """A JSON error; the request cancelled or not."""
    if done:
        await call.proceed()
    return detail(status, "Internal Server Error")
