"""The platform: what fal says it ran and billed, late and in pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.reelbatch.emulator.conftest import Emulated

OVI = "fal-ai/ovi"


def listed(emulator: Emulated, endpoint: str = OVI, **query: Any) -> list[dict[str, Any]]:
    """Every page."""
    items: list[dict[str, Any]] = []
    asked = {"endpoint_id": endpoint, "expand": "payloads", **query}
    while True:
        page = get(emulator, "models/requests/by-endpoint", **asked).json()
        items += page["items"]
        if not page["has_more"]:
            return items
        asked["cursor"] = page["next_cursor"]


def get(emulator: Emulated, path: str, **query: Any) -> httpx.Response:
    return emulator.http.get(f"{emulator.urls['api_url']}/{path}", params=query)


def test_a_started_request_is_listed_with_what_was_sent(emulator: Emulated) -> None:
    submitted = emulator.submit("a fox", marker=1)
    result = emulator.result(submitted).json()
    (item,) = listed(emulator)
    assert item["request_id"] == submitted["request_id"]
    assert item["json_input"] == {"prompt": "a fox", "seed": 7, "marker": 1}
    assert item["json_output"] == result
    assert (item["endpoint_id"], item["status_code"]) == (OVI, 200)
    assert item["sent_at"] <= item["started_at"] <= item["ended_at"]


def test_a_request_that_still_waits_is_not_listed(emulator: Emulated) -> None:
    emulator.break_("stuck")
    emulator.submit()
    assert listed(emulator) == []


def test_the_list_may_lag(emulator: Emulated) -> None:
    emulator.set(history_lag_seconds=60)
    emulator.make()
    assert listed(emulator) == []


def test_payloads_are_shown_only_where_asked_and_stored(emulator: Emulated) -> None:
    emulator.result(emulator.submit("kept"))
    emulator.result(emulator.submit("not kept", headers={"X-Fal-Store-IO": "0"}))
    assert sum("json_input" in item for item in listed(emulator)) == 1
    assert not any("json_input" in item for item in listed(emulator, expand=""))


def test_pages_hold_everything_once(emulator: Emulated) -> None:
    emulator.set(media="tiny", service_seconds=0)
    made = [emulator.submit(f"number {n}") for n in range(7)]
    for each in made:
        emulator.events(each)
    ids = [item["request_id"] for item in listed(emulator, limit=3)]
    assert sorted(ids) == sorted(each["request_id"] for each in made)


def test_the_list_is_cut_by_time_outcome_id_and_endpoint(emulator: Emulated) -> None:
    good, bad = emulator.submit("good"), emulator.submit("bad", num_inference_steps=0)
    emulator.events(good)
    emulator.events(bad)

    def ids(**query: Any) -> list[str]:
        return [item["request_id"] for item in listed(emulator, **query)]

    later = datetime.fromisoformat(emulator.submission(bad)["sent_at"]) + timedelta(minutes=1)
    assert ids(status="success") == [good["request_id"]]
    assert ids(status="user_error") == [bad["request_id"]]
    assert ids(request_id=bad["request_id"]) == [bad["request_id"]]
    assert ids(start=later.isoformat()) == []
    assert len(ids(end=later.isoformat())) == 2
    assert ids(endpoint="fal-ai/ovi/image-to-video") == []


def test_search_shows_the_newest_first(emulator: Emulated) -> None:
    made = [emulator.submit(f"number {n}") for n in range(3)]
    for each in made:
        emulator.events(each)
    found = get(emulator, "models/requests/search").json()["results"]
    assert [each["request_id"] for each in found] == [each["request_id"] for each in made[::-1]]


def test_only_good_results_are_billed(emulator: Emulated) -> None:
    good = emulator.submit("good")
    for each in (good, emulator.submit("bad", num_inference_steps=0)):
        emulator.events(each)
    (event,) = get(emulator, "models/billing-events").json()["billing_events"]
    assert (event["request_id"], event["cost_total"]) == (good["request_id"], 0.2)


def test_bills_can_be_asked_by_tag_only_where_fal_reports_tags(emulator: Emulated) -> None:
    emulator.result(emulator.submit(headers={"X-Fal-Tags": "job=1"}))
    emulator.result(emulator.submit(headers={"X-Fal-Tags": "job=2"}))
    asked = {"source": "tagged-billed", "tag": "job=2"}
    assert get(emulator, "models/billing-events", **asked).json()["billing_events"] == []
    emulator.set(report_tags=True)
    (event,) = get(emulator, "models/billing-events", **asked).json()["billing_events"]
    assert event["tags"] == {"job": "2"}


def test_a_video_costs_twenty_cents(emulator: Emulated) -> None:
    (price,) = get(emulator, "models/pricing", endpoint_id=OVI).json()["prices"]
    assert (price["unit_price"], price["currency"]) == (0.2, "USD")
    wish = {"estimate_type": "unit_price", "endpoints": {OVI: {"unit_quantity": 50}}}
    estimate = emulator.http.post("/v1/models/pricing/estimate", json=wish).json()
    assert estimate["total_cost"] == 10


def test_account_meta_and_models_answer(emulator: Emulated) -> None:
    credits = get(emulator, "account/billing", expand="credits").json()["credits"]
    assert credits["current_balance"] > 0
    assert httpx.get(f"{emulator.urls['api_url']}/meta").json()["webhook_ip_ranges"]
    models = get(emulator, "models", endpoint_id=OVI).json()["models"]
    assert [model["endpoint_id"] for model in models] == [OVI]


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        ("history_error", "models/requests/by-endpoint"),
        ("pricing_error", "models/pricing"),
        ("billing_error", "account/billing"),
        ("billing_error", "models/billing-events"),
    ],
)
def test_the_platform_can_refuse_in_a_shape_of_its_own(
    emulator: Emulated, fault: str, path: str
) -> None:
    emulator.break_(fault, with_={"status": 403})
    refused = get(emulator, path, endpoint_id=OVI)
    assert refused.status_code == 403
    assert refused.json()["error"]["type"] == "authorization_error"


def test_prices_can_be_low_or_unknown(emulator: Emulated) -> None:
    emulator.break_("price", times=1, with_={"usd": 0.01})
    emulator.break_("unknown_price")
    low = get(emulator, "models/pricing", endpoint_id=OVI).json()["prices"]
    assert low[0]["unit_price"] == 0.01
    assert get(emulator, "models/pricing", endpoint_id=OVI).json()["prices"] == []


def test_a_record_can_be_lost_for_good(emulator: Emulated) -> None:
    emulator.make("a fox")
    emulator.make("an owl")
    emulator.break_("lost_records", prompt="fox")
    for _ in range(2):
        assert [item["json_input"]["prompt"] for item in listed(emulator)] == ["an owl"]


def test_a_record_can_show_the_servers_defaults(emulator: Emulated) -> None:
    emulator.break_("record_defaults")
    emulator.make(marker=1)
    (item,) = listed(emulator)
    assert item["json_input"] | {"num_inference_steps": 30, "marker": 1} == item["json_input"]


def test_a_record_can_come_without_its_input(emulator: Emulated) -> None:
    emulator.break_("record_without_input")
    emulator.make()
    assert "json_input" not in listed(emulator)[0]


def test_the_platforms_clock_can_differ(emulator: Emulated) -> None:
    emulator.break_("clock_offset", with_={"seconds": 120})
    submitted = emulator.submit()
    emulator.events(submitted)
    shown = datetime.fromisoformat(listed(emulator)[0]["sent_at"])
    sent = datetime.fromisoformat(emulator.submission(submitted)["sent_at"])
    assert shown - sent == timedelta(seconds=120)
