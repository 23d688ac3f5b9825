"""Our client of fal: one `Fal` for a process and its event loop, made by `open_fal`.

Every answer is a value of `answers`; what is raised is Transient or Permanent. Nothing
here reads the environment, follows a redirect or sends a POST twice.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any

import httpx

from reelbatch.config import Settings
from reelbatch.fal.account_check import check_account
from reelbatch.fal.answers import (
    BillingEvent,
    CancelAnswer,
    KeyCheck,
    ListedRequest,
    Price,
    ResultAnswer,
    Status,
    Submission,
    SubmitOutcome,
)
from reelbatch.fal.billing import list_billing_events
from reelbatch.fal.cancel import cancel
from reelbatch.fal.connections import Connections, Listener
from reelbatch.fal.key_check import check_key
from reelbatch.fal.pricing import read_prices
from reelbatch.fal.request_list import list_requests
from reelbatch.fal.result import VIDEO, read_result
from reelbatch.fal.status import read_status
from reelbatch.fal.stream import stream_status
from reelbatch.fal.submit import submission_of, submit
from reelbatch.fal.uploads import Uploads
from reelbatch.fal.wire import Wire

KEEPALIVE_SECONDS = 3.0
"""Shorter than any server's: a POST on a connection just closed would end in doubt."""

CALLS = httpx.Limits(max_connections=64, keepalive_expiry=KEEPALIVE_SECONDS)
STREAMS = httpx.Limits(max_connections=1000, keepalive_expiry=KEEPALIVE_SECONDS)


class Fal:
    """fal, as far as we need it."""

    def __init__(self, wire: Wire, uploads: Uploads) -> None:
        self._wire = wire
        self._uploads = uploads

    @property
    def clock_offset_seconds(self) -> float:
        """fal's clock minus ours, as its answers show it."""
        return self._wire.clock.offset_seconds

    def submission(self, endpoint_id: str, request_id: str) -> Submission:
        """A request known by its id alone, from a webhook or fal's list."""
        return submission_of(self._wire.queue_url, endpoint_id, request_id)

    async def submit(
        self,
        endpoint_id: str,
        body: Mapping[str, Any],
        *,
        token: str,
        start_timeout_seconds: float,
        webhook_url: str | None = None,
    ) -> SubmitOutcome:
        """POST the body once and say what became of it; raises for nothing on the wire."""
        return await submit(
            self._wire,
            endpoint_id,
            body,
            token=token,
            start_timeout_seconds=start_timeout_seconds,
            webhook_url=webhook_url,
        )

    async def status(self, submission: Submission, *, logs: bool = False) -> Status:
        """Where it stands. Raises Transient; never fails a job."""
        return await read_status(self._wire, submission, logs=logs)

    async def result(
        self, submission: Submission, *, output: Sequence[str] = VIDEO
    ) -> ResultAnswer:
        """What became of it; `output` is the endpoint's. Raises Transient: ask again."""
        return await read_result(self._wire, submission, output=output)

    async def cancel(self, submission: Submission) -> CancelAnswer:
        """Ask fal to stop it. Raises Transient for an answer fal does not document."""
        return await cancel(self._wire, submission)

    def stream(self, submission: Submission) -> AsyncGenerator[Status, None]:
        """Every change until it is Completed. Raises Transient if it breaks off."""
        return stream_status(self._wire, submission)

    async def upload(self, content: bytes, content_type: str, file_name: str) -> str:
        """Put an image on fal's CDN; returns its URL. Raises Transient or Permanent."""
        return await self._uploads.upload(content, content_type, file_name)

    async def check_key(self) -> KeyCheck:
        """A free look at whether fal knows the key. Raises nothing."""
        return await check_key(self._wire)

    async def check_account(self) -> None:
        """A free look at whether the account is locked. Raises Transient, Permanent."""
        await check_account(self._wire)

    async def prices(self, endpoint_ids: Sequence[str]) -> dict[str, Price]:
        """Dollars a unit, for those endpoints fal names a price of. Raises Transient, Permanent."""
        return await read_prices(self._wire, endpoint_ids)

    def requests(
        self, endpoint_id: str, *, start: datetime, end: datetime
    ) -> AsyncIterator[ListedRequest]:
        """fal's list of what ran, all pages. Raises Transient, Permanent(`not_allowed`)."""
        return list_requests(self._wire, endpoint_id, start=start, end=end)

    def billing_events(
        self, *, start: datetime, end: datetime, endpoint_id: str | None = None
    ) -> AsyncIterator[BillingEvent]:
        """fal's bill, all pages; needs an ADMIN key. Raises Transient, Permanent."""
        return list_billing_events(self._wire, start=start, end=end, endpoint_id=endpoint_id)


@asynccontextmanager
async def open_fal(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    now: Callable[[], float] = time.time,
    listener: Listener | None = None,
) -> AsyncIterator[Fal]:
    """The client, for as long as the block lasts. `transport` and `now` are for tests."""
    async with AsyncExitStack() as stack:
        opened = partial(
            Connections, outside=not settings.on_loopback, transport=transport, listener=listener
        )
        calls = await stack.enter_async_context(opened(CALLS))
        streams = await stack.enter_async_context(opened(STREAMS))
        wire = Wire(settings, calls=calls, streams=streams, now=now)
        yield Fal(wire, Uploads(settings, wire.credentials))
