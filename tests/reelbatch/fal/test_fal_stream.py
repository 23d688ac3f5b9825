"""The status stream: every change over one connection, or an error that says it broke."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from reelbatch.errors import Transient
from reelbatch.fal import stream as stream_module
from reelbatch.fal.answers import Completed, Queued, Running, Status
from reelbatch.fal.client import Fal
from reelbatch.run import streams
from reelbatch.run.streams import Streams
from tests.reelbatch.fal.opened import REQUEST_ID, fal_saying, submission
from tests.reelbatch.fal.raw_server import Act, RawServer, drop, send

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
QUEUED = {"status": "IN_QUEUE", "queue_position": 1}
RUNNING = {"status": "IN_PROGRESS", "logs": None}
DONE = {"status": "COMPLETED", "logs": [], "metrics": {"inference_time": 3}}


def events(*statuses: dict[str, Any]) -> bytes:
    return b"".join(f"data: {json.dumps(status)}\n\n".encode() for status in statuses)


async def changes(fal: Fal, server: RawServer) -> list[Status]:
    return [status async for status in fal.stream(submission(server.url))]


async def test_it_tells_every_change_and_ends_with_the_request(
    server: RawServer, local_fal: Fal
) -> None:
    server.then(drop(HEAD + events(QUEUED, RUNNING, QUEUED, RUNNING, DONE)))
    seen = await changes(local_fal, server)
    waits, runs = Queued(position=1), Running()
    assert seen == [waits, runs, waits, runs, Completed(inference_seconds=3)]
    (request,) = server.requests
    assert request.target == f"/fal-ai/ovi/requests/{REQUEST_ID}/status/stream?logs=0"
    assert request.headers["accept"] == "text/event-stream"


async def test_it_ends_with_the_request_even_if_fal_leaves_the_connection_open(
    server: RawServer, local_fal: Fal
) -> None:
    server.then(send(HEAD + events(DONE)))
    assert await changes(local_fal, server) == [Completed(inference_seconds=3)]


async def test_comments_names_ids_and_carriage_returns_are_understood(
    server: RawServer, local_fal: Fal
) -> None:
    server.then(
        drop(
            HEAD + b': ping\r\n\r\nevent: status\r\nid: 7\r\ndata: {"status":\r\n'
            b'data:"COMPLETED"}\r\n\r\n'
        )
    )
    assert await changes(local_fal, server) == [Completed()]


async def test_events_may_arrive_in_any_pieces(server: RawServer, local_fal: Fal) -> None:
    async def byte_by_byte(writer: asyncio.StreamWriter) -> None:
        for byte in HEAD + events(RUNNING, DONE):
            writer.write(bytes([byte]))
            await writer.drain()

    server.then(byte_by_byte)
    assert await changes(local_fal, server) == [Running(), Completed(inference_seconds=3)]


BREAKS = {
    "at the start": drop(HEAD),
    "after a change": drop(HEAD + events(RUNNING)),
    "within a change": drop(HEAD + events(RUNNING) + events(DONE)[:20]),
    "with an unknown status": drop(HEAD + events({"status": "EXPIRED"})),
    "with something else": drop(HEAD + b"data: [1]\n\n"),
    "with an event without end": drop(HEAD + (b"data: " + b" " * 1000 + b"\n") * 2000),
    "with a line without end": drop(HEAD + b"data: " + b" " * 2_000_000),
    "without an answer": drop(),
}


@pytest.mark.parametrize("act", BREAKS.values(), ids=BREAKS.keys())
async def test_a_stream_that_breaks_says_so(server: RawServer, local_fal: Fal, act: Act) -> None:
    """Whoever listens then asks for the status in the plain way."""
    server.then(act)
    with pytest.raises(Transient):
        await changes(local_fal, server)


async def test_a_silent_stream_is_given_up(
    server: RawServer, local_fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "SILENCE_SECONDS", 0.1)
    server.then(send(HEAD + events(RUNNING)))
    with pytest.raises(Transient, match="ReadTimeout"):
        await changes(local_fal, server)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_a_stream_that_is_garbled_in_the_middle_is_left(
    server: RawServer, local_fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp 3.14 drops its timer there, and never comes back."""
    monkeypatch.setattr(streams, "NEXT_WORD_SECONDS", 0.2)
    first = events(RUNNING)

    async def garbled(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"%x\r\n%s\r\n" % (len(first), first))
        await writer.drain()
        await asyncio.sleep(0.1)  # Else both are read at once, and nothing is heard.
        writer.write(b"no chunk\r\n")

    server.then(garbled)
    seen: list[Status] = []

    def read(status: Status) -> bool:
        seen.append(status)
        return True

    following = Streams(local_fal.stream, places=1).follow(submission(server.url), read)
    await asyncio.wait_for(following, 30)
    assert set(seen) == {Running()}


@pytest.mark.parametrize("code", [202, 401, 403, 404, 410, 429, 500, 503])
async def test_what_is_no_stream_says_nothing_of_the_request(code: int) -> None:
    """Not even a 404: a gateway may not know this address. The status has its own."""
    async with fal_saying(code, {"status": "IN_QUEUE", "detail": "no"}) as fal:
        with pytest.raises(Transient):
            _ = [status async for status in fal.stream(submission())]


async def test_whoever_stops_listening_frees_the_connection(
    server: RawServer, local_fal: Fal
) -> None:
    server.then(send(HEAD + events(QUEUED)))
    async with aclosing(local_fal.stream(submission(server.url))) as stream:
        assert await anext(stream) == Queued(position=1)
    await asyncio.wait_for(server.closed.wait(), 5)


async def test_hundreds_of_streams_leave_room_for_calls(server: RawServer, local_fal: Fal) -> None:
    streams = [local_fal.stream(submission(server.url)) for _ in range(400)]
    server.then(send(HEAD + events(QUEUED)))
    for stream in streams:  # All at once, a busy machine would need more than a connection's 4 s.
        await anext(stream)
    server.becomes(send(b'HTTP/1.1 202 OK\r\ncontent-length: 24\r\n\r\n{"status":"IN_PROGRESS"}'))
    assert await local_fal.status(submission(server.url)) == Running()
    for stream in streams:
        await stream.aclose()
