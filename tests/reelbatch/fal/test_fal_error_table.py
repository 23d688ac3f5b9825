"""fal.md, section 5, typed off by hand: what our table has to know, whatever it looks like."""

from __future__ import annotations

import json

import pytest

from reelbatch.fal.error_types import AGAIN, ERROR_TYPES, IMAGE, ROW, Family, advice_of
from reelbatch.fal.failures import classify

MODEL_ERRORS = """
500 transient internal_server_error
504 transient generation_timeout
400 transient downstream_service_error
500 transient downstream_service_error
504 transient downstream_service_error
500 transient downstream_service_unavailable
422 permanent content_policy_violation
422 permanent no_media_generated
422 permanent image_too_small
422 permanent image_too_large
422 permanent image_load_error
422 permanent file_download_error
422 permanent file_too_large
422 permanent face_detection_error
422 permanent feature_not_supported
422 permanent greater_than
422 permanent greater_than_equal
422 permanent less_than
422 permanent less_than_equal
422 permanent multiple_of
422 permanent sequence_too_short
422 permanent sequence_too_long
422 permanent one_of
422 permanent unsupported_image_format
422 permanent unsupported_audio_format
422 permanent unsupported_video_format
422 permanent audio_duration_too_long
422 permanent audio_duration_too_short
422 permanent video_duration_too_long
422 permanent video_duration_too_short
422 permanent invalid_archive
422 permanent archive_file_count_below_minimum
422 permanent archive_file_count_exceeds_maximum
422 permanent image_aspect_ratio_error
422 permanent missing
422 permanent int_parsing
422 permanent literal_error
422 permanent value_error
422 permanent value_error.missing
"""
"""As `{"detail": [{"loc", "msg", "type"}]}`."""

REQUEST_ERRORS = """
504 transient request_timeout
504 transient startup_timeout
503 transient runner_scheduling_failure
503 transient runner_connection_timeout
503 transient runner_disconnected
503 transient runner_connection_refused
503 transient runner_connection_error
502 transient runner_incomplete_response
500 transient runner_server_error
500 transient internal_error
499 cancelled client_disconnected
499 cancelled client_cancelled
400 permanent bad_request
"""
"""As `{"detail", "error_type"}`; all thirteen."""


def lines(table: str) -> list[tuple[int, Family, str]]:
    rows = (line.split() for line in table.split("\n") if line)
    return [(int(code), Family(family), kind) for code, family, kind in rows]


@pytest.mark.parametrize(("code", "family", "kind"), lines(MODEL_ERRORS))
def test_a_model_s_error_is_read_as_documented(code: int, family: Family, kind: str) -> None:
    body = {"detail": [{"loc": ["body", "prompt"], "msg": "fal's own words", "type": kind}]}
    failure = classify(code, {}, json.dumps(body).encode())
    assert (failure.error_type, failure.family) == (kind, family)
    assert failure.message == "prompt: fal's own words"
    assert failure.advice == ERROR_TYPES[kind].advice == advice_of(kind)


@pytest.mark.parametrize(("code", "family", "kind"), lines(REQUEST_ERRORS))
def test_a_request_error_is_read_as_documented(code: int, family: Family, kind: str) -> None:
    body = {"detail": "fal's own words", "error_type": kind}
    failure = classify(code, {"X-Fal-Error-Type": kind}, json.dumps(body).encode())
    assert (failure.error_type, failure.family) == (kind, family)
    assert failure.message == "fal's own words"
    assert failure.advice == ERROR_TYPES[kind].advice == advice_of(kind)


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("runner_server_error", AGAIN),
        ("http_503", AGAIN),
        ("http_418", ROW),
        ("string_too_short", ROW),
        ("image_not_decodable", IMAGE),
        ("source_lost", "Run with --fresh to make and pay it anew."),
    ],
)
def test_whatever_failed_there_is_something_to_do(kind: str, advice: str) -> None:
    assert advice_of(kind) == advice
