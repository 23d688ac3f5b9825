"""What the queue promises: three states, honest codes, slots, and failures only at the result."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.reelbatch.emulator.conftest import Emulated

I2V = "fal-ai/ovi/image-to-video"
EXAMPLE = "https://v3.fal.media/files/reelbatch/example.png"


def test_a_submission_is_answered_with_its_id_and_urls_of_owner_and_app_only(
    emulator: Emulated,
) -> None:
    submitted = emulator.submit(endpoint=I2V, image_url=EXAMPLE)
    root = f"{emulator.urls['queue_url']}/fal-ai/ovi/requests/{submitted['request_id']}"
    assert submitted["status"] == "IN_QUEUE"
    assert submitted["gateway_request_id"] == submitted["request_id"]
    assert uuid.UUID(submitted["request_id"]).version == 7
    assert submitted["response_url"] == root
    assert submitted["status_url"] == f"{root}/status"
    assert submitted["cancel_url"] == f"{root}/cancel"


def test_a_status_is_202_until_the_request_is_completed_and_200_then(emulator: Emulated) -> None:
    emulator.set(service_seconds=0.5)
    submitted = emulator.submit()
    before = emulator.http.get(submitted["status_url"], params={"logs": "true"})
    emulator.events(submitted)
    after = emulator.http.get(submitted["status_url"], params={"logs": "0"})
    assert (before.status_code, before.json()["status"]) == (202, "IN_PROGRESS")
    assert before.json()["logs"][0]["source"] == "USER"
    assert (after.status_code, after.json()["status"]) == (200, "COMPLETED")
    assert after.json()["logs"] is None
    assert after.json()["metrics"]["inference_time"] >= 0.5


def test_a_result_asked_for_too_early_is_400(emulator: Emulated) -> None:
    emulator.break_("stuck")
    early = emulator.http.get(emulator.submit()["response_url"])
    assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})


def test_a_good_result_carries_its_id_and_one_billable_unit(emulator: Emulated) -> None:
    submitted = emulator.submit(seed=11)
    good = emulator.result(submitted)
    assert good.json()["seed"] == 11
    assert good.json()["video"]["content_type"] == "video/mp4"
    assert good.headers["x-fal-request-id"] == submitted["request_id"]
    assert good.headers["x-fal-billable-units"] == "1"


@pytest.mark.parametrize("form", ["{url}/", "{url}/response", "{full}", "{full}/response"])
def test_other_forms_of_the_result_url_are_tolerated(emulator: Emulated, form: str) -> None:
    submitted = emulator.submit()
    emulator.events(submitted)
    url = submitted["response_url"]
    full = url.replace("/fal-ai/ovi/", "/fal-ai/ovi/image-to-video/")
    assert emulator.http.get(form.format(url=url, full=full)).status_code == 200


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({}, ["body", "prompt"], "missing"),
        ({"prompt": "x", "num_inference_steps": 51}, ["body", "num_inference_steps"], None),
        ({"prompt": "x", "resolution": "1x1"}, ["body", "resolution"], "literal_error"),
        ({"prompt": "x", "seed": "abc"}, ["body", "seed"], "int_parsing"),
        ([], ["body"], None),
    ],
)
def test_a_bad_input_is_accepted_and_refused_only_at_the_result(
    emulator: Emulated, body: Any, loc: list[str], kind: str | None
) -> None:
    """fal validates when it runs: a 200 on submit proves nothing."""
    submitted = emulator.http.post("/fal-ai/ovi", json=body)
    assert submitted.status_code == 200
    refused = emulator.result(submitted.json())
    (fault,) = refused.json()["detail"]
    assert (refused.status_code, fault["loc"]) == (422, loc)
    assert kind in (None, fault["type"])
    assert refused.headers["x-fal-billable-units"] == "0"


def test_a_models_own_refusal_shows_no_error_in_the_status(emulator: Emulated) -> None:
    submitted = emulator.http.post("/fal-ai/ovi", json={}).json()
    assert "error" not in emulator.events(submitted)[-1]


def test_unknown_fields_are_ignored_and_kept(emulator: Emulated) -> None:
    submitted = emulator.submit(whatever=1)
    assert emulator.result(submitted).status_code == 200
    assert emulator.submission(submitted)["body"]["whatever"] == 1


def test_an_unknown_subpath_is_noticed_only_at_the_result(emulator: Emulated) -> None:
    lost = emulator.result(emulator.submit(endpoint="fal-ai/ovi/nothing"))
    assert (lost.status_code, lost.json()) == (404, {"detail": "Path /nothing not found"})


def test_an_unknown_app_is_refused_at_once(emulator: Emulated) -> None:
    refused = emulator.post(endpoint="fal-ai/nothing")
    assert refused.status_code == 404
    assert refused.json() == {"detail": 'Application "nothing" not found'}


@pytest.mark.parametrize("key", [None, "Key nocolon", "Bearer a:b", "Key test:secret\t"])
def test_a_missing_or_malformed_key_is_401(emulator: Emulated, key: str | None) -> None:
    headers = {} if key is None else {"Authorization": key}
    url = f"{emulator.urls['queue_url']}/fal-ai/ovi"
    if key is not None and key.endswith("\t"):
        headers["Authorization"] = "Key test:secret x"
    assert httpx.post(url, json={"prompt": "x"}, headers=headers).status_code == 401


def test_an_unknown_request_is_404_with_a_status_of_its_own(emulator: Emulated) -> None:
    unknown = emulator.http.get(f"/fal-ai/ovi/requests/{uuid.UUID(int=0)}/status")
    assert (unknown.status_code, unknown.json()) == (404, {"status": "NOT_FOUND"})


def test_a_locked_account_is_refused_and_its_running_job_goes_on(emulator: Emulated) -> None:
    submitted = emulator.submit()
    emulator.http.post("/_emulator/lock")
    refused = emulator.post()
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("User is locked. Reason: Exhausted balance.")
    assert emulator.result(submitted).status_code == 200


def test_an_account_locks_itself_when_its_balance_is_spent(emulator: Emulated) -> None:
    spent = float(emulator.state()["account"]["spent_usd"])
    emulator.set(balance_usd=spent + 0.2)
    emulator.make()
    assert emulator.post().status_code == 403


def test_no_more_run_at_once_than_the_account_allows_in_the_order_they_came(
    emulator: Emulated,
) -> None:
    emulator.set(concurrency=2, service_seconds=0.1)
    submitted = [emulator.submit(f"number {n}") for n in range(6)]
    for each in submitted:
        emulator.events(each)
    starts = [emulator.submission(each)["started_at"] for each in submitted]
    assert starts == sorted(starts)
    slots = emulator.state()["slots"]
    assert slots["max_running"] == 2
    assert slots["slot_seconds_used"] >= 0.6
    assert 0 < slots["busy_share"] <= 1


def test_a_waiting_request_knows_how_many_are_in_front(emulator: Emulated) -> None:
    emulator.set(concurrency=1, service_seconds=5)
    running, *waiting = [emulator.submit(f"number {n}") for n in range(4)]
    assert running["queue_position"] == 0
    assert [each["queue_position"] for each in waiting] == [0, 1, 2]
    emulator.set(concurrency=8)
    emulator.http.put(waiting[0]["cancel_url"])


def test_other_people_take_slots_and_leave_them(emulator: Emulated) -> None:
    """What runs goes on; what waits does so until somebody has left."""
    emulator.set(concurrency=3, others=3, service_seconds=0.1)
    submitted = [emulator.submit(f"number {n}") for n in range(3)]
    slots = emulator.state()["slots"]
    assert (slots["running"], slots["max_waiting"]) == (0, 3)
    emulator.set(others=2)
    for each in submitted:
        emulator.events(each)
    slots = emulator.state()["slots"]
    assert (slots["max_running"], slots["max_waiting"]) == (1, 3)


def test_what_has_not_started_in_time_is_an_unbilled_504_of_the_user(emulator: Emulated) -> None:
    """The new header wins over the old one."""
    emulator.break_("stuck")
    headers = {"X-Fal-Request-Start-Timeout": "0.1", "X-Fal-Request-Timeout": "999"}
    late = emulator.result(emulator.submit(headers=headers))
    assert late.status_code == 504
    assert late.headers["x-fal-request-timeout-type"] == "user"
    assert "x-fal-billable-units" not in late.headers


def test_the_old_start_timeout_header_still_works(emulator: Emulated) -> None:
    emulator.break_("stuck")
    late = emulator.result(emulator.submit(headers={"X-Fal-Request-Timeout": "0.1"}))
    assert late.headers["x-fal-request-timeout-type"] == "user"


def test_a_low_priority_request_waits_behind_everybody(emulator: Emulated) -> None:
    emulator.set(concurrency=1, service_seconds=0.1)
    emulator.submit("first")
    low = emulator.submit("low", headers={"X-Fal-Queue-Priority": "low"})
    normal = emulator.submit("normal")
    emulator.events(low)
    ends = [emulator.submission(each)["started_at"] for each in (normal, low)]
    assert ends == sorted(ends)


def test_a_queued_request_is_cancelled_at_once(emulator: Emulated) -> None:
    emulator.break_("stuck")
    submitted = emulator.submit()
    cancelled = emulator.http.put(submitted["cancel_url"])
    assert (cancelled.status_code, cancelled.json()) == (200, {"status": "OK"})
    assert emulator.events(submitted)[-1]["error_type"] == "client_cancelled"
    assert emulator.result(submitted).status_code == 499


def test_a_queued_request_may_be_gone_once_cancelled(emulator: Emulated) -> None:
    emulator.set(cancelled_status="gone")
    emulator.break_("stuck")
    submitted = emulator.submit()
    emulator.http.put(submitted["cancel_url"])
    assert emulator.http.get(submitted["status_url"]).status_code == 404


@pytest.mark.parametrize(("honours", "ending"), [(False, 200), (True, 499)])
def test_a_running_request_may_finish_all_the_same(
    emulator: Emulated, honours: bool, ending: int
) -> None:
    emulator.set(service_seconds=0.3, honour_cancel=honours)
    submitted = emulator.submit()
    asked = emulator.http.put(submitted["cancel_url"])
    assert (asked.status_code, asked.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert emulator.result(submitted).status_code == ending


def test_a_finished_request_cannot_be_cancelled(emulator: Emulated) -> None:
    submitted = emulator.submit()
    emulator.events(submitted)
    late = emulator.http.put(submitted["cancel_url"])
    assert (late.status_code, late.json()) == (400, {"status": "ALREADY_COMPLETED"})


def test_the_stream_shows_every_change_and_ends_with_the_request(emulator: Emulated) -> None:
    emulator.set(concurrency=1, service_seconds=0.2)
    emulator.submit("in front")
    events = emulator.events(emulator.submit("behind"))
    assert [each["status"] for each in events] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert [each["message"] for each in events[-1]["logs"]] == ["Done."]


def test_the_server_runs_again_what_a_runner_lost(emulator: Emulated) -> None:
    """IN_PROGRESS goes back to IN_QUEUE; the queue's id stays, the gateway's changes."""
    emulator.set(service_seconds=0.5, retry_backoff_seconds=0.1)
    emulator.break_("runner_error", first=2)
    submitted = emulator.submit()
    states = [each["status"] for each in emulator.events(submitted)]
    assert states.count("IN_PROGRESS") == 3
    assert emulator.submission(submitted)["runs"] == 3
    assert emulator.result(submitted).status_code == 200


def test_the_server_gives_up_after_ten_runs(emulator: Emulated) -> None:
    emulator.set(retry_backoff_seconds=0.001, service_seconds=0.001)
    emulator.break_("runner_error", with_={"type": "runner_connection_refused"})
    submitted = emulator.submit()
    failed = emulator.result(submitted)
    assert failed.status_code == 503
    assert failed.headers["x-fal-error-type"] == "runner_connection_refused"
    assert emulator.submission(submitted)["runs"] == 10
    assert emulator.events(submitted)[-1]["error_type"] == "runner_connection_refused"


@pytest.mark.parametrize(
    ("headers", "error_type"),
    [({"X-Fal-No-Retry": "1"}, "runner_disconnected"), ({}, "runner_server_error")],
)
def test_some_failures_are_run_only_once(
    emulator: Emulated, headers: dict[str, str], error_type: str
) -> None:
    emulator.break_("runner_error", with_={"type": error_type})
    submitted = emulator.submit(headers=headers)
    emulator.events(submitted)
    assert emulator.submission(submitted)["runs"] == 1


def test_an_expired_result_is_404(emulator: Emulated) -> None:
    submitted = emulator.submit()
    emulator.events(submitted)
    emulator.set(result_seconds=0)
    assert emulator.http.get(submitted["response_url"]).status_code == 404


def test_results_can_be_made_to_expire_by_name(emulator: Emulated) -> None:
    kept, gone = emulator.submit("kept"), emulator.submit("gone")
    emulator.events(kept)
    emulator.events(gone)
    emulator.http.post("/_emulator/expire", json={"request_ids": [gone["request_id"]]})
    assert emulator.http.get(gone["status_url"]).status_code == 404
    assert emulator.http.get(kept["status_url"]).status_code == 200


def test_a_full_queue_refuses_only_who_asked_for_that(emulator: Emulated) -> None:
    emulator.set(concurrency=1, service_seconds=1)
    emulator.submit("running")
    waiting = emulator.submit("waiting")
    refused = emulator.http.post(
        "/fal-ai/ovi", params={"fal_max_queue_length": "0"}, json={"prompt": "x"}
    )
    assert refused.status_code == 429
    emulator.http.put(waiting["cancel_url"])


def test_the_same_body_twice_is_counted_as_a_duplicate(emulator: Emulated) -> None:
    first, second = emulator.submit("same"), emulator.submit("same")
    accepted = emulator.state()["accepted"]
    assert first["request_id"] != second["request_id"]
    assert (accepted["total"], accepted["duplicates"]) == (2, 1)
    assert accepted["by_body"] == {emulator.submission(first)["body_sha256"]: 2}


def test_tags_are_stored_and_bad_ones_dropped(emulator: Emulated) -> None:
    submitted = emulator.submit(headers={"X-Fal-Tags": "job=7,fal.x=1,nonsense"})
    assert emulator.submission(submitted)["tags"] == {"job": "7"}
