"""A server that can do what no well-behaved server does: drop, hang, lie, and count.

It speaks just enough HTTP/1.1 to read a request whole before it misbehaves.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

TLS_HELLO = b"\x16"

Act = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class RawRequest:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class RawServer:
    """`then` says what happens to the next request; the last one said holds for all after it."""

    url: str = ""
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a client has hung up."""
    requests: list[RawRequest] = field(default_factory=list)
    _acts: deque[Act] = field(default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def then(self, act: Act) -> RawServer:
        self._acts.append(act)
        return self

    def becomes(self, act: Act) -> RawServer:
        """Forget what was said before."""
        self._acts.clear()
        return self.then(act)

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._connection(reader, writer))
        self._tasks.add(task)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                act = self._acts.popleft() if len(self._acts) > 1 else self._acts[0]
                await act(writer)
        except ConnectionError:
            pass  # The client hung up, as some of these tests want it to.
        finally:
            self.closed.set()
            writer.close()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> RawRequest | None:
    try:
        start = await reader.readexactly(1)
        if start == TLS_HELLO:
            return None
        head = (start + await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (n.partition(":") for n in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return RawRequest(method=method, target=target, headers=headers, body=body)


def answer(status: int, content: Any = None, **headers: str) -> Act:
    """An honest JSON answer."""
    return send(head(status, json.dumps(content).encode(), length=-1, **headers))


def head(status: int, body: bytes, *, length: int = -1, **headers: str) -> bytes:
    fields = {"content-length": str(len(body) if length < 0 else length), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + body


def send(data: bytes) -> Act:
    """These bytes, and the connection stays open."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return act


def drop(data: bytes = b"") -> Act:
    """These bytes, then the connection is closed."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        raise ConnectionResetError

    return act


async def hang(writer: asyncio.StreamWriter) -> None:
    """The request is read, and nothing ever comes back."""
    await asyncio.Event().wait()


@asynccontextmanager
async def raw_server() -> AsyncIterator[RawServer]:
    server = RawServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        await server.stop()
        await listener.wait_closed()
