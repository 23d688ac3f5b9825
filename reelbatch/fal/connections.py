"""Connections to fal, through the proxy of the environment where there is one.

No cookies, no redirects: a cookie of one answer is not sent with the next request.
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Awaitable, Callable
from functools import cache
from types import TracebackType

import httpx

from reelbatch.fal.transport import Transport

Listener = Callable[[httpx.Response], Awaitable[None]]
"""Is told of each answer before anybody has judged it."""


class Connections:
    """One pool; a proxy from the environment is for the world outside, not for loopback.

    An async context. `transport` is for tests.
    """

    def __init__(
        self,
        limits: httpx.Limits,
        *,
        outside: bool,
        transport: httpx.AsyncBaseTransport | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._limits = limits
        self._outside = outside
        self._given = transport
        self._listener = listener
        self._pools: dict[str | None, httpx.AsyncBaseTransport] = {}

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    async def send(self, request: httpx.Request) -> httpx.Response:
        """The answer's head; read and close what follows. Raises httpx.TransportError."""
        response = await self._pool_for(request.url).handle_async_request(request)
        response.request = request
        if self._listener:
            await self._listener(response)
        return response

    def _pool_for(self, url: httpx.URL) -> httpx.AsyncBaseTransport:
        if self._given:
            return self._given
        proxy = proxy_for(url.scheme, url.host) if self._outside else None
        if proxy not in self._pools:
            tls = _tls(trust_env=self._outside)
            self._pools[proxy] = Transport(self._limits, tls=tls, proxy=proxy)
        return self._pools[proxy]


@cache
def proxy_for(scheme: str, host: str) -> str | None:
    """Of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as they are at the first call."""
    proxies = urllib.request.getproxies()
    found = proxies.get(scheme) or proxies.get("all")
    if not found or urllib.request.proxy_bypass(host):
        return None
    return found if "://" in found else f"http://{found}"


@cache
def _tls(*, trust_env: bool) -> ssl.SSLContext:
    """Reading the certificates takes longer than a call."""
    return httpx.create_ssl_context(trust_env=trust_env)
