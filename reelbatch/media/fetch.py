"""Fetch files into memory, hashed on the way, from where we may and no more.

Nothing of ours is sent along: no credentials, no cookies, no referrer. A truncated answer is
Transient: files from fal.media have come without their last bytes (fal.md, section 8.3).
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import TracebackType
from urllib.parse import urljoin

import aiohttp
import httpx
import urllib3
from urllib3.exceptions import InvalidHeader
from yarl import URL

from reelbatch import __version__
from reelbatch.errors import Permanent, Transient
from reelbatch.media.places import (
    Places,
    Resolver,
    Target,
    addresses,
    refused,
    resolve_by_dns,
)
from reelbatch.urls import without_query

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
CHUNK_BYTES = 256 * 1024
HEADER_CAP_BYTES = 64 * 1024
PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
TOTAL_SECONDS = 900.0
"""A server that drips a byte a minute never meets the read timeout."""
HEADERS = {
    "User-Agent": f"reelbatch/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, kw_only=True)
class Downloaded:
    """One whole file. `content_type` is as the server said it, without parameters."""

    content: bytes
    content_type: str
    sha256: str


class Fetcher:
    """Fetch files by URL; an async context.

    `hosts` are exact names or `*.suffix` (None: any public host); `rewrite` leads hosts to
    another base URL, path and query kept, so that fal's media hosts can be an emulator.
    """

    def __init__(
        self,
        *,
        hosts: tuple[str, ...] | None = None,
        allow_loopback: bool = False,
        rewrite: Mapping[str, str] | None = None,
        resolve: Resolver = resolve_by_dns,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._places = Places(
            hosts=hosts, allow_loopback=allow_loopback, rewrite=dict(rewrite or {})
        )
        self._resolve = resolve
        self._total_seconds = total_seconds

    async def __aenter__(self) -> Fetcher:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_trusted_certificates(), limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=CHUNK_BYTES,
            max_line_size=HEADER_CAP_BYTES,
            max_field_size=HEADER_CAP_BYTES,
            skip_auto_headers=("User-Agent",),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(self, url: str, *, cap_bytes: int) -> Downloaded:
        """The file behind the URL, redirects followed under the same rules.

        Raises Transient, or Permanent with error `download_refused`, `too_large`, `not_found`.
        """
        try:
            async with asyncio.timeout(self._total_seconds):
                return await self._followed(url, cap_bytes)
        except TimeoutError:
            raise Transient(
                f"{without_query(url)} took more than {self._total_seconds:g} s."
            ) from None

    async def _followed(self, url: str, cap_bytes: int) -> Downloaded:
        hop = url
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._ask(self._places.target(hop))
            try:
                location = answer.headers.get("Location")
                if answer.status not in REDIRECTS or not location:
                    return await _read(answer, url, cap_bytes)
            finally:
                answer.close()
            hop = urljoin(hop, location)
        raise refused(url, f"it redirects more than {MAX_REDIRECTS} times")

    async def _ask(self, target: Target) -> aiohttp.ClientResponse:
        """The answer's head, from the first of the host's addresses that can be reached."""
        failure: Exception | None = None
        for address in await self._addresses(target):
            try:
                return await self._connect(target, address)
            except (aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError):
                raise Transient(
                    f"{target.shown} has no certificate we trust, or the connection broke."
                ) from None
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                failure = error
            except (aiohttp.ClientError, OSError) as error:
                raise _broken_off(target.shown, error) from None
        raise Transient(f"{target.host} cannot be reached.") from failure

    async def _addresses(self, target: Target) -> tuple[str, ...]:
        """Asking for a name takes time; an address does not."""
        if _is_address(target.host):
            return addresses(target, lambda host, port: (host,))
        return await asyncio.to_thread(addresses, target, self._resolve)

    async def _connect(self, target: Target, address: str) -> aiohttp.ClientResponse:
        """Connect to this very address, while Host and certificate stay the name's."""
        secure = target.parts.scheme == "https"
        host = f"[{address}]" if ":" in address else address
        return await self._session.get(
            URL(f"{target.parts.scheme}://{host}:{target.port}{target.path}", encoded=True),
            headers={"Host": _host_header(target), **HEADERS},
            server_hostname=target.host if secure else None,
            timeout=PATIENCE,
            allow_redirects=False,
        )


async def _read(answer: aiohttp.ClientResponse, url: str, cap_bytes: int) -> Downloaded:
    _check_head(answer, url, cap_bytes)
    digest = hashlib.sha256()
    chunks: list[bytes] = []
    received = 0
    try:
        async for chunk in answer.content.iter_any():
            received += len(chunk)
            if received > cap_bytes:
                raise _too_large(url, cap_bytes)
            digest.update(chunk)
            chunks.append(chunk)
    except (aiohttp.ClientError, OSError) as error:
        raise _broken_off(without_query(url), error) from None
    content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Downloaded(
        content=b"".join(chunks), content_type=content_type, sha256=digest.hexdigest()
    )


def _trusted_certificates() -> ssl.SSLContext:
    """Those that fal's own client trusts: SSL_CERT_FILE, else certifi's."""
    return _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _certificates(*named: str | None) -> ssl.SSLContext:
    """Reading them takes longer than a small download."""
    return httpx.create_ssl_context()


@lru_cache(maxsize=256)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port in (80, 443) else f"{host}:{target.port}"


def _check_head(answer: aiohttp.ClientResponse, url: str, cap_bytes: int) -> None:
    shown, status = without_query(url), answer.status
    if status in (408, 425, 429) or status >= 500:
        raise Transient(f"{shown} answered {status}.", retry_after=_retry_after(answer))
    if status in (404, 410):
        raise Permanent(f"{shown} does not exist (answer {status}).", error="not_found")
    if status in (401, 403):
        raise refused(url, f"its server does not let us (answer {status}); a link may have expired")
    if status != 200:
        raise refused(url, f"its server answered {status}")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise refused(url, "its server sends it compressed, though we asked for plain bytes")
    if (answer.content_length or 0) > cap_bytes:
        raise _too_large(url, cap_bytes)


def _retry_after(answer: aiohttp.ClientResponse) -> float | None:
    try:
        return urllib3.Retry(0).parse_retry_after(answer.headers["Retry-After"])
    except (KeyError, InvalidHeader):
        return None


def _too_large(url: str, cap_bytes: int) -> Permanent:
    return Permanent(
        f"{without_query(url)} is larger than {cap_bytes / 1024**2:g} MB.", error="too_large"
    )


def _broken_off(shown: str, error: Exception) -> Transient:
    """By its kind only: its own words may hold the address with its query."""
    return Transient(f"{shown} was not received whole: {type(error).__name__}.")
