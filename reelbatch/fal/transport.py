"""HTTP over aiohttp, told in httpx's words: a call costs a quarter of what httpcore takes for it.

aiohttp parses in C, and finds an idle connection at once, however many there are. It sends a
GET or PUT once more where a connection had gone stale, and never a POST.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import httpx
from yarl import URL

HEADER_CAP_BYTES = 64 * 1024

_NEVER_CONNECTED = aiohttp.ClientConnectorError
"""What aiohttp raises before a request leaves, and at no other time: a POST may be sent again.

Those of TLS and certificates are of this kind. Not its parent ClientConnectionError: that stands
for a lost answer, too.
"""


class Transport(httpx.AsyncBaseTransport):
    """One pool of connections, and the proxy they go through. Raises httpx.TransportError.

    Make it within a running event loop.
    """

    def __init__(
        self,
        limits: httpx.Limits,
        *,
        tls: ssl.SSLContext,
        proxy: str | None = None,
    ) -> None:
        self._proxy = proxy
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=tls,
                limit=limits.max_connections or 0,
                keepalive_timeout=limits.keepalive_expiry,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=HEADER_CAP_BYTES,
            max_field_size=HEADER_CAP_BYTES,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with _in_httpx_words():
            answer = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=request.content or None,
                allow_redirects=False,
                proxy=self._proxy,
                timeout=_timeout(request),
            )
        return httpx.Response(
            answer.status, headers=answer.raw_headers, stream=_Body(answer), request=request
        )

    async def aclose(self) -> None:
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    """What follows the head; a connection that was not read to its end is closed."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_httpx_words():
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        self._answer.close()


def _timeout(request: httpx.Request) -> aiohttp.ClientTimeout:
    seconds = request.extensions["timeout"]
    return aiohttp.ClientTimeout(
        connect=seconds["pool"] + seconds["connect"],
        sock_connect=seconds["connect"],
        sock_read=seconds["read"],
    )


@contextmanager
def _in_httpx_words() -> Iterator[None]:
    """By its kind only, and without a cause: aiohttp's own words hold URLs, and those a token."""
    try:
        yield
    except (aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError):
        raise httpx.ProxyError("the proxy refused") from None
    except aiohttp.ConnectionTimeoutError:
        raise httpx.ConnectTimeout("no connection in time") from None
    except _NEVER_CONNECTED:
        raise httpx.ConnectError("no connection") from None
    except aiohttp.InvalidURL:
        raise httpx.UnsupportedProtocol("no such URL") from None
    except aiohttp.SocketTimeoutError:
        raise httpx.ReadTimeout("silence") from None
    except aiohttp.ClientResponseError:
        raise httpx.RemoteProtocolError("no HTTP") from None
    except (aiohttp.ClientError, OSError):
        raise httpx.ReadError("broken off") from None
