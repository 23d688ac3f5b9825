"""One HTTP exchange with fal: sent once, to our own hosts only, read up to a cap.

The key is added here, request by request, and only for the origins in the settings:
a URL from anywhere else is refused before a byte leaves. A request goes to fal's backup
domain only when no connection was made, so nothing is ever sent twice.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from reelbatch.config import Settings
from reelbatch.errors import Permanent, Transient
from reelbatch.fal.clock import FalClock
from reelbatch.fal.constants import BACKUP_HOSTS
from reelbatch.fal.failures import Failure, classify
from reelbatch.fal.retry_after import retry_after_seconds

BODY_CAP_BYTES = 1024 * 1024
USER_AGENT = "reelbatch"
TIMEOUTS = {"connect": 5.0, "read": 30.0, "write": 30.0, "pool": 5.0}
"""Seconds. Five to connect, so that the backup domain has its turn within a POST's 30."""

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)

Origin = tuple[str, str, int | None]


class NotConnected(Transient):
    """No connection was made: fal cannot have seen the request."""


class NoAnswer(Transient):
    """The request may have left, and no answer came."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """fal's answer. `broken` says why the body is not all there, or is empty."""

    status: int
    headers: httpx.Headers
    body: bytes
    broken: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 and not self.broken

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises ValueError for anything else."""
        content = None if self.broken else json.loads(self.body)
        if not isinstance(content, dict):
            raise ValueError(self.broken or "it is not a JSON object")
        return content

    def failure(self) -> Failure:
        return classify(self.status, self.headers, self.body)

    def transient(self, what: str) -> Transient:
        """This answer as something to ask again: `what` names what we wanted."""
        words = self.broken or self.failure().message
        message = f"fal did not give {what}: {self.status} {words}"
        return Transient(message, retry_after=self.retry_after)

    @property
    def retry_after(self) -> float | None:
        return retry_after_seconds(self.headers.get("retry-after"), self.headers.get("date"))


class Wire:
    """The connections to fal's hosts, and the key that only they may see."""

    def __init__(
        self,
        settings: Settings,
        *,
        calls: httpx.AsyncClient,
        streams: httpx.AsyncClient,
        now: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.clock = FalClock()
        self._calls = calls
        self._streams = streams
        self._now = now
        self._key = settings.fal_key
        self._origins = _origins(settings)
        self._queue = _origin(httpx.URL(settings.fal_queue_url))
        self._secrets = _secrets(settings.fal_key)

    def is_queue_url(self, url: object) -> bool:
        """Whether this URL from an answer lies on the configured queue host."""
        try:
            return isinstance(url, str) and _origin(_plain(httpx.URL(url))) == self._queue
        except httpx.InvalidURL:
            return False

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        cap: int = BODY_CAP_BYTES,
    ) -> Reply:
        """One request, one answer. Raises NotConnected or NoAnswer (both Transient)."""
        request = self._request(method, url, headers or {}, content)
        sent_at = self._now()
        response = await _send(self._calls, request)
        try:
            self.clock.observe(
                response.headers.get("date"), sent_at=sent_at, received_at=self._now()
            )
            body, broken = await _read(response, cap)
        finally:
            await response.aclose()
        return Reply(
            status=response.status_code,
            headers=response.headers,
            body=self._without_key(body),
            broken=broken,
        )

    @asynccontextmanager
    async def listen(self, url: str, *, silence_seconds: float) -> AsyncIterator[httpx.Response]:
        """An answer that is read as it comes, on connections of its own."""
        request = self._request("GET", url, {"Accept": "text/event-stream"}, None)
        request.extensions["timeout"] = {**TIMEOUTS, "read": silence_seconds}
        response = await _send(self._streams, request)
        try:
            yield response
        finally:
            await response.aclose()

    def _request(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None
    ) -> httpx.Request:
        target = self._own(url)
        sent = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        if self._key is not None:
            sent["Authorization"] = f"Key {self._key.get_secret_value()}"
        return httpx.Request(
            method, target, headers=sent, content=content, extensions={"timeout": TIMEOUTS}
        )

    def _own(self, url: str) -> httpx.URL:
        try:
            target = _plain(httpx.URL(url))
        except httpx.InvalidURL:
            target = httpx.URL()
        if _origin(target) not in self._origins:
            raise Permanent(
                f"{target.host or 'an unreadable URL'} is none of the configured fal hosts.",
                advice="The key is sent to those only. Check the REELBATCH_FAL_* settings.",
                error="foreign_url",
            )
        return target

    def _without_key(self, body: bytes) -> bytes:
        """A gateway may repeat what it was sent; the key must not get into our records."""
        for secret in self._secrets:
            if secret in body:
                body = body.replace(secret, b"[key]")
        return body


async def _send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    try:
        return await _send_once(client, request)
    except NotConnected:
        backup = _on_backup(request)
        if backup is None:
            raise
        return await _send_once(client, backup)


async def _send_once(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    host = request.url.host
    try:
        return await client.send(request, stream=True)
    except _NOT_SENT as error:
        raise NotConnected(f"{host} could not be reached ({_name(error)})") from error
    except httpx.HTTPError as error:
        raise NoAnswer(f"{host} did not answer ({_name(error)})") from error


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
        stream=request.stream,
        extensions=request.extensions,
    )


async def _read(response: httpx.Response, cap: int) -> tuple[bytes, str]:
    """The body, and why it is not all there: the status line counts either way."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > cap:
                return b"", f"the answer is larger than {cap} bytes"
    except httpx.HTTPError as error:
        return bytes(body), f"the answer broke off ({_name(error)})"
    return bytes(body), ""


def _origins(settings: Settings) -> frozenset[Origin]:
    urls = (
        settings.fal_queue_url,
        settings.fal_rest_url,
        settings.fal_cdn_url,
        settings.fal_api_url,
    )
    return frozenset(_origin(httpx.URL(url)) for url in urls)


def _origin(url: httpx.URL) -> Origin:
    """httpx leaves out a scheme's own port, so equal origins compare equal."""
    return url.scheme, url.host, url.port


def _plain(url: httpx.URL) -> httpx.URL:
    """The URL if it carries no credentials; they would replace ours."""
    if url.userinfo:
        raise httpx.InvalidURL("a URL with credentials")
    return url


def _secrets(key: SecretStr | None) -> tuple[bytes, ...]:
    """The key and its secret half, where they are long enough to be one."""
    whole = key.get_secret_value() if key else ""
    return tuple(part.encode() for part in (whole, whole.partition(":")[2]) if len(part) >= 16)


def _name(error: Exception) -> str:
    """The kind of error only: its words may hold a URL."""
    return type(error).__name__
