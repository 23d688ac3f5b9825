"""Faults of the platform: the request list, the prices, the bill."""

import json
from datetime import datetime, timedelta

from starlette.responses import JSONResponse, Response

from reelbatch.emulator.clock import STARTED_AT, iso, now
from reelbatch.emulator.faults.moments import Call, Record
from reelbatch.emulator.faults.registry import fault
from reelbatch.emulator.inputs import ENDPOINTS, as_read
from reelbatch.emulator.wire import platform_error, redirection


@fault(at="history")
async def history_error(call: Call, *, status: int = 503) -> Response:
    """The request list answers 403, 429 or 5xx."""
    return platform_error(status)


@fault(at="history")
async def history_redirected(call: Call, *, location: str = "/elsewhere") -> Response:
    """307 to another place instead of the request list."""
    return redirection(location)


@fault(at="record")
def late_record(record: Record, *, seconds: float = 60.0) -> None:
    """A request is listed only some seconds after it started."""
    started = record.submission.started_at
    record.hidden |= started is None or now() - started < timedelta(seconds=seconds)


@fault(at="record")
def lost_records(record: Record, *, sent_after: float = 0.0, sent_until: float = 1e9) -> None:
    """Requests sent in a span (seconds since the emulator's start) are never listed."""
    sent = (record.submission.sent_at - STARTED_AT).total_seconds()
    record.hidden |= sent_after <= sent < sent_until


@fault(at="record")
def record_defaults(record: Record) -> None:
    """json_input shows the defaults that the server filled in, besides what was sent."""
    sent = record.item.get("json_input")
    if isinstance(sent, dict) and record.submission.endpoint in ENDPOINTS:
        record.item["json_input"] = as_read(record.submission.endpoint, sent)


@fault(at="record")
def record_without_input(record: Record) -> None:
    """json_input and json_output are missing although they were asked for."""
    record.item.pop("json_input", None)
    record.item.pop("json_output", None)


@fault(at="record")
def clock_offset(record: Record, *, seconds: float = 120.0) -> None:
    """The platform's clock runs ahead of (or behind) ours in every time it shows."""
    for name in ("sent_at", "started_at", "ended_at"):
        if record.item.get(name):
            shown = datetime.fromisoformat(record.item[name])
            record.item[name] = iso(shown + timedelta(seconds=seconds))


@fault(at="pricing")
async def price(call: Call, *, usd: float = 0.01) -> Response:
    """Another unit price than $0.20."""
    answer = json.loads(bytes((await call.proceed()).body))
    for each in answer.get("prices", []):
        each["unit_price"] = usd
    return JSONResponse(answer)


@fault(at="pricing")
async def unknown_price(call: Call) -> Response:
    """An empty list of prices."""
    return JSONResponse({"prices": [], "next_cursor": None, "has_more": False})


@fault(at="pricing")
async def pricing_error(call: Call, *, status: int = 403) -> Response:
    """Prices answer 403, 429 or 5xx."""
    return platform_error(status)


@fault(at="pricing")
async def pricing_redirected(call: Call, *, location: str = "/elsewhere") -> Response:
    """307 to another place instead of prices."""
    return redirection(location)


@fault(at="billing")
async def billing_error(call: Call, *, status: int = 403) -> Response:
    """Billing events and balance answer 403 (the key is no admin's), 429 or 5xx."""
    return platform_error(status)
