"""A receiver for one webhook, where `reelbatch serve` would listen.

It answers 503 once, so that fal comes again: how soon, and whether it signs anew, is in no
document.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reelbatch.config import Settings, is_loopback
from reelbatch.errors import Transient
from reelbatch.fal.jwks import KeyRing
from reelbatch.fal.webhook import Forged, is_signed_by, signed

NOBODYS = ""
"""No path has this token: every call is refused, as an unsigned one is by `serve`."""
COMES_AGAIN = 2
"""Deliveries worth waiting for."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One call, with the unix time at which it came."""

    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Catcher:
    """What came; `url` is None where nothing could, and `reason` says why."""

    token: str
    url: str | None = None
    reason: str = ""
    caught: list[Delivery] = field(default_factory=list)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: Request) -> Response:
        body, headers = await request.body(), dict(request.headers)
        if request.path_params["token"] != self.token:
            return JSONResponse({"status": "not verified"}, 401)
        self.caught.append(Delivery(headers=headers, body=body, at=time.time()))
        if len(self.caught) >= COMES_AGAIN:
            self.complete.set()
            return Response(status_code=200)
        return Response(status_code=503)

    async def told(self, jwks_url: str, ended_at: float) -> dict[str, Any]:
        """The facts of what came, without values that name the account."""
        if self.url is None:
            return {"reason": self.reason}
        keys = await _keys(jwks_url)
        deliveries = [_facts(one, keys, ended_at) for one in self.caught]
        signatures = {one.headers.get("x-fal-webhook-signature") for one in self.caught}
        return {
            "deliveries": deliveries,
            "signed_anew": len(signatures) > 1 if len(self.caught) > 1 else None,
        }


async def _keys(jwks_url: str) -> list[Any]:
    async with httpx.AsyncClient(timeout=10, trust_env=not is_loopback(jwks_url)) as http:
        with suppress(Transient):
            return list(await KeyRing(jwks_url, http).keys())
    return []


def _facts(one: Delivery, keys: list[Any], ended_at: float) -> dict[str, Any]:
    return {
        "seconds_after_end": round(one.at - ended_at, 2),
        "content_type": one.headers.get("content-type"),
        "user_agent": one.headers.get("user-agent"),
        "headers": sorted(name for name in one.headers if name.startswith("x-fal")),
        "verified": _is_verified(one, keys),
    }


def _is_verified(one: Delivery, keys: list[Any]) -> bool:
    try:
        return is_signed_by(keys, signed(one.headers, now=one.at), one.body)
    except Forged:
        return False


@asynccontextmanager
async def catcher(settings: Settings, token: str) -> AsyncIterator[Catcher]:
    """Listening, where a public address is set and nobody else listens behind it."""
    made = Catcher(token, reason="REELBATCH_WEBHOOK_URL is not set")
    listening = _listen(settings, made) if settings.webhook_url else None
    if listening is None:
        yield made
        return
    made.url = f"{settings.webhook_url}/webhooks/fal/{token}"
    app = Starlette(routes=[Route("/webhooks/fal/{token}", made.receive, methods=["POST"])])
    server = _Quiet(uvicorn.Config(app, ws="none", lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield made
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def standing_in(settings: Settings, *, wanted: bool) -> AsyncIterator[None]:
    """While the address is checked: the canary's receiver, where `serve` does not listen."""
    if not wanted:
        yield
        return
    async with catcher(settings, NOBODYS):
        yield


class _Quiet(uvicorn.Server):
    """Ctrl-C is the command's own matter."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(settings: Settings, made: Catcher) -> socket.socket | None:
    try:
        return socket.create_server((settings.webhook_host, settings.webhook_port))
    except OSError as error:
        where = f"{settings.webhook_host}:{settings.webhook_port}"
        made.reason = f"nothing can listen at {where} ({error.strerror}): end `reelbatch serve`"
        return None
