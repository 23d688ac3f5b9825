"""A request's status as fal tells it, change by change, over one connection.

Server-sent events: each `data:` is one status object (fal.md, section 3.4).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator

import httpx

from reelbatch.errors import Transient
from reelbatch.fal.answers import Completed, Status, Submission
from reelbatch.fal.status import status_of
from reelbatch.fal.wire import Wire

SILENCE_SECONDS = 120.0
EVENT_CAP_BYTES = 1024 * 1024


async def stream_status(wire: Wire, submission: Submission) -> AsyncGenerator[Status, None]:
    """Every change until Completed. Raises Transient if it breaks off before, or never begins.

    What is no stream says nothing of the request: a gateway may not know this address.
    """
    url = f"{submission.status_url}/stream?logs=0"
    async with wire.listen(url, silence_seconds=SILENCE_SECONDS) as response:
        if response.status_code != 200:
            raise (await wire.reply(response)).transient("a status stream")
        async for data in _events(response):
            status = _read(data)
            yield status
            if isinstance(status, Completed):
                return
    raise Transient("fal's status stream ended before the request did.")


def _read(data: bytes) -> Status:
    try:
        return status_of(json.loads(data))
    except (ValueError, AttributeError, RecursionError) as error:
        raise Transient("fal's status stream holds something that is no status.") from error


async def _events(response: httpx.Response) -> AsyncIterator[bytes]:
    """The `data` of each event; comments, names and ids are passed over."""
    data = b""
    async for line in _lines(response):
        if line.startswith(b"data:"):
            data += line[5:].removeprefix(b" ") + b"\n"
            if len(data) > EVENT_CAP_BYTES:
                raise Transient("fal's status stream sends an event without end.")
        elif not line and data:
            yield data
            data = b""


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Lines as they come, ended by LF or CRLF; one that never ends is cut off."""
    rest = b""
    async for chunk in _chunks(response):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
        if len(rest) > EVENT_CAP_BYTES:
            raise Transient("fal's status stream sends a line without end.")


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_bytes():
            yield chunk
    except httpx.HTTPError as error:
        raise Transient(f"fal's status stream broke off ({type(error).__name__}).") from error
