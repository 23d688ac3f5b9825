"""What a video costs: `--price`, else fal's own pricing call, else the endpoint's entry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from reelbatch.config import Settings
from reelbatch.errors import Permanent, Refused, Transient
from reelbatch.fal.answers import Price
from reelbatch.fal.client import Fal
from reelbatch.fal.endpoints import ENDPOINTS

Source = Literal["given", "fal", "built in"]


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Dollars a video, by endpoint, and where each came from."""

    usd: dict[str, Decimal]
    source: dict[str, Source]

    def of(self, endpoint_id: str) -> Decimal:
        return self.usd[endpoint_id]

    @property
    def highest(self) -> Decimal:
        return max(self.usd.values())

    def describe(self) -> str:
        """For people: the price and who said so."""
        words = {"given": "as you said", "fal": "fal's price list", "built in": "built in"}
        kinds = {(usd, self.source[endpoint]) for endpoint, usd in self.usd.items()}
        return ", ".join(f"${usd:.2f} a video ({words[source]})" for usd, source in sorted(kinds))


async def read_prices(
    settings: Settings, fal: Fal | None, endpoints: Iterable[str] = tuple(ENDPOINTS)
) -> Prices:
    """The price of each endpoint. Without a client, or where fal will not say: the built-in one.

    Raises Refused where fal bills by another unit than ours: only the user can say then.
    """
    usd: dict[str, Decimal] = {}
    source: dict[str, Source] = {}
    listed = await _listed(fal, list(endpoints)) if fal and not settings.price else {}
    for endpoint_id in endpoints:
        endpoint = ENDPOINTS[endpoint_id]
        if settings.price:
            usd[endpoint_id], source[endpoint_id] = settings.price, "given"
        elif price := listed.get(endpoint_id):
            if not _same_unit(price.unit, endpoint.price_unit):
                raise Refused(
                    f"fal bills {endpoint_id} by the {price.unit}, not by the video.",
                    advice="Say what one video costs: --price 0.20.",
                )
            usd[endpoint_id], source[endpoint_id] = price.usd, "fal"
        else:
            usd[endpoint_id], source[endpoint_id] = endpoint.price_usd, "built in"
    return Prices(usd=usd, source=source)


def _same_unit(theirs: str, ours: str) -> bool:
    return theirs.lower().rstrip("s") in (ours, "unit", "request", "generation", "")


async def _listed(fal: Fal, endpoints: list[str]) -> dict[str, Price]:
    try:
        return await fal.prices(endpoints)
    except (Transient, Permanent):
        return {}
