"""fal's prices, its list of requests and its bill, read whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest

from reelbatch.errors import Permanent, Transient
from reelbatch.fal import platform as platform_module
from reelbatch.fal.answers import BillingEvent, ListedRequest, Price
from reelbatch.fal.client import Fal
from reelbatch.jobs import RequestId
from tests.reelbatch.fal.opened import OVI, fal_saying, fal_with

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(hours=1)
ITEM = {
    "request_id": "a1",
    "endpoint_id": OVI,
    "sent_at": "2026-01-01T00:00:01Z",
    "started_at": "2026-01-01T00:00:05.250Z",
    "ended_at": "2026-01-01T01:01:08+01:00",
    "status_code": 200,
    "duration": 63.0,
    "json_input": {"prompt": "a cat", "seed": 7},
    "json_output": {"video": {"url": "https://v3b.fal.media/x.mp4"}, "seed": 7},
}


async def listed(fal: Fal) -> list[ListedRequest]:
    return [request async for request in fal.requests(OVI, start=START, end=END)]


def pages(*contents: dict[str, Any]) -> tuple[list[httpx.QueryParams], Callable[..., Any]]:
    asked: list[httpx.QueryParams] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        return httpx.Response(200, json=contents[len(asked) - 1])

    return asked, handler


def price(**changes: Any) -> dict[str, Any]:
    return {"endpoint_id": OVI, "unit_price": 0.2, "unit": "videos", "currency": "USD"} | changes


async def test_prices_are_exact_dollars() -> None:
    async with fal_saying(200, {"prices": [price()]}) as fal:
        assert await fal.prices([OVI]) == {OVI: Price(usd=Decimal("0.2"), unit="videos")}


async def test_prices_are_asked_for_by_endpoint() -> None:
    asked, handler = pages({"prices": []})
    async with fal_with(handler) as fal:
        assert await fal.prices([OVI, "fal-ai/ovi"]) == {}
    assert asked[0].get_list("endpoint_id") == [OVI, "fal-ai/ovi"]


@pytest.mark.parametrize(
    "changes",
    [
        {"currency": "EUR"},
        {"currency": ""},
        {"unit_price": 0},
        {"unit_price": -1},
        {"endpoint_id": "fal-ai/another"},
    ],
)
async def test_a_price_we_cannot_use_is_none(changes: dict[str, Any]) -> None:
    async with fal_saying(200, {"prices": [price(**changes)]}) as fal:
        assert await fal.prices([OVI]) == {}


async def test_an_endpoint_without_a_price_is_no_error() -> None:
    async with fal_saying(404, {"error": {"type": "not_found", "message": "no"}}) as fal:
        assert await fal.prices([OVI]) == {}


async def test_a_listed_request_has_times_with_zones_and_payloads() -> None:
    async with fal_saying(200, {"items": [ITEM], "next_cursor": None, "has_more": False}) as fal:
        (request,) = await listed(fal)
    assert request == ListedRequest(
        request_id=RequestId("a1"),
        endpoint_id=OVI,
        sent_at=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC),
        started_at=datetime(2026, 1, 1, 0, 0, 5, 250_000, tzinfo=UTC),
        ended_at=datetime(2026, 1, 1, 0, 1, 8, tzinfo=UTC),
        status_code=200,
        json_input={"prompt": "a cat", "seed": 7},
        json_output={"video": {"url": "https://v3b.fal.media/x.mp4"}, "seed": 7},
    )


async def test_the_list_is_asked_for_with_payloads_and_in_utc() -> None:
    asked, handler = pages({"items": []})
    there = timezone(timedelta(hours=2))
    async with fal_with(handler) as fal:
        _ = [r async for r in fal.requests(OVI, start=START.astimezone(there), end=END)]
    assert dict(asked[0]) == {
        "endpoint_id": OVI,
        "start": "2026-01-01T00:00:00.000Z",
        "end": "2026-01-01T01:00:00.000Z",
        "expand": "payloads",
        "limit": "100",
    }


async def test_a_request_without_its_optional_fields_is_listed() -> None:
    item = {"request_id": "a1", "endpoint_id": OVI, "sent_at": "2026-01-01T00:00:01"}
    nulls = dict.fromkeys(("started_at", "ended_at", "status_code", "json_input", "json_output"))
    for content in (item, item | nulls, item | {"json_input": "cut", "json_output": [1]}):
        async with fal_saying(200, {"items": [content]}) as fal:
            assert await listed(fal) == [
                ListedRequest(
                    request_id=RequestId("a1"),
                    endpoint_id=OVI,
                    sent_at=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC),
                )
            ]


@pytest.mark.parametrize("more", [{"has_more": True}, {}, {"has_more": None}])
async def test_all_pages_are_read(more: dict[str, Any]) -> None:
    asked, handler = pages(
        {"items": [ITEM], "next_cursor": "Mg==", **more},
        {"items": [ITEM | {"request_id": "a2"}], "next_cursor": "Mw==", **more},
        {"items": [ITEM | {"request_id": "a3"}], "next_cursor": None, "has_more": False},
    )
    async with fal_with(handler) as fal:
        assert [request.request_id for request in await listed(fal)] == ["a1", "a2", "a3"]
    assert [params.get("cursor") for params in asked] == [None, "Mg==", "Mw=="]


SHORT = [
    {"items": [ITEM], "has_more": True, "next_cursor": None},
    {"items": [ITEM], "has_more": True},
    {"items": [{"request_id": "a1", "endpoint_id": OVI}]},
    {"items": [ITEM | {"sent_at": "yesterday"}]},
    {"items": [{}]},
    {"items": None},
    {},
    [ITEM],
]


@pytest.mark.parametrize("content", SHORT)
async def test_a_list_that_cannot_be_read_whole_is_an_error(content: Any) -> None:
    """A request left out in silence would look like one that was never accepted."""
    async with fal_saying(200, content) as fal:
        with pytest.raises(Transient):
            await listed(fal)


async def test_a_list_that_turns_in_a_circle_ends() -> None:
    page = {"items": [ITEM], "has_more": True, "next_cursor": "Mg=="}
    async with fal_saying(200, page) as fal:
        with pytest.raises(Transient, match="circle"):
            await listed(fal)


async def test_a_list_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_module, "PAGES_CAP", 3)
    asked, handler = pages(
        *({"items": [ITEM], "has_more": True, "next_cursor": f"c{n}"} for n in range(9))
    )
    async with fal_with(handler) as fal:
        with pytest.raises(Permanent) as raised:
            await listed(fal)
    assert raised.value.error == "too_many_pages"
    assert len(asked) == 3


async def test_the_bill_is_read_line_by_line() -> None:
    """A line without its total is not finished, and not the last word."""
    line = {
        "request_id": "a1",
        "endpoint_id": OVI,
        "timestamp": "2026-01-01T00:02:00Z",
        "output_units": 1,
        "unit_price": 0.2,
        "cost_total": 0.2,
        "cost_estimate_nano_usd": 190_000_000,
    }
    unfinished = {**line, "request_id": "a2", "cost_total": None}
    asked, handler = pages({"billing_events": [line, unfinished], "has_more": False})
    async with fal_with(handler) as fal:
        events = [event async for event in fal.billing_events(start=START, end=END)]
    assert events == [
        BillingEvent(
            request_id=RequestId("a1"),
            endpoint_id=OVI,
            usd=Decimal("0.2"),
            billed_at=datetime(2026, 1, 1, 0, 2, tzinfo=UTC),
            output_units=Decimal(1),
        )
    ]
    assert "endpoint_id" not in asked[0]


async def test_a_key_without_the_scope_is_told_so() -> None:
    error = {"type": "authorization_error", "message": "ADMIN scope required"}
    async with fal_saying(403, {"error": error}) as fal:
        with pytest.raises(Permanent, match="ADMIN scope required") as raised:
            _ = [event async for event in fal.billing_events(start=START, end=END)]
        assert raised.value.error == "not_allowed"
        with pytest.raises(Permanent) as raised:
            await listed(fal)
        assert raised.value.error == "not_allowed"


@pytest.mark.parametrize("status", [400, 401, 422])
async def test_a_refusal_is_permanent(status: int) -> None:
    async with fal_saying(status, {"error": {"type": "x_error", "message": "no"}}) as fal:
        with pytest.raises(Permanent):
            await fal.prices([OVI])


@pytest.mark.parametrize("status", [302, 408, 429, 500, 503])
async def test_trouble_is_transient(status: int) -> None:
    async with fal_saying(status, {"error": {"message": "later"}}, retry_after="9") as fal:
        with pytest.raises(Transient) as raised:
            await fal.prices([OVI])
    assert raised.value.retry_after == 9


async def test_html_is_transient() -> None:
    async with fal_saying(200, text="<html>") as fal:
        with pytest.raises(Transient):
            await fal.prices([OVI])
