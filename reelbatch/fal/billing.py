"""fal's bill, line by line. It needs a key with the ADMIN scope; failures have no line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from reelbatch.fal.answers import BillingEvent
from reelbatch.fal.platform import Moment, Page, iso, read_pages
from reelbatch.fal.wire import Wire
from reelbatch.jobs import RequestId

PAGE = 1000


class _Event(BaseModel):
    request_id: str
    endpoint_id: str
    timestamp: Moment | None = None
    output_units: Decimal | None = None
    cost_total: Decimal | None = None

    def billed(self, usd: Decimal) -> BillingEvent:
        return BillingEvent(
            request_id=RequestId(self.request_id),
            endpoint_id=self.endpoint_id,
            usd=usd,
            billed_at=self.timestamp,
            output_units=self.output_units,
        )


class _Events(Page):
    billing_events: list[_Event]


async def list_billing_events(
    wire: Wire, *, start: datetime, end: datetime, endpoint_id: str | None = None
) -> AsyncIterator[BillingEvent]:
    """Every finished line of the bill between the two times (90 days at most).

    Raises Transient; Permanent(`not_allowed`) where the key has no ADMIN scope.
    """
    params: dict[str, str | int] = {"start": iso(start), "end": iso(end), "limit": PAGE}
    if endpoint_id is not None:
        params["endpoint_id"] = endpoint_id
    async for page in read_pages(wire, "/models/billing-events", params, _Events):
        for event in page.billing_events:
            if event.cost_total is not None:
                yield event.billed(event.cost_total)
