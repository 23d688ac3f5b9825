"""What fal asks for a video today, in dollars."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pydantic import BaseModel

from reelbatch.errors import Permanent
from reelbatch.fal.answers import Price
from reelbatch.fal.platform import read
from reelbatch.fal.wire import Wire


class _Entry(BaseModel):
    endpoint_id: str
    unit_price: Decimal
    unit: str
    currency: str = ""


class _Prices(BaseModel):
    prices: list[_Entry] = []


async def read_prices(wire: Wire, endpoint_ids: Sequence[str]) -> dict[str, Price]:
    """The prices fal gives; an endpoint without a price in dollars is left out."""
    params = {"endpoint_id": list(endpoint_ids)}
    try:
        answer = await read(wire, "/models/pricing", params, _Prices)
    except Permanent as error:
        if error.error in ("not_found", "http_404"):
            return {}
        raise
    return {
        entry.endpoint_id: Price(usd=entry.unit_price, unit=entry.unit)
        for entry in answer.prices
        if entry.endpoint_id in endpoint_ids and _in_dollars(entry)
    }


def _in_dollars(entry: _Entry) -> bool:
    return entry.currency.upper() == "USD" and entry.unit_price.is_finite() and entry.unit_price > 0
