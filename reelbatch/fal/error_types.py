"""Every error fal documents, with its family, its codes and what to do (fal.md, section 5).

A table and its look-up: `failures` reads answers with it, the report advises by it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What a failure asks of whoever meets it."""

    TRANSIENT = "transient"
    """fal's own trouble. A new attempt may well succeed."""
    PERMANENT = "permanent"
    """The request itself. The same request fails again."""
    LOCKED = "locked"
    """The account. Nothing is accepted until someone acts."""
    AUTH = "auth"
    """The key. Nothing is accepted with this one."""
    THROTTLED = "throttled"
    """Too fast. The same request later."""
    CANCELLED = "cancelled"
    """Someone asked for it."""
    START_TIMEOUT = "start_timeout"
    """Our own deadline passed before it started. Not billed."""
    FLAKE = "flake"
    """A gateway spoke, not fal: it says nothing of the request."""


@dataclass(frozen=True, kw_only=True)
class ErrorType:
    """One documented error."""

    family: Family
    codes: tuple[int, ...]
    meaning: str
    advice: str


AGAIN = "Try again with `reelbatch retry`: only what failed is made."
ROW = "Fix the row and run again: finished rows are kept."
IMAGE = "Use another image and run again: finished rows are kept."


def _transient(meaning: str, *codes: int) -> ErrorType:
    return ErrorType(family=Family.TRANSIENT, codes=codes, meaning=meaning, advice=AGAIN)


def _permanent(meaning: str, advice: str = ROW, *codes: int) -> ErrorType:
    return ErrorType(family=Family.PERMANENT, codes=codes or (422,), meaning=meaning, advice=advice)


def _of(family: Family, meaning: str, advice: str, *codes: int) -> ErrorType:
    return ErrorType(family=family, codes=codes, meaning=meaning, advice=advice)


MODEL_ERRORS = {
    "internal_server_error": _transient("The model failed inside.", 500),
    "generation_timeout": _transient("The model took too long.", 504),
    "downstream_service_error": _transient("A service behind the model failed.", 400, 500, 504),
    "downstream_service_unavailable": _transient("A service behind the model was not there.", 500),
    "content_policy_violation": _permanent(
        "fal's content policy refused the prompt or the image.",
        "Change the prompt or the image and run again: finished rows are kept.",
    ),
    "no_media_generated": _permanent(
        "The model made no video of this request.", "Change the prompt or the seed and run again."
    ),
    "image_too_small": _permanent("The image is too small.", IMAGE),
    "image_too_large": _permanent("The image is too large.", IMAGE),
    "image_load_error": _permanent("fal could not read the image.", IMAGE),
    "image_aspect_ratio_error": _permanent("The image is too wide or too tall.", IMAGE),
    "file_download_error": _permanent(
        "fal could not download the image.",
        "Check that its URL opens without a login, and run again.",
    ),
    "file_too_large": _permanent("The file is too large.", IMAGE),
    "face_detection_error": _permanent("The model found no usable face.", IMAGE),
    "feature_not_supported": _permanent("The model does not offer what the row asks."),
    "greater_than": _permanent("A value is too small."),
    "greater_than_equal": _permanent("A value is too small."),
    "less_than": _permanent("A value is too large."),
    "less_than_equal": _permanent("A value is too large."),
    "multiple_of": _permanent("A value is not a multiple of what the model wants."),
    "sequence_too_short": _permanent("A text or a list is too short."),
    "sequence_too_long": _permanent("A text or a list is too long."),
    "one_of": _permanent("A value is not one of those the model knows."),
    "unsupported_image_format": _permanent("The image's format is not supported.", IMAGE),
    "unsupported_audio_format": _permanent("The audio's format is not supported."),
    "unsupported_video_format": _permanent("The video's format is not supported."),
    "audio_duration_too_long": _permanent("The audio is too long."),
    "audio_duration_too_short": _permanent("The audio is too short."),
    "video_duration_too_long": _permanent("The video is too long."),
    "video_duration_too_short": _permanent("The video is too short."),
    "invalid_archive": _permanent("The archive file cannot be read."),
    "archive_file_count_below_minimum": _permanent("The archive file holds too few files."),
    "archive_file_count_exceeds_maximum": _permanent("The archive file holds too many files."),
}

VALIDATION_ERRORS = {
    "missing": _permanent("A value that the model needs is missing."),
    "value_error.missing": _permanent("A value that the model needs is missing."),
    "value_error": _permanent("A value is not one that the model takes."),
    "int_parsing": _permanent("A value is not a whole number."),
    "literal_error": _permanent("A value is not one of those the model knows."),
}
"""The model's own check of its input (pydantic); it has many more, all of them fatal."""

REQUEST_ERRORS = {
    "request_timeout": _transient("The run took longer than fal allows.", 504),
    "startup_timeout": _transient("The runner did not start in time.", 504),
    "runner_scheduling_failure": _transient("fal found no runner.", 503),
    "runner_connection_timeout": _transient("The runner did not answer.", 503),
    "runner_disconnected": _transient("The runner went away.", 503),
    "runner_connection_refused": _transient("The runner refused the request.", 503),
    "runner_connection_error": _transient("The connection to the runner broke.", 503),
    "runner_incomplete_response": _transient("The runner's answer broke off.", 502),
    "runner_server_error": _transient("The runner failed.", 500),
    "internal_error": _transient("fal failed inside.", 500),
    "client_disconnected": _of(
        Family.CANCELLED, "The request was dropped before it was done.", AGAIN, 499
    ),
    "client_cancelled": _of(Family.CANCELLED, "The request was cancelled.", AGAIN, 499),
    "bad_request": _permanent("fal could not read the request.", ROW, 400),
}

GATEWAY_ERRORS = {
    "no_key": _of(Family.AUTH, "fal wants a key.", "Set FAL_KEY.", 401),
    "bad_key": _of(
        Family.AUTH,
        "fal does not know this key.",
        "Check FAL_KEY; a variable set in the shell hides one set elsewhere.",
        401,
    ),
    "malformed_key": _of(
        Family.AUTH, "The key is not of the form id:secret.", "Copy FAL_KEY again, whole.", 401
    ),
    "forbidden": _of(
        Family.AUTH,
        "The key may not do this.",
        "Use a key with the API scope, of an account that may use the model.",
        403,
    ),
    "balance_exhausted": _of(
        Family.LOCKED,
        "The account's balance is exhausted.",
        "Top up at fal.ai/dashboard/billing and run again: nothing is lost.",
        402,
        403,
    ),
    "account_locked": _of(
        Family.LOCKED,
        "fal has locked the account.",
        "Ask fal's support to unlock it and run again: nothing is lost.",
        403,
    ),
    "concurrent_requests_limit": _of(
        Family.THROTTLED, "The account runs as much as it may.", "It is sent again by itself.", 429
    ),
    "rate_limited": _of(Family.THROTTLED, "Too many requests.", "It is sent again by itself.", 429),
    "app_not_found": _permanent("fal knows no such model.", "Check the endpoint's id.", 404),
    "path_not_found": _permanent("The model has no such path.", "Check the endpoint's id.", 404),
    "request_not_found": _permanent("fal knows no such request.", "Run again.", 404),
    "ingress_error": _of(Family.FLAKE, "fal's gateway failed.", AGAIN, 502, 503, 504),
}

PLATFORM_ERRORS = {
    "authorization_error": _of(
        Family.AUTH, "The key may not do this.", "Use a key with the scope fal names.", 401, 403
    ),
    "validation_error": _permanent("fal could not read the question.", ROW, 400, 422),
    "not_found": _permanent("fal does not know it.", "Check the endpoint's id.", 404),
    "server_error": _transient("fal failed inside.", 500),
    "not_implemented": _permanent("fal does not offer this.", AGAIN, 501),
}

OWN_ERRORS = {
    "result_lost": _permanent(
        "fal no longer has the result of a request that it ran.",
        "`reelbatch retry` asks fal once more; if it is gone, it is made and paid anew.",
        *(404, 410),
    ),
    "start_timeout": _of(
        Family.START_TIMEOUT,
        "It did not start within our own deadline; fal bills nothing for it.",
        "Run again, or raise REELBATCH_START_TIMEOUT.",
        504,
    ),
    "no_output": _permanent(
        "fal called it done, and there is no video in the result.",
        "See the row's payload with `reelbatch show`; it may have been billed.",
        200,
    ),
}

OUR_OWN_ADVICE = {
    "source_lost": "Run with --fresh to make and pay it anew.",
    "image_changed": "Run again: the image as it is now is another request.",
    "upload_failed": AGAIN,
    "no_audio": AGAIN,
    "not_a_video": AGAIN,
    "truncated_video": AGAIN,
}
"""For failures that never came from fal's answers."""

ERROR_TYPES = (
    MODEL_ERRORS
    | VALIDATION_ERRORS
    | REQUEST_ERRORS
    | GATEWAY_ERRORS
    | PLATFORM_ERRORS
    | OWN_ERRORS
)


def advice_of(error_type: str) -> str:
    """What to do about a failure of this type; every type has an answer."""
    if known := ERROR_TYPES.get(error_type):
        return known.advice
    if advice := OUR_OWN_ADVICE.get(error_type):
        return advice
    if error_type.startswith("image_"):
        return IMAGE
    return AGAIN if re.fullmatch(r"http_5\d\d", error_type) else ROW
