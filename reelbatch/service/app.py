"""The receiver as a web application: webhooks in, health and figures out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reelbatch.config import Settings
from reelbatch.errors import Transient
from reelbatch.fal.answers import FailedResult, GoodResult
from reelbatch.fal.client import open_fal
from reelbatch.fal.jwks import KeyRing
from reelbatch.fal.submit import submission_of
from reelbatch.ledger import Ledger, figures
from reelbatch.ledger.answers import Accepted
from reelbatch.ledger.webhooks import Heard
from reelbatch.run.entries import handle_of
from reelbatch.run.settling import settle
from reelbatch.service.fetching import Fetcher
from reelbatch.service.figures import ServiceFigures
from reelbatch.service.receiver import Receiver

OPENMETRICS = "text/plain; version=0.0.4; charset=utf-8"


class Service:
    """What the routes share."""

    def __init__(self, receiver: Receiver, shown: ServiceFigures) -> None:
        self.receiver = receiver
        self.shown = shown

    async def webhook(self, request: Request) -> Response:
        answer = await self.receiver.receive(request)
        self.shown.answered.labels(status=str(answer.status_code)).inc()
        return answer

    async def health(self, request: Request) -> Response:
        """The truth: without its ledger a receiver can keep nothing."""
        try:
            await self.receiver.book(figures.answers, self.receiver.ledger)
        except Transient as error:
            return JSONResponse({"status": "unwell", "reason": error.message}, 503)
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        try:
            text = await self.receiver.book(self.shown.render)
        except Transient as error:
            return JSONResponse({"status": "unwell", "reason": error.message}, 503)
        return Response(text, media_type=OPENMETRICS)


def make_app(settings: Settings, ledger: Ledger) -> Starlette:
    """The routes; clients and threads live as long as the application runs."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_service(settings, ledger) as service:
            app.state.service = service
            yield

    async def webhook(request: Request) -> Response:
        return await _service(request).webhook(request)

    async def health(request: Request) -> Response:
        return await _service(request).health(request)

    async def metrics(request: Request) -> Response:
        return await _service(request).metrics(request)

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/webhooks/fal/{token}", webhook, methods=["POST"]),
            Route("/healthz", health),
            Route("/metrics", metrics),
        ],
    )


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


@asynccontextmanager
async def open_service(settings: Settings, ledger: Ledger) -> AsyncIterator[Service]:
    """At its end it finishes what it has answered."""
    async with AsyncExitStack() as stack:
        bookkeepers = ThreadPoolExecutor(1 if ledger.is_sqlite else 3, "ledger")
        stack.callback(bookkeepers.shutdown)
        http = await stack.enter_async_context(
            httpx.AsyncClient(timeout=10, trust_env=not settings.on_loopback)
        )
        fetcher = None
        if settings.fal_key is not None:
            fal = await stack.enter_async_context(open_fal(settings))
            fetcher = Fetcher(fal, lambda heard, answer: _settle(receiver, heard, answer))
            stack.push_async_callback(fetcher.finish)
        receiver = Receiver(
            ledger,
            KeyRing(settings.jwks_url, http),
            partial(handle_at, settings.fal_queue_url),
            fetcher,
            bookkeepers,
        )
        yield Service(receiver, ServiceFigures(ledger))


def handle_at(queue_url: str, endpoint_id: str, request_id: str) -> Accepted:
    """fal's handle on a request that is known by its id alone."""
    return handle_of(submission_of(queue_url, endpoint_id, request_id))


async def _settle(receiver: Receiver, heard: Heard, answer: GoodResult | FailedResult) -> None:
    await receiver.book(settle, receiver.ledger, heard.attempt_id, answer, heard.price)
