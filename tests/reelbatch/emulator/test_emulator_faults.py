"""Faults: each one strikes as it says, and a plan strikes the same rows again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from reelbatch.emulator.faults.plan import Faults, Plan
from reelbatch.emulator.faults.registry import FAULTS, by_moment
from reelbatch.emulator.submission import Submission
from reelbatch.emulator.wire import Hosts

if TYPE_CHECKING:
    from tests.reelbatch.emulator.conftest import Emulated

Broken = type[httpx.HTTPError]


@pytest.mark.parametrize(
    ("fault", "parameters", "seen", "accepted"),
    [
        ("accept_then_drop", {}, httpx.RemoteProtocolError, 1),
        ("accept_then_hang", {}, httpx.ReadTimeout, 1),
        ("drop_before_accept", {}, httpx.RemoteProtocolError, 0),
        ("hang_before_accept", {}, httpx.ReadTimeout, 0),
        ("nginx_error", {"status": 502}, 502, 0),
        ("nginx_error", {"status": 504, "accepted": True}, 504, 1),
        ("json_error", {"status": 500}, 500, 0),
        ("json_error", {"status": 503, "accepted": True}, 503, 1),
        ("garbled_answer", {}, 200, 1),
        ("empty_answer", {}, 200, 1),
        ("answer_without_id", {}, 200, 1),
        ("too_many_requests", {"retry_after": 3}, 429, 0),
        ("locked", {}, 403, 0),
        ("unauthorized", {}, 401, 0),
        ("redirected", {}, 307, 0),
        ("slow_answer", {"seconds": 0.01}, 200, 1),
        ("answer_after_webhook", {}, 200, 1),
    ],
)
def test_a_submission_fault_shows_one_thing_and_counts_another(
    emulator: Emulated, fault: str, parameters: dict[str, Any], seen: int | Broken, accepted: int
) -> None:
    emulator.break_(fault, with_=parameters)
    if isinstance(seen, int):
        assert emulator.post().status_code == seen
    else:
        url = f"{emulator.urls['queue_url']}/fal-ai/ovi"
        with pytest.raises(seen):
            httpx.post(url, json={"prompt": "x"}, headers=emulator.http.headers, timeout=1)
    assert emulator.state()["accepted"]["total"] == accepted


def test_nginx_says_so_and_names_no_request(emulator: Emulated) -> None:
    emulator.break_("nginx_error")
    page = emulator.post()
    assert "nginx" in page.text
    assert page.headers["content-type"].startswith("text/html")
    assert "x-fal-request-id" not in page.headers


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("status_error", 500),
        ("status_nginx", 502),
        ("status_garbled", 200),
        ("status_locked", 403),
        ("status_missing", 404),
        ("status_dropped", httpx.RemoteProtocolError),
    ],
)
def test_a_status_fault_passes(emulator: Emulated, fault: str, seen: int | Broken) -> None:
    submitted = emulator.submit()
    emulator.events(submitted)
    emulator.break_(fault, first=1)
    if isinstance(seen, int):
        assert emulator.http.get(submitted["status_url"]).status_code == seen
    else:
        with pytest.raises(seen):
            emulator.http.get(submitted["status_url"])
    assert emulator.http.get(submitted["status_url"]).json()["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("result_flake", 500),
        ("result_in_progress", 400),
        ("result_missing", 404),
        ("result_garbled", 200),
    ],
)
def test_a_result_fault_passes(emulator: Emulated, fault: str, seen: int) -> None:
    submitted = emulator.submit()
    emulator.events(submitted)
    emulator.break_(fault, first=1)
    assert emulator.http.get(submitted["response_url"]).status_code == seen
    assert emulator.http.get(submitted["response_url"]).json()["video"]


def test_a_flaking_result_names_no_request(emulator: Emulated) -> None:
    emulator.break_("result_flake")
    assert "x-fal-request-id" not in emulator.result(emulator.submit()).headers


def test_an_expired_result_never_comes_back(emulator: Emulated) -> None:
    emulator.break_("result_expired", times=1)
    submitted = emulator.submit()
    assert [emulator.result(submitted).status_code, emulator.result(submitted).status_code] == [
        404,
        404,
    ]


def test_a_broken_stream_ends_early(emulator: Emulated) -> None:
    emulator.break_("stuck")
    emulator.break_("stream_broken")
    assert [each["status"] for each in emulator.events(emulator.submit())] == ["IN_QUEUE"]


def test_a_stuck_request_is_first_in_line_for_ever(emulator: Emulated) -> None:
    emulator.break_("stuck")
    status = emulator.http.get(emulator.submit()["status_url"]).json()
    assert (status["status"], status["queue_position"]) == ("IN_QUEUE", 0)


def test_other_people_are_in_front_and_then_gone(emulator: Emulated) -> None:
    emulator.break_("other_peoples_queue", with_={"ahead": 100, "per_second": 200})
    submitted = emulator.submit()
    assert submitted["queue_position"] > 50
    assert emulator.result(submitted).status_code == 200


def test_a_prompt_can_be_refused_by_its_words(emulator: Emulated) -> None:
    emulator.break_("model_refusal", prompt="forbidden", with_={"type": "content_policy_violation"})
    refused = emulator.result(emulator.submit("a forbidden fox"))
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["type"] == "content_policy_violation"
    assert "x-fal-billable-units" not in refused.headers
    assert emulator.result(emulator.submit("a fox")).status_code == 200


@pytest.mark.parametrize("billed", [True, False])
def test_a_refusal_may_or_may_not_be_billed(emulator: Emulated, billed: bool) -> None:
    emulator.break_("model_refusal", with_={"billed": billed})
    units = emulator.result(emulator.submit()).headers["x-fal-billable-units"]
    assert units == ("1" if billed else "0")


def test_a_good_result_may_hold_no_video(emulator: Emulated) -> None:
    emulator.break_("missing_video")
    assert "video" not in emulator.make()


def test_file_size_may_lie(emulator: Emulated) -> None:
    emulator.break_("wrong_file_size", with_={"by": 7})
    video = emulator.make()["video"]
    assert video["file_size"] == len(emulator.http.get(video["url"]).content) + 7


def test_truncated_media_breaks_off_before_its_promised_length(emulator: Emulated) -> None:
    emulator.break_("truncated_media")
    url = emulator.make()["video"]["url"]
    with pytest.raises(httpx.RemoteProtocolError):
        emulator.http.get(url)


@pytest.mark.parametrize(
    ("fault", "status", "same_bytes"),
    [
        ("html_media", 200, False),
        ("corrupt_media", 200, False),
        ("empty_media", 200, False),
        ("wrong_content_type", 200, True),
        ("media_without_length", 200, True),
        ("slow_media", 200, True),
        ("media_missing", 404, False),
        ("media_error", 503, False),
    ],
)
def test_media_may_not_be_what_was_made(
    emulator: Emulated, fault: str, status: int, same_bytes: bool
) -> None:
    url = emulator.make()["video"]["url"]
    whole = emulator.http.get(url)
    parameters = {"seconds": 0.02} if fault == "slow_media" else {}
    emulator.break_(fault, with_=parameters)
    broken = emulator.http.get(url)
    assert (broken.status_code, broken.content == whole.content) == (status, same_bytes)


def test_a_rule_strikes_at_the_nth_occasion(emulator: Emulated) -> None:
    emulator.break_("nginx_error", nth=[1, 3])
    assert [emulator.post().status_code for _ in range(4)] == [502, 200, 502, 200]


def test_a_rule_can_be_switched_off_by_its_number(emulator: Emulated) -> None:
    made = emulator.http.post("/_emulator/faults", json={"fault": "nginx_error"}).json()
    (rule,) = made["faults"]
    assert emulator.post().status_code == 502
    emulator.http.delete(f"/_emulator/faults/{rule['id']}")
    assert emulator.post().status_code == 200


def submissions(count: int) -> list[Submission]:
    hosts = Hosts(queue="http://queue", media="http://media")
    return [
        Submission(endpoint="fal-ai/ovi", app="fal-ai/ovi", body={"prompt": str(n)}, hosts=hosts)
        for n in range(count)
    ]


def struck(seed: int, jobs: list[Submission]) -> set[str]:
    rules = [{"fault": "accept_then_drop", "probability": 0.3}]
    (rule,) = Faults(Plan.model_validate({"seed": seed, "faults": rules})).active
    return {job.prompt for job in jobs if rule.luck(job) is not None}


def test_a_seed_strikes_the_same_rows_in_whatever_order_they_come() -> None:
    jobs = submissions(200)
    assert struck(7, jobs) == struck(7, jobs[::-1]) != struck(8, jobs)
    assert 30 < len(struck(7, jobs)) < 90


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"fault": "nonsense"}, "no fault 'nonsense'"),
        ({"fault": "stuck", "with": {"x": 1}}, "no parameter 'x'"),
        ({"fault": "runner_error", "with": {"type": "x"}}, "is one of request_timeout"),
        ({"fault": "stuck", "chance": 1}, "chance"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_with_words(
    emulator: Emulated, rule: dict[str, Any], words: str
) -> None:
    refused = emulator.http.post("/_emulator/faults", json=rule)
    assert refused.status_code == 422
    assert words in refused.text


def test_a_plan_file_is_read_at_the_start(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("seed: 3\nfaults:\n  - fault: locked\n    with: {reason: TOP_UP.}\n")
    rule = Plan.load(plan).faults[0]
    assert (rule.fault, rule.parameters) == ("locked", {"reason": "TOP_UP."})


def test_a_broken_plan_file_ends_the_program_with_2(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("faults: [{fault: nonsense}]")
    command = [sys.executable, "-m", "reelbatch.emulator", "--faults", str(plan)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "no fault 'nonsense'" in ended.stderr


def test_every_fault_says_what_it_does_in_one_line() -> None:
    assert len(FAULTS) > 50
    assert all(fault.line.endswith(".") or ";" in fault.line for fault in FAULTS.values())
    assert sum(map(len, by_moment().values())) == len(FAULTS)
