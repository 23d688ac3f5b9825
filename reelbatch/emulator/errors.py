"""The errors fal knows, in their two shapes (fal.md, section 5)."""

from collections.abc import Mapping
from typing import Any

from reelbatch.emulator.wire import Answer

REQUEST_ERRORS = {
    "request_timeout": (504, "Request timed out"),
    "startup_timeout": (504, "Runner startup timed out"),
    "runner_scheduling_failure": (503, "No runner could be scheduled"),
    "runner_connection_timeout": (503, "Runner connection timed out"),
    "runner_disconnected": (503, "Runner disconnected"),
    "runner_connection_refused": (503, "Runner connection refused"),
    "runner_connection_error": (503, "Runner connection error"),
    "runner_incomplete_response": (502, "Runner sent an incomplete response"),
    "runner_server_error": (500, "Runner server error"),
    "internal_error": (500, "Internal error"),
    "client_disconnected": (499, "Client disconnected"),
    "client_cancelled": (499, "Request was cancelled"),
    "bad_request": (400, "Bad request"),
}

MODEL_ERRORS = {
    "internal_server_error": 500,
    "generation_timeout": 504,
    "downstream_service_error": 400,
    "downstream_service_unavailable": 500,
    "content_policy_violation": 422,
    "no_media_generated": 422,
    "image_too_small": 422,
    "image_too_large": 422,
    "image_load_error": 422,
    "file_download_error": 422,
    "file_too_large": 422,
    "face_detection_error": 422,
    "feature_not_supported": 422,
    "unsupported_image_format": 422,
    "image_aspect_ratio_error": 422,
}


def request_error(error_type: str, sentence: str | None = None) -> Answer:
    status, usual = REQUEST_ERRORS[error_type]
    return Answer(
        status=status,
        body={"detail": sentence or usual, "error_type": error_type},
        headers={"X-Fal-Error-Type": error_type},
    )


def missed_start() -> Answer:
    """The caller's own deadline for starting has passed: not billed, not run again."""
    late = request_error("request_timeout")
    headers = {**late.headers, "X-Fal-Request-Timeout-Type": "user"}
    return Answer(status=late.status, body=late.body, headers=headers)


def cancelled() -> Answer:
    return request_error("client_cancelled")


def model_error(
    error_type: str,
    sentence: str,
    *,
    loc: tuple[str | int, ...] = ("body", "prompt"),
    ctx: Mapping[str, Any] | None = None,
    given: Any = None,
    status: int | None = None,
) -> Answer:
    fault = {
        "loc": list(loc),
        "msg": sentence,
        "type": error_type,
        "url": f"https://docs.fal.ai/errors/#{error_type}",
        "ctx": dict(ctx) if ctx else None,
        "input": given,
    }
    headers = {"X-Fal-Retryable": "false"}
    return Answer(
        status=status or MODEL_ERRORS.get(error_type, 422),
        body={"detail": [fault]},
        headers=headers,
    )


def invalid(faults: list[dict[str, Any]]) -> Answer:
    """Pydantic's own list; never billed."""
    return Answer(status=422, body={"detail": faults}, headers={"x-fal-billable-units": "0"})
