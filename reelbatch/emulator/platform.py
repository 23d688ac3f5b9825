"""fal's platform: what it says it ran, and what that costs (fal.md, section 9)."""

import json
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reelbatch.emulator.account import Account
from reelbatch.emulator.clock import iso, now
from reelbatch.emulator.faults.moments import Call, Moment
from reelbatch.emulator.faults.plan import Faults
from reelbatch.emulator.history import History, Page, chosen_endpoints
from reelbatch.emulator.inputs import ENDPOINTS
from reelbatch.emulator.submission import Submission
from reelbatch.emulator.tally import Tally
from reelbatch.emulator.wire import platform_error

WEBHOOK_RANGES = ["127.0.0.0/8"]
NANO = 10**9


class PlatformRoutes:
    def __init__(self, account: Account, history: History, faults: Faults, tally: Tally) -> None:
        self.account = account
        self.history = history
        self.faults = faults
        self.tally = tally

    def routes(self) -> list[Route]:
        return [
            Route("/v1/meta", self.meta),
            Route("/v1/models", self.models),
            Route("/v1/models/pricing", self.pricing),
            Route("/v1/models/pricing/estimate", self.estimate, methods=["POST"]),
            Route("/v1/models/requests/by-endpoint", self.by_endpoint),
            Route("/v1/models/requests/search", self.search),
            Route("/v1/models/billing-events", self.billing_events),
            Route("/v1/account/billing", self.billing),
        ]

    async def meta(self, request: Request) -> Response:
        return JSONResponse({"webhook_ip_ranges": WEBHOOK_RANGES})

    async def models(self, request: Request) -> Response:
        asked = chosen_endpoints(request) or list(ENDPOINTS)
        models = [described(endpoint) for endpoint in asked if endpoint in ENDPOINTS]
        return JSONResponse({"models": models, "next_cursor": None, "has_more": False})

    async def pricing(self, request: Request) -> Response:
        async def proceed() -> Response:
            asked = chosen_endpoints(request)
            if not asked:
                return platform_error(422, "endpoint_id is required")
            prices = [self._price(each) for each in asked if each in self.account.prices]
            return JSONResponse({"prices": prices, "next_cursor": None, "has_more": False})

        return await self._guarded("pricing", Call(request=request, proceed=proceed))

    def _price(self, endpoint: str) -> dict[str, Any]:
        price = float(self.account.prices[endpoint])
        return {"endpoint_id": endpoint, "unit_price": price, "unit": "videos", "currency": "USD"}

    async def estimate(self, request: Request) -> Response:
        wish = json.loads(await request.body())

        async def proceed() -> Response:
            counts = {
                endpoint: Decimal(str(each.get("unit_quantity", each.get("call_quantity", 0))))
                for endpoint, each in wish["endpoints"].items()
            }
            total = sum(self.account.prices[each] * count for each, count in counts.items())
            kind = wish["estimate_type"]
            return JSONResponse(
                {"estimate_type": kind, "total_cost": float(total), "currency": "USD"}
            )

        return await self._guarded("pricing", Call(request=request, proceed=proceed))

    async def by_endpoint(self, request: Request) -> Response:
        """Requests that have started, for a while after; latest end first."""

        async def proceed() -> Response:
            if not chosen_endpoints(request):
                return platform_error(422, "endpoint_id is required")
            page = self.history.page(request)
            return JSONResponse({"items": page.items, **ends(page)})

        return await self._guarded("history", Call(request=request, proceed=proceed))

    async def search(self, request: Request) -> Response:
        async def proceed() -> Response:
            page = self.history.page(request, newest_first=True)
            return JSONResponse({"results": page.items, **ends(page)})

        return await self._guarded("history", Call(request=request, proceed=proceed))

    async def billing_events(self, request: Request) -> Response:
        """A row for each good result; failures have none."""

        async def proceed() -> Response:
            page = self.history.billed(request)
            events = [self._event(each) for each in page.items]
            return JSONResponse({"billing_events": events, **ends(page)})

        return await self._guarded("billing", Call(request=request, proceed=proceed))

    def _event(self, submission: Submission) -> dict[str, Any]:
        price = self.account.prices[submission.endpoint]
        return {
            "request_id": submission.request_id,
            "endpoint_id": submission.endpoint,
            "timestamp": iso(submission.ended_at),
            "output_units": 1,
            "unit_price": float(price),
            "percent_discount": 0,
            "cost_subtotal": float(price),
            "cost_discount": 0,
            "cost_total": float(price),
            "cost_estimate_nano_usd": int(price * NANO),
            **({"tags": dict(submission.tags)} if self.history.settings.report_tags else {}),
        }

    async def billing(self, request: Request) -> Response:
        async def proceed() -> Response:
            credits = {"current_balance": float(self.account.balance_usd), "currency": "USD"}
            expanded = {"credits": credits} if "credits" in request.url.query else {}
            return JSONResponse({"username": "emulated", **expanded})

        return await self._guarded("billing", Call(request=request, proceed=proceed))

    async def _guarded(self, moment: Moment, call: Call) -> Response:
        self.tally.calls[moment] += 1
        if self.account.refusal(call.request) is not None:
            return platform_error(401, "Authentication failed")
        try:
            return await self.faults.around(moment, call)
        except (KeyError, ValueError) as error:
            return platform_error(422, f"Invalid request: {error}")


def ends(page: Page) -> dict[str, Any]:
    return {"next_cursor": page.next_cursor, "has_more": page.next_cursor is not None}


def described(endpoint: str) -> dict[str, Any]:
    category = "image-to-video" if endpoint.endswith("image-to-video") else "text-to-video"
    metadata: dict[str, Any] = {
        "display_name": "Ovi (emulated)",
        "category": category,
        "description": "Video with sound from a prompt.",
        "status": "active",
        "tags": [],
        "updated_at": iso(now()),
    }
    return {"endpoint_id": endpoint, "metadata": metadata}
