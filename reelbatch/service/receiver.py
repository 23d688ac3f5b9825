"""Receive fal's webhooks: verify, settle, and only then answer 200.

A call that cannot be written down is answered 503, and fal comes again. Several receivers may
stand behind a balancer: duplicates and reordering change nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import ParamSpec, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from reelbatch.errors import Transient
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.fal.jwks import KeyRing
from reelbatch.fal.outputs import good_result
from reelbatch.fal.webhook import (
    Forged,
    Signed,
    Unreadable,
    WebhookCall,
    is_signed_by,
    read_call,
    signed,
)
from reelbatch.ledger import Ledger, webhooks
from reelbatch.ledger.unknown_calls import note_unknown
from reelbatch.ledger.webhooks import HandleOf, Heard
from reelbatch.logs import say
from reelbatch.run.settling import settle
from reelbatch.service.fetching import Fetcher
from reelbatch.service.refusals import Refusals

BODY_CAP_BYTES = 1024 * 1024
BODY_SECONDS = 15.0
P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("reelbatch.serve")


class TooLarge(Exception):
    """The body is over the cap."""


class Receiver:
    """One endpoint, `POST /webhooks/fal/{token}`, over a ledger."""

    def __init__(
        self,
        ledger: Ledger,
        keys: KeyRing,
        handle_of: HandleOf,
        fetcher: Fetcher | None,
        bookkeepers: Executor,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = ledger
        self._keys = keys
        self._handle_of = handle_of
        self._fetcher = fetcher
        self._bookkeepers = bookkeepers
        self._clock = clock
        self._refusals = Refusals()

    async def receive(self, request: Request) -> Response:
        """The one place where a call is answered; what is wrong with it only our log hears."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await capped(request)
            call = await self._verified(request, body)
            heard = await self._settle(request.path_params["token"], call)
        except ClientDisconnect:
            return said(400, "not whole")
        except TimeoutError:
            return said(408, "too slow")
        except TooLarge:
            return said(413, "too large")
        except Forged as error:
            self._refusals.note(str(error))
            return said(401, "not verified")
        except Unreadable as error:
            say(log, logging.WARNING, f"a call of fal's cannot be used: {error}")
            return said(400, "not understood")
        except Transient as error:
            words = f"a call could not be written down, fal will come again: {error}"
            say(log, logging.WARNING, words)
            return said(503, "come again")
        # That we do not know a request is no reason for fal to come again.
        return said(200, "ok" if heard else "not known")

    async def _verified(self, request: Request, body: bytes) -> WebhookCall:
        call = signed(request.headers, now=self._clock())
        if not await self._is_fals(call, body):
            raise Forged("no key of fal's has signed it")
        return read_call(call, body)

    async def _is_fals(self, call: Signed, body: bytes) -> bool:
        if is_signed_by(await self._keys.keys(), call, body):
            return True
        return is_signed_by(await self._keys.newer_keys(), call, body)

    async def _settle(self, token: str, call: WebhookCall) -> Heard | None:
        heard = await self.book(
            webhooks.heard, self.ledger, token, call.request_id, self._handle_of
        )
        if heard is None:
            await self._note(call)
            return None
        words = f"job {heard.job_id}: fal has ended request {call.request_id}"
        say(log, logging.DEBUG, words, job_id=heard.job_id, request_id=call.request_id)
        if heard.outcome == "good":
            return heard
        output = ENDPOINTS[heard.endpoint_id].output
        answer = good_result(call.payload, output) if call.payload else None
        if answer is not None:
            await self.book(settle, self.ledger, heard.attempt_id, answer, heard.price)
        elif self._fetcher is not None and heard.outcome != "failed":
            self._fetcher.fetch(heard)
        return heard

    async def _note(self, call: WebhookCall) -> None:
        words = f"a call for request {call.request_id}, which this ledger never sent"
        say(log, logging.WARNING, words, request_id=call.request_id)
        status = "OK" if call.ok else "ERROR"
        about = {"user_id": call.user_id, "status": status}
        await self.book(note_unknown, self.ledger, call.request_id, **about)

    async def book(self, write: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._bookkeepers, partial(write, *args, **kwargs))


async def capped(request: Request) -> bytes:
    """Raises TooLarge as soon as it is."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > BODY_CAP_BYTES:
            raise TooLarge
    return bytes(content)


def said(status: int, word: str) -> Response:
    return JSONResponse({"status": word}, status)
