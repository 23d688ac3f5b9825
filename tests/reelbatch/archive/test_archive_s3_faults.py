"""What the S3 archive makes of lost answers, missing permissions and refusals."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from reelbatch.archive.contract import Archive, KeyTaken, Stored, as_refusal
from reelbatch.errors import Permanent, Refused, Transient

KEY = "cats/row-1/take-1.mp4"
PATH = "/reels/spring/cats/row-1/take-1.mp4"
VIDEO = b"a video " * 1000


def _keep(archive: Archive, content: bytes = VIDEO) -> Stored:
    digest = hashlib.sha256(content).hexdigest()
    return archive.put_once(KEY, content, sha256=digest, content_type="video/mp4")


def test_a_put_is_one_plain_conditional_request_with_its_hash(
    archive: Archive, faulty_s3: Any
) -> None:
    """No second hashing, no aws-chunked body: it costs CPU, and some stores reject it."""
    _keep(archive)
    (headers,) = faulty_s3.puts
    assert headers["if-none-match"] == "*"
    assert headers["content-length"] == str(len(VIDEO))
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert headers["x-amz-checksum-sha256"]
    assert "content-encoding" not in headers


@pytest.mark.parametrize("fault", ["500 InternalError after storing", "reset after storing"])
def test_a_put_whose_answer_was_lost_is_success(
    archive: Archive, faulty_s3: Any, fault: str
) -> None:
    faulty_s3.faults = [fault]
    assert _keep(archive).already
    assert faulty_s3.objects[PATH][0] == VIDEO


@pytest.mark.parametrize("fault", ["503 SlowDown before storing", "reset before storing"])
def test_a_passing_fault_is_tried_again(archive: Archive, faulty_s3: Any, fault: str) -> None:
    faulty_s3.faults = [fault]
    assert not _keep(archive).already
    assert archive.read(KEY) == VIDEO


def test_a_store_that_answers_500_for_long_but_has_the_bytes_is_success(
    archive: Archive, faulty_s3: Any
) -> None:
    faulty_s3.objects[PATH] = (VIDEO, "")
    faulty_s3.faults = ["500 InternalError before storing"] * 8
    assert _keep(archive).already


def test_a_store_that_fails_for_long_is_transient(archive: Archive, faulty_s3: Any) -> None:
    faulty_s3.faults = ["reset before storing"] * 8
    with pytest.raises(Transient, match="cannot be reached, or broke off"):
        _keep(archive)


def test_where_head_is_forbidden_the_bytes_are_read_to_compare(
    archive: Archive, faulty_s3: Any
) -> None:
    _keep(archive)
    faulty_s3.forbidden = {"HEAD"}
    assert _keep(archive).already
    with pytest.raises(KeyTaken):
        _keep(archive, b"something else")


def test_what_is_read_is_whole_or_transient(archive: Archive, faulty_s3: Any) -> None:
    _keep(archive)
    faulty_s3.cut_short = True
    with pytest.raises(Transient, match="broke off"):
        archive.read(KEY)


def test_where_a_missing_key_answers_403_the_conditional_put_decides(
    archive: Archive, faulty_s3: Any
) -> None:
    """Without s3:ListBucket, Amazon says 403 instead of 404."""
    faulty_s3.may_list = False
    assert archive.read(KEY) is None
    assert not archive.holds(KEY, "00" * 32)
    assert not _keep(archive).already
    assert _keep(archive).already


def test_a_taken_key_that_may_not_be_read_names_the_missing_permission(
    archive: Archive, faulty_s3: Any
) -> None:
    _keep(archive)
    faulty_s3.forbidden = {"HEAD", "GET"}
    with pytest.raises(Permanent, match="s3:GetObject") as caught:
        _keep(archive)
    assert caught.value.error == "archive_refused"


def test_a_forbidden_put_is_refused_for_good(archive: Archive, faulty_s3: Any) -> None:
    faulty_s3.forbidden = {"PUT"}
    with pytest.raises(Permanent, match=r"s3://reels/spring does not let us write\.") as caught:
        _keep(archive)
    assert caught.value.error == "archive_refused"


@pytest.mark.parametrize(
    ("fault", "error", "sentence"),
    [
        ("507 InsufficientStorage", "archive_full", "is full"),
        ("400 QuotaExceeded", "archive_full", "is full"),
        ("403 ExpiredToken", "archive_refused", "session has expired"),
        ("403 RequestTimeTooSkewed", "archive_refused", "clock is too far off"),
        ("501 NotImplemented", "archive_refused", "does not know conditional puts"),
        ("405 MethodNotAllowed", "archive_refused", r"refuses: MethodNotAllowed \(405\)"),
    ],
)
def test_a_refusal_says_what_to_put_right(
    archive: Archive, faulty_s3: Any, fault: str, error: str, sentence: str
) -> None:
    faulty_s3.faults = [f"{fault} before storing"]
    with pytest.raises(Permanent, match=sentence) as caught:
        _keep(archive)
    assert caught.value.error == error
    assert caught.value.message.endswith(".")


def test_damage_on_the_way_is_worth_another_try(archive: Archive, faulty_s3: Any) -> None:
    faulty_s3.faults = ["400 BadDigest before storing"]
    with pytest.raises(Transient, match="BadDigest"):
        _keep(archive)


def test_no_message_carries_a_credential(archive: Archive, faulty_s3: Any) -> None:
    faulty_s3.forbidden = {"PUT", "GET", "HEAD"}
    with pytest.raises(Permanent) as caught:
        _keep(archive)
    said = f"{caught.value} {archive.describe()} {archive.uri}"
    assert "AKIDOFATEST" not in said
    assert "a-secret-nobody-may-read" not in said


def test_a_failed_first_put_becomes_the_reason_not_to_start(
    archive: Archive, faulty_s3: Any
) -> None:
    faulty_s3.forbidden = {"PUT"}
    with pytest.raises(Permanent) as caught:
        archive.put("cats/manifests/1234-cats.csv", b"id,prompt", "text/csv")
    refusal = as_refusal(caught.value)
    assert isinstance(refusal, Refused)
    assert refusal.message == "s3://reels/spring does not let us write."
    assert refusal.advice == "Allow s3:PutObject and s3:GetObject below the prefix."
