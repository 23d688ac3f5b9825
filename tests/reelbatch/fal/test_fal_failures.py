"""Every bad answer of fal has a family, a type, fal's words and ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelbatch.fal.error_types import ERROR_TYPES, MODEL_ERRORS, REQUEST_ERRORS, Family
from reelbatch.fal.failures import WORDS_CAP, Failure, classify, failure_of


def read(status: int, content: Any, **headers: str) -> Failure:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify(status, names, json.dumps(content).encode())


def model_error(kind: str, **more: Any) -> dict[str, Any]:
    return {"detail": [{"loc": ["body", "image_url"], "msg": "no", "type": kind, **more}]}


@pytest.mark.parametrize("kind", MODEL_ERRORS)
def test_every_model_error_is_known_by_its_type(kind: str) -> None:
    failure = read(MODEL_ERRORS[kind].codes[0], model_error(kind))
    assert (failure.error_type, failure.family) == (kind, MODEL_ERRORS[kind].family)
    assert failure.message == "image_url: no"
    assert failure.advice


@pytest.mark.parametrize("kind", REQUEST_ERRORS)
def test_every_request_error_is_known_by_body_or_header(kind: str) -> None:
    code, family = REQUEST_ERRORS[kind].codes[0], REQUEST_ERRORS[kind].family
    in_body = read(code, {"detail": "words", "error_type": kind})
    in_header = read(code, {"detail": "words"}, X_Fal_Error_Type=kind)
    for failure in (in_body, in_header):
        assert (failure.error_type, failure.family) == (kind, family)
        assert failure.message == "words"


@pytest.mark.parametrize("known", ERROR_TYPES.values(), ids=ERROR_TYPES.keys())
def test_every_error_says_what_it_is_and_what_to_do(known: Any) -> None:
    assert known.meaning.endswith(".")
    assert known.advice.endswith(".")
    assert known.codes


FAMILIES: dict[Family, list[str]] = {
    Family.TRANSIENT: ["runner_disconnected", "request_timeout", "downstream_service_error"],
    Family.PERMANENT: ["content_policy_violation", "image_load_error", "bad_request", "no_output"],
    Family.CANCELLED: ["client_cancelled", "client_disconnected"],
    Family.LOCKED: ["balance_exhausted", "account_locked"],
    Family.AUTH: ["no_key", "bad_key", "malformed_key", "forbidden"],
    Family.THROTTLED: ["concurrent_requests_limit", "rate_limited"],
    Family.START_TIMEOUT: ["start_timeout"],
    Family.FLAKE: ["ingress_error"],
}


@pytest.mark.parametrize("family", Family)
def test_the_families_are_those_of_fals_table(family: Family) -> None:
    assert {ERROR_TYPES[kind].family for kind in FAMILIES[family]} == {family}


@pytest.mark.parametrize(
    ("status", "sentence", "kind"),
    [
        (
            401,
            'Cannot access application "fal-ai/ovi". Authentication is required to access '
            "this application.",
            "no_key",
        ),
        (401, "Authorization header is required", "no_key"),
        (401, "No user found for Key ID and Secret", "bad_key"),
        (401, "invalid key credentials", "bad_key"),
        (
            401,
            "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'.",
            "malformed_key",
        ),
        (
            403,
            "User is locked. Reason: Exhausted balance. Top up your balance at "
            "fal.ai/dashboard/billing.",
            "balance_exhausted",
        ),
        (403, "User is locked. Reason: TOP_UP.", "balance_exhausted"),
        (403, "User is locked. Reason: Locked by an administrator.", "account_locked"),
        (403, "You may not use this model", "forbidden"),
        (404, 'Application "nosuchvendor" not found', "app_not_found"),
        (404, "Path /image-to-vido not found", "path_not_found"),
        (429, "concurrent_requests_limit reached", "concurrent_requests_limit"),
        (429, "Too many requests", "rate_limited"),
    ],
)
def test_the_gateways_sentences_are_told_apart(status: int, sentence: str, kind: str) -> None:
    failure = read(status, {"detail": sentence})
    assert (failure.error_type, failure.message) == (kind, sentence)


def test_the_queues_404_has_no_sentence_and_gets_ours() -> None:
    failure = read(404, {"status": "NOT_FOUND"})
    assert failure.error_type == "request_not_found"
    assert failure.message == "fal knows no such request."


def test_a_concurrency_limit_is_found_wherever_it_stands() -> None:
    """Its nesting is not documented (fal.md, section 5)."""
    for content in (
        {"detail": [{"type": "concurrent_requests_limit", "msg": "m", "loc": []}]},
        {"error": {"type": "concurrent_requests_limit"}},
        {"a": {"b": "concurrent_requests_limit"}},
    ):
        failure = read(429, content, X_Fal_needs_retry="1")
        assert failure.family is Family.THROTTLED
        assert failure.error_type == "concurrent_requests_limit"


def test_the_platforms_shape_is_understood() -> None:
    error = {"type": "rate_limited", "message": "Slow down.", "docs_url": "u", "request_id": "r"}
    failure = read(429, {"error": error})
    assert (failure.error_type, failure.message) == ("rate_limited", "Slow down.")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_nginx_is_a_flake(status: int) -> None:
    failure = classify(status, {}, b"<html><center>nginx</center></html>")
    assert (failure.error_type, failure.family) == ("ingress_error", Family.FLAKE)
    assert "nginx" in failure.raw


def test_html_with_fals_request_id_is_not_nginxs() -> None:
    failure = classify(503, {"x-fal-request-id": "r"}, b"<html></html>")
    assert (failure.error_type, failure.family) == ("http_503", Family.TRANSIENT)


def test_a_504_of_our_own_deadline_is_told_by_its_header_alone() -> None:
    failure = read(
        504,
        {"detail": "Request timed out", "error_type": "request_timeout"},
        X_Fal_Request_Timeout_Type="user",
    )
    assert failure.family is Family.START_TIMEOUT


@pytest.mark.parametrize(
    ("value", "family"),
    [
        ("true", Family.TRANSIENT),
        ("false", Family.PERMANENT),
        ("False", Family.PERMANENT),
        ("maybe", Family.TRANSIENT),
    ],
)
def test_fals_own_word_on_retrying_decides(value: str, family: Family) -> None:
    failure = read(500, model_error("internal_server_error"), X_Fal_Retryable=value)
    assert failure.family is family


@pytest.mark.parametrize(
    "content",
    [
        {"detail": "User is locked."},
        {"detail": "User is locked.", "error_type": "a_new_type"},
        {"error": {"type": "authorization_error", "message": "User is locked. Reason: TOP_UP."}},
    ],
)
def test_a_lock_is_a_lock_whatever_else_is_said(content: dict[str, Any]) -> None:
    assert read(403, content, X_Fal_Retryable="true").family is Family.LOCKED


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (400, Family.PERMANENT),
        (402, Family.LOCKED),
        (408, Family.TRANSIENT),
        (409, Family.TRANSIENT),
        (410, Family.PERMANENT),
        (418, Family.PERMANENT),
        (422, Family.PERMANENT),
        (500, Family.TRANSIENT),
        (599, Family.TRANSIENT),
        (307, Family.PERMANENT),
    ],
)
def test_an_unknown_type_is_judged_by_its_code(status: int, family: Family) -> None:
    failure = read(status, {"detail": "words", "error_type": "a_new_type"})
    assert (failure.error_type, failure.family) == ("a_new_type", family)


@pytest.mark.parametrize("kind", ["missing", "int_parsing", "literal_error", "value_error.missing"])
def test_plain_pydantic_errors_keep_their_type(kind: str) -> None:
    failure = read(422, model_error(kind), x_fal_billable_units="0")
    assert (failure.error_type, failure.family) == (kind, Family.PERMANENT)


def test_of_several_details_a_documented_one_names_the_type_and_all_are_said() -> None:
    detail = [
        {"loc": ["body", "prompt"], "msg": "field required", "type": "missing"},
        {
            "loc": ["body", "image_url"],
            "msg": "too small",
            "type": "image_too_small",
            "ctx": {"min_height": 512, "min_width": 512},
        },
    ]
    failure = read(422, {"detail": detail})
    assert failure.error_type == "image_too_small"
    assert failure.message == (
        "prompt: field required; image_url: too small (min_height=512, min_width=512)"
    )


def test_the_input_that_fal_repeats_stays_out_of_the_message() -> None:
    """It may be a megabyte of image."""
    failure = read(422, model_error("one_of", input="data:image/png;base64," + "A" * 100_000))
    assert failure.message == "image_url: no"
    assert len(failure.raw) <= WORDS_CAP


def test_long_words_are_cut() -> None:
    failure = read(500, {"detail": "x" * 100_000})
    assert len(failure.message) == len(failure.raw.removeprefix('{"detail": "')) + 12 == WORDS_CAP


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        7,
        {"detail": None},
        {"detail": []},
        {"detail": ["just words"]},
        {"detail": {"msg": "m", "type": "one_of"}},
        {"detail": [{"loc": "body", "msg": None, "type": 7, "ctx": [1]}]},
        {"error_type": {"a": 1}},
        {"error_type": "x" * 500},
        {"error_type": "no spaces, please"},
        {"error": "words"},
        {"error": {"type": None, "message": None}},
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_no_shape_of_json_is_too_odd(content: Any, status: int) -> None:
    failure = read(status, content)
    assert failure.error_type in ("one_of", f"http_{status}")
    assert failure.message
    assert failure.advice


@given(
    status=st.integers(300, 599),
    headers=st.dictionaries(st.sampled_from(["x-fal-error-type", "x-fal-retryable"]), st.text()),
    body=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["detail", "error", "error_type", "type", "msg", "loc", "ctx"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=10,
    ).map(lambda content: json.dumps(content).encode()),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_a_failure(status: int, headers: dict[str, str], body: bytes) -> None:
    failure = classify(status, headers, body)
    assert failure.family in Family
    assert 0 < len(failure.error_type) <= 64
    assert len(failure.message) <= WORDS_CAP


def test_json_nested_past_reason_is_no_crash() -> None:
    assert classify(500, {}, b"[" * 200_000).error_type == "http_500"


def test_a_failure_of_our_own_naming_has_the_tables_words() -> None:
    failure = failure_of("no_output")
    assert failure.message == ERROR_TYPES["no_output"].meaning
    assert failure_of("no_output", words="fal said so").message == "fal said so"


def test_what_signs_a_link_is_cut_from_fals_words() -> None:
    """It quotes the image's URL; the message goes into reports, the index and Prefect."""
    url = "https://images.example/cat.png"
    said = f"Failed to load '{url}?X-Amz-Signature=hunter2', is it public?"
    failure = read(422, model_error("file_download_error", msg=said))
    assert failure.message == f"image_url: Failed to load '{url}', is it public?"
