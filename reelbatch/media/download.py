"""Download images and videos into memory, hashed on the way, from where we may and no more.

Nothing of ours is sent along: no credentials, no cookies, no referrer. A truncated answer is
Transient: files from fal.media have come without their last bytes (fal.md, section 8.3).
"""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    NewConnectionError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse

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
CHUNK_BYTES = 1024 * 1024
PATIENCE = urllib3.Timeout(connect=10, read=60)
TOTAL_SECONDS = 900.0
"""A server that drips a byte a minute never meets the read timeout: each byte is looked at."""
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


class Downloader:
    """Fetch files by URL; safe to share between threads.

    `hosts` are exact names or `*.suffix` (None: any public host); `rewrite` leads hosts to
    another base URL, path and query kept, so that fal's media hosts can be an emulator.
    """

    def __init__(
        self,
        *,
        hosts: tuple[str, ...] | None = None,
        allow_loopback: bool = False,
        rewrite: Mapping[str, str] | None = None,
        pool_size: int = 32,
        resolve: Resolver = resolve_by_dns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = Places(
            hosts=hosts, allow_loopback=allow_loopback, rewrite=dict(rewrite or {})
        )
        self._resolve = resolve
        self._clock = clock
        self._pools = urllib3.PoolManager(
            num_pools=64, maxsize=pool_size, ssl_context=_trusted_certificates()
        )

    def get(self, url: str, *, cap_bytes: int) -> Downloaded:
        """The file behind the URL, redirects followed under the same rules.

        Raises Transient, or Permanent with error `download_refused`, `too_large`, `not_found`.
        """
        hop = url
        for _ in range(MAX_REDIRECTS + 1):
            target = self._places.target(hop)
            response = self._ask(target)
            try:
                location = response.get_redirect_location()
                if not location:
                    return self._read(response, url, cap_bytes)
            finally:
                response.close()
            hop = urljoin(hop, location)
        raise refused(url, f"it redirects more than {MAX_REDIRECTS} times")

    def _ask(self, target: Target) -> BaseHTTPResponse:
        """The answer's head, from the first of the host's addresses that can be reached."""
        failure: HTTPError | None = None
        for address in addresses(target, self._resolve):
            try:
                return self._connect(target, address)
            except (NewConnectionError, ConnectTimeoutError) as error:
                failure = error
            except HTTPError as error:
                raise _network_fault(target.shown, error) from error
        raise Transient(f"{target.host} cannot be reached.") from failure

    def _connect(self, target: Target, address: str) -> BaseHTTPResponse:
        """Connect to this very address, while Host and certificate stay the name's."""
        secure = target.parts.scheme == "https"
        pool = self._pools.connection_from_host(
            address,
            target.port,
            target.parts.scheme,
            pool_kwargs={"server_hostname": target.host} if secure else None,
        )
        return pool.urlopen(
            "GET",
            target.path,
            headers={"Host": _host_header(target), **HEADERS},
            timeout=PATIENCE,
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )

    def _read(self, response: BaseHTTPResponse, url: str, cap_bytes: int) -> Downloaded:
        _check_head(response, url, cap_bytes)
        digest = hashlib.sha256()
        chunks: list[bytes] = []
        received, until = 0, self._clock() + TOTAL_SECONDS
        try:
            while chunk := response.read1(CHUNK_BYTES, decode_content=False):
                received += len(chunk)
                _check_progress(url, received, cap_bytes, late=self._clock() > until)
                digest.update(chunk)
                chunks.append(chunk)
        except HTTPError as error:
            raise _network_fault(without_query(url), error) from error
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Downloaded(
            content=b"".join(chunks), content_type=content_type, sha256=digest.hexdigest()
        )


def _trusted_certificates() -> ssl.SSLContext:
    """Those that fal's own client trusts: SSL_CERT_FILE, else certifi's."""
    import httpx

    return httpx.create_ssl_context()


def _host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port in (80, 443) else f"{host}:{target.port}"


def _check_head(response: BaseHTTPResponse, url: str, cap_bytes: int) -> None:
    shown, status = without_query(url), response.status
    if status in (408, 425, 429) or status >= 500:
        raise Transient(f"{shown} answered {status}.", retry_after=_retry_after(response))
    if status in (404, 410):
        raise Permanent(f"{shown} does not exist (answer {status}).", error="not_found")
    if status in (401, 403):
        raise refused(url, f"its server does not let us (answer {status}); a link may have expired")
    if status != 200:
        raise refused(url, f"its server answered {status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise refused(url, "its server sends it compressed, though we asked for plain bytes")
    if (response.length_remaining or 0) > cap_bytes:
        raise _too_large(url, cap_bytes)


def _check_progress(url: str, received: int, cap_bytes: int, *, late: bool) -> None:
    if received > cap_bytes:
        raise _too_large(url, cap_bytes)
    if late:
        raise Transient(f"{without_query(url)} took more than {TOTAL_SECONDS:.0f} s.")


def _retry_after(response: BaseHTTPResponse) -> float | None:
    try:
        return urllib3.Retry(0).get_retry_after(response)
    except InvalidHeader:
        return None


def _too_large(url: str, cap_bytes: int) -> Permanent:
    return Permanent(
        f"{without_query(url)} is larger than {cap_bytes / 1024**2:g} MB.", error="too_large"
    )


def _network_fault(shown: str, error: HTTPError) -> Transient:
    if isinstance(error, SSLError):
        return Transient(f"{shown} has no certificate we trust, or the connection broke.")
    return Transient(f"{shown} was not received whole: {type(error).__name__}.")
