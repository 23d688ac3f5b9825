"""fal's list of what an account has run: the evidence for a submission in doubt.

Requests still in the queue may not be listed, and the list may lag (fal.md, section 9).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from reelbatch.fal.answers import ListedRequest
from reelbatch.fal.platform import Moment, Page, iso, read_pages
from reelbatch.fal.wire import Wire
from reelbatch.jobs import RequestId

PAGE = 100


class _Item(BaseModel):
    request_id: str
    endpoint_id: str
    sent_at: Moment
    started_at: Moment | None = None
    ended_at: Moment | None = None
    status_code: int | None = None
    json_input: Any = None
    json_output: Any = None

    def listed(self) -> ListedRequest:
        return ListedRequest(
            request_id=RequestId(self.request_id),
            endpoint_id=self.endpoint_id,
            sent_at=self.sent_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            status_code=self.status_code,
            json_input=self.json_input if isinstance(self.json_input, dict) else None,
            json_output=self.json_output if isinstance(self.json_output, dict) else None,
        )


class _Items(Page):
    items: list[_Item]


async def list_requests(
    wire: Wire, endpoint_id: str, *, start: datetime, end: datetime
) -> AsyncIterator[ListedRequest]:
    """Every request fal lists between the two times, with payloads where fal kept them.

    fal does not say which time it filters by: ask for more and filter by `sent_at`.
    Raises Transient; Permanent(`not_allowed`) where the key may not read the list.
    """
    params: dict[str, str | int] = {
        "endpoint_id": endpoint_id,
        "start": iso(start),
        "end": iso(end),
        "expand": "payloads",
        "limit": PAGE,
    }
    async for page in read_pages(wire, "/models/requests/by-endpoint", params, _Items):
        for item in page.items:
            yield item.listed()
