"""A result is a video, a failure of the job's own, or something to ask for again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from reelbatch.errors import Transient
from reelbatch.fal.answers import FailedResult, Gone, GoodResult, NotYet, OutputFile
from reelbatch.fal.client import Fal
from reelbatch.fal.error_types import Family
from tests.reelbatch.fal.opened import REQUEST_ID, fal_saying, submission
from tests.reelbatch.fal.raw_server import Act, RawServer, answer, drop, hang, head, send

URL = "https://v3b.fal.media/files/b/0a9b4900/out.mp4"
VIDEO = {"url": URL, "content_type": "video/mp4", "file_name": "out.mp4", "file_size": 812345}
OWN = {"x_fal_request_id": REQUEST_ID}


async def test_a_good_result_has_payload_file_seed_and_units() -> None:
    payload = {"video": VIDEO, "seed": 7}
    async with fal_saying(200, payload, x_fal_billable_units="1", **OWN) as fal:
        result = await fal.result(submission())
    assert result == GoodResult(
        payload=payload,
        output=OutputFile(url=URL, content_type="video/mp4", file_name="out.mp4", file_size=812345),
        seed=7,
        billable_units=Decimal(1),
    )


@pytest.mark.parametrize(
    "video",
    [
        {"url": URL},
        {"url": URL, "content_type": None, "file_name": None, "file_size": None},
        {"url": URL, "content_type": 7, "file_name": "", "file_size": "812345"},
    ],
)
async def test_only_the_url_of_a_video_must_be_there(video: dict[str, Any]) -> None:
    async with fal_saying(200, {"video": video}) as fal:
        result = await fal.result(submission())
    assert isinstance(result, GoodResult)
    assert result.output == OutputFile(url=URL)
    assert (result.seed, result.billable_units) == (None, None)


async def test_another_models_file_is_found_by_its_path() -> None:
    async with fal_saying(200, {"output": {"clip": VIDEO}}) as fal:
        result = await fal.result(submission(), output=("output", "clip"))
    assert isinstance(result, GoodResult)


NO_VIDEO: list[Any] = [
    {},
    {"seed": 7},
    {"video": None, "seed": 7},
    {"video": "https://v3b.fal.media/out.mp4"},
    {"video": {"url": None}},
    {"video": {"url": "file:///etc/passwd"}},
    {"video": [VIDEO]},
    [VIDEO],
    7,
]


@pytest.mark.parametrize("payload", NO_VIDEO)
async def test_a_result_without_a_usable_video_is_a_failure_of_its_own(payload: Any) -> None:
    async with fal_saying(200, payload, x_fal_billable_units="1", **OWN) as fal:
        result = await fal.result(submission())
    assert isinstance(result, FailedResult)
    assert result.failure.error_type == "no_output"
    assert result.failure.family is Family.PERMANENT
    assert result.billable_units == 1


@pytest.mark.parametrize("text", ["<html>", '{"video": {"url": "htt', "", "[" * 100_000])
async def test_a_200_that_is_no_json_is_asked_for_again(text: str) -> None:
    """Whatever its headers say: the video was paid, and half an answer must not fail it."""
    async with fal_saying(200, text=text, **OWN) as fal:
        with pytest.raises(Transient):
            await fal.result(submission())


@pytest.mark.parametrize("payload", [{}, {"status": "IN_PROGRESS"}, [1]])
async def test_a_200_that_nothing_ties_to_the_job_is_asked_for_again(payload: Any) -> None:
    async with fal_saying(200, payload) as fal:
        with pytest.raises(Transient):
            await fal.result(submission())


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, {"detail": "Request is still in progress"}),
        (202, {"status": "IN_PROGRESS"}),
        (202, {"status": "IN_QUEUE", "queue_position": 0}),
    ],
)
async def test_too_early_is_not_yet(status: int, content: dict[str, Any]) -> None:
    async with fal_saying(status, content, **OWN) as fal:
        assert await fal.result(submission()) == NotYet()


@pytest.mark.parametrize("content", [{"status": "NOT_FOUND"}, {"detail": "Not found"}, {}])
@pytest.mark.parametrize("status", [404, 410])
async def test_an_unknown_or_expired_request_is_gone(status: int, content: dict[str, Any]) -> None:
    async with fal_saying(status, content) as fal:
        assert await fal.result(submission()) == Gone(status_code=status)


async def test_a_models_404_is_a_failure_and_not_an_expiry() -> None:
    content = {"detail": "Path /image-to-vido not found"}
    async with fal_saying(404, content, x_fal_billable_units="0", **OWN) as fal:
        result = await fal.result(submission())
    assert isinstance(result, FailedResult)
    assert result.failure.error_type == "path_not_found"
    assert result.billable_units == 0


async def test_a_models_422_is_the_jobs_own_failure() -> None:
    detail = {"loc": ["body", "image_url"], "msg": "too small", "type": "image_too_small"}
    async with fal_saying(422, {"detail": [detail]}, x_fal_billable_units="0", **OWN) as fal:
        result = await fal.result(submission())
    assert isinstance(result, FailedResult)
    assert (result.failure.error_type, result.failure.family) == (
        "image_too_small",
        Family.PERMANENT,
    )
    assert result.billable_units == 0
    assert result.own


async def test_a_422_without_fals_header_fails_the_job_and_says_that_it_lacks_it() -> None:
    async with fal_saying(422, {"detail": [{"loc": [], "msg": "no", "type": "one_of"}]}) as fal:
        result = await fal.result(submission())
    assert isinstance(result, FailedResult)
    assert not result.own


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(
    "header", [{"x_fal_request_id": REQUEST_ID}, {"x_fal_error_type": "internal_error"}]
)
async def test_a_5xx_with_fals_header_is_the_jobs_own(status: int, header: dict[str, str]) -> None:
    async with fal_saying(status, {"detail": "failed"}, **header) as fal:
        result = await fal.result(submission())
    assert isinstance(result, FailedResult)
    assert result.own
    assert result.failure.family is Family.TRANSIENT


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("text", ["<html>nginx</html>", '{"detail": "failed"}', ""])
async def test_a_5xx_without_fals_header_is_a_flake(status: int, text: str) -> None:
    async with fal_saying(status, text=text) as fal:
        with pytest.raises(Transient):
            await fal.result(submission())


@pytest.mark.parametrize("own", [OWN, {}])
@pytest.mark.parametrize("status", [301, 401, 403, 429])
async def test_answers_about_us_say_nothing_of_the_job(status: int, own: dict[str, str]) -> None:
    async with fal_saying(status, {"detail": "User is locked."}, **own) as fal:
        with pytest.raises(Transient):
            await fal.result(submission())


@pytest.mark.parametrize("status", [408, 409])
async def test_a_gateways_408_says_nothing_of_the_job(status: int) -> None:
    async with fal_saying(status, {"detail": "later"}) as fal:
        with pytest.raises(Transient):
            await fal.result(submission())


async def test_a_captive_portals_4xx_says_nothing_of_the_job() -> None:
    async with fal_saying(400, text="<html>Please log in to the hotel</html>") as fal:
        with pytest.raises(Transient):
            await fal.result(submission())


@pytest.mark.parametrize("own", [OWN, {}])
async def test_a_missed_start_has_its_own_type(own: dict[str, str]) -> None:
    """Only a header tells it from a model's 504."""
    async with fal_saying(504, {}, x_fal_request_timeout_type="user", **own) as fal:
        result = await fal.result(submission())
    assert isinstance(result, FailedResult)
    assert result.failure.error_type == "start_timeout"
    assert result.failure.family is Family.START_TIMEOUT


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        ({"detail": "cancelled", "error_type": "client_cancelled"}, {}),
        ({"detail": "cancelled"}, {"x_fal_error_type": "client_cancelled"}),
        ({}, OWN),
        ({}, {}),
    ],
)
async def test_499_is_a_cancellation(content: dict[str, str], headers: dict[str, str]) -> None:
    async with fal_saying(499, content, **headers) as fal:
        result = await fal.result(submission())
    assert isinstance(result, FailedResult)
    assert result.failure.family is Family.CANCELLED


@pytest.mark.parametrize("units", ["", "one", "NaN", "Infinity"])
async def test_units_that_are_no_number_are_no_units(units: str) -> None:
    async with fal_saying(200, {"video": VIDEO}, x_fal_billable_units=units) as fal:
        result = await fal.result(submission())
    assert isinstance(result, GoodResult)
    assert result.billable_units is None


LOST = {
    "half a video": drop(head(200, b'{"video": {"url": "https:', length=900, x_fal_request_id="r")),
    "half a 422": drop(head(422, b'{"detail": [', length=900, x_fal_request_id="r")),
    "too large": send(head(200, b" " * 1_100_000, x_fal_request_id="r")),
}


@pytest.mark.parametrize("act", LOST.values(), ids=LOST.keys())
async def test_a_result_that_breaks_off_is_asked_for_again(
    server: RawServer, local_fal: Fal, act: Act
) -> None:
    """It was paid: a flaw of the line must not fail it."""
    server.then(act).then(answer(200, {"video": VIDEO}))
    with pytest.raises(Transient):
        await local_fal.result(submission(server.url))
    assert isinstance(await local_fal.result(submission(server.url)), GoodResult)


async def test_what_only_reads_is_asked_once_more_where_no_answer_came(
    server: RawServer, local_fal: Fal
) -> None:
    """The connection may have gone stale. A second silence is an error like any other."""
    server.then(drop()).then(answer(200, {"video": VIDEO}))
    assert isinstance(await local_fal.result(submission(server.url)), GoodResult)
    server.becomes(drop())
    with pytest.raises(Transient):
        await local_fal.result(submission(server.url))
    assert len(server.requests) == 4


async def test_a_result_that_hangs_is_given_up(
    server: RawServer, local_fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelbatch.fal.wire.CALL_SECONDS", 0.1)
    server.then(hang)
    with pytest.raises(Transient, match="in time"):
        await local_fal.result(submission(server.url))
