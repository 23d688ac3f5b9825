"""One HTTP exchange with fal: to our own hosts only, read up to a cap, and a POST sent once.

A request goes to fal's backup domain only when no connection was made to the first, so
nothing that may have been read is ever sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from reelbatch.config import Settings
from reelbatch.errors import Transient
from reelbatch.fal.clock import FalClock
from reelbatch.fal.connections import Connections
from reelbatch.fal.constants import BACKUP_HOSTS
from reelbatch.fal.credentials import Credentials
from reelbatch.fal.reply import Reply

BODY_CAP_BYTES = 1024 * 1024
CALL_SECONDS = 60.0
TIMEOUTS = {"pool": 5.0, "connect": 4.0, "read": 30.0}
"""Seconds, the first two for a place and a connection: the backup domain has its turn within a
POST's 30."""

_HEADERS = {"User-Agent": "reelbatch", "Accept": "*/*", "Accept-Encoding": "identity"}

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class NotConnected(Transient):
    """No connection was made: fal cannot have seen the request."""


class NoAnswer(Transient):
    """The request may have left, and no answer came."""


class Wire:
    """The connections to fal's hosts."""

    def __init__(
        self,
        settings: Settings,
        *,
        calls: Connections,
        streams: Connections,
        now: Callable[[], float],
    ) -> None:
        self.queue_url = settings.fal_queue_url
        self.rest_url = settings.fal_rest_url
        self.api_url = settings.fal_api_url
        self.credentials = Credentials(settings)
        self.clock = FalClock()
        self._calls = calls
        self._streams = streams
        self._now = now

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        seconds: float | None = None,
        cap: int = BODY_CAP_BYTES,
    ) -> Reply:
        """One request, one answer. Raises NotConnected or NoAnswer, both Transient."""
        request = self._request(method, url, headers or {}, content)
        deadline = _in(CALL_SECONDS if seconds is None else seconds)
        sent_at = self._now()
        response = await _answer(self._calls, request, deadline)
        try:
            date = response.headers.get("date")
            self.clock.observe(date, sent_at=sent_at, received_at=self._now())
            return await self._reply(response, cap, deadline)
        finally:
            await response.aclose()

    @asynccontextmanager
    async def listen(self, url: str, *, silence_seconds: float) -> AsyncIterator[httpx.Response]:
        """An answer to read as it comes, on a connection of its own."""
        request = self._request("GET", url, {"Accept": "text/event-stream"}, None)
        request.extensions["timeout"] = {**TIMEOUTS, "read": silence_seconds}
        deadline = _in(CALL_SECONDS)
        response = await _answer(self._streams, request, deadline)
        try:
            yield response
        finally:
            await response.aclose()

    async def reply(self, response: httpx.Response) -> Reply:
        """The rest of an answer that turned out to be none to listen to."""
        deadline = _in(CALL_SECONDS)
        return await self._reply(response, BODY_CAP_BYTES, deadline)

    async def _reply(self, response: httpx.Response, cap: int, deadline: float) -> Reply:
        body, broken = await _read(response, cap, deadline)
        return Reply(
            status=response.status_code,
            headers=response.headers,
            body=self.credentials.without_key(body),
            broken=broken,
        )

    def _request(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None
    ) -> httpx.Request:
        return httpx.Request(
            method,
            self.credentials.own(url),
            headers=_HEADERS | headers | self.credentials.headers,
            content=content,
            extensions={"timeout": TIMEOUTS},
        )


def _in(seconds: float) -> float:
    """That far ahead on the loop's own clock."""
    return asyncio.get_running_loop().time() + seconds


async def _answer(
    connections: Connections, request: httpx.Request, deadline: float
) -> httpx.Response:
    """The head of the answer. Errors name their kind only: their words may hold a URL."""
    host = request.url.host
    try:
        async with asyncio.timeout_at(deadline):
            return await _send(connections, request)
    except _NOT_SENT as error:
        raise NotConnected(f"{host} could not be reached ({type(error).__name__})") from error
    except httpx.HTTPError as error:
        raise NoAnswer(f"{host} did not answer ({type(error).__name__})") from error
    except TimeoutError as error:
        raise NoAnswer(f"{host} did not answer in time") from error


async def _send(connections: Connections, request: httpx.Request) -> httpx.Response:
    try:
        return await connections.send(request)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        backup = _on_backup(request)
        if backup is None:
            raise
    return await connections.send(backup)


def _on_backup(request: httpx.Request) -> httpx.Request | None:
    """The same request for fal's backup domain, where its host has one."""
    host = BACKUP_HOSTS.get(request.url.host)
    if host is None or request.url.port is not None:
        return None
    headers = request.headers.copy()
    headers["Host"] = host
    return httpx.Request(
        request.method,
        request.url.copy_with(host=host),
        headers=headers,
        content=request.content,
        extensions=request.extensions,
    )


async def _read(response: httpx.Response, cap: int, deadline: float) -> tuple[bytes, str]:
    """The body, and why it is not all there: the status line counts either way."""
    body = bytearray()
    try:
        async with asyncio.timeout_at(deadline):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > cap:
                    return b"", f"the answer is larger than {cap} bytes"
    except httpx.HTTPError as error:
        return bytes(body), f"the answer broke off ({type(error).__name__})"
    except TimeoutError:
        return bytes(body), "the answer did not end in time"
    return bytes(body), ""
