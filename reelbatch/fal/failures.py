"""fal's errors as data: one reading of every shape of bad answer (fal.md, section 5).

fal's own words are kept, cut at 2 KB; its `type` decides, never its sentence, except
where the gateway gives nothing but a sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from reelbatch.errors import Permanent
from reelbatch.fal.error_types import AGAIN, ERROR_TYPES, ROW, VALIDATION_ERRORS, Family
from reelbatch.urls import without_queries

WORDS_CAP = 2000
"""Characters kept of what fal said."""

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")

_SENTENCES = (
    (401, "is required", "no_key"),
    (401, "header format", "malformed_key"),
    (401, "", "bad_key"),
    (402, "", "balance_exhausted"),
    (403, "exhausted balance", "balance_exhausted"),
    (403, "top_up", "balance_exhausted"),
    (403, "is locked", "account_locked"),
    (403, "", "forbidden"),
    (404, "application ", "app_not_found"),
    (404, "path ", "path_not_found"),
    (404, "not_found", "request_not_found"),
    (429, "concurrent_requests_limit", "concurrent_requests_limit"),
    (429, "", "rate_limited"),
    (499, "", "client_cancelled"),
)
"""Code and words of the gateway's answers that carry no type of their own."""

_FAMILY_OF_CODE = {
    401: Family.AUTH,
    402: Family.LOCKED,
    403: Family.AUTH,
    408: Family.TRANSIENT,
    409: Family.TRANSIENT,
    429: Family.THROTTLED,
    499: Family.CANCELLED,
}

_HEADER_MAY_CHANGE = {Family.TRANSIENT, Family.PERMANENT}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why something did not work: fal's words, and ours on what to do."""

    error_type: str
    family: Family
    message: str
    http_status: int | None = None
    advice: str = ""
    raw: str = ""
    """fal's answer as it came, cut."""


class PermanentFailure(Permanent):
    """A Permanent that fal caused; its family says whether it is the key, the account or us."""

    def __init__(self, message: str, failure: Failure, *, error: str = "") -> None:
        super().__init__(message, advice=failure.advice, error=error or failure.error_type)
        self.failure = failure


def classify(status_code: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The one reading of a bad answer. Total: any bytes give a Failure."""
    lower = {name.lower(): value for name, value in headers.items()}
    text = body[: 4 * WORDS_CAP].decode("utf-8", "replace").strip()
    content = _json(body)
    error_type = _error_type(status_code, lower, content, text)
    return Failure(
        error_type=error_type,
        family=_family(error_type, status_code, lower),
        message=_message(error_type, status_code, content),
        http_status=status_code,
        advice=_advice(error_type, status_code),
        raw=text[:WORDS_CAP],
    )


def failure_of(error_type: str, *, words: str = "", http_status: int | None = None) -> Failure:
    """A failure we name ourselves, of a type in the table."""
    known = ERROR_TYPES[error_type]
    return Failure(
        error_type=error_type,
        family=known.family,
        message=words[:WORDS_CAP] or known.meaning,
        http_status=http_status,
        advice=known.advice,
        raw=words[:WORDS_CAP],
    )


def _error_type(status_code: int, headers: Mapping[str, str], content: Any, text: str) -> str:
    if status_code == 504 and "x-fal-request-timeout-type" in headers:
        return "start_timeout"
    words = text.lower()
    is_locked = status_code == 403 and "user is locked" in words
    if not is_locked and (named := _named_type(headers, content)):
        return named
    if _is_ingress(status_code, headers, content):
        return "ingress_error"
    for code, needle, error_type in _SENTENCES:
        if code == status_code and needle in words:
            return error_type
    return f"http_{status_code}"


def _named_type(headers: Mapping[str, str], content: Any) -> str | None:
    """The type that fal itself gives: in the header, the body, or the first known detail."""
    candidates = [headers.get("x-fal-error-type")]
    if isinstance(content, dict):
        candidates += [content.get("error_type"), _get(content.get("error"), "type")]
    details = [str(_get(detail, "type") or "") for detail in _details(content)]
    by_weight: list[str] = sorted(details, key=_tells_little)
    candidates += by_weight
    for kind in candidates:
        if isinstance(kind, str) and _TYPE.fullmatch(kind):
            return kind
    return None


def _tells_little(kind: str) -> bool:
    """An error of its own says more than a failed check of the input, or a type unheard of."""
    return kind in VALIDATION_ERRORS or kind not in ERROR_TYPES


def _is_ingress(status_code: int, headers: Mapping[str, str], content: Any) -> bool:
    """No JSON and no request id: nginx, not fal."""
    return status_code in (502, 503, 504) and content is None and "x-fal-request-id" not in headers


def _family(error_type: str, status_code: int, headers: Mapping[str, str]) -> Family:
    known = ERROR_TYPES.get(error_type)
    family = known.family if known else _family_of_code(status_code)
    retryable = headers.get("x-fal-retryable", "").strip().lower()
    if family in _HEADER_MAY_CHANGE and retryable in ("true", "false"):
        return Family.TRANSIENT if retryable == "true" else Family.PERMANENT
    return family


def _family_of_code(status_code: int) -> Family:
    """fal adds types as it likes; the code of an unknown one still says whose fault it is."""
    if known := _FAMILY_OF_CODE.get(status_code):
        return known
    return Family.TRANSIENT if status_code >= 500 else Family.PERMANENT


def _advice(error_type: str, status_code: int) -> str:
    known = ERROR_TYPES.get(error_type)
    if known:
        return known.advice
    return ROW if 400 <= status_code < 500 else AGAIN


def _message(error_type: str, status_code: int, content: Any) -> str:
    """fal may quote the image's URL, signature and all; this goes into records and reports."""
    words = without_queries(_words(content)) or _meaning(error_type, status_code)
    return words[:WORDS_CAP]


def _meaning(error_type: str, status_code: int) -> str:
    known = ERROR_TYPES.get(error_type)
    if known:
        return known.meaning
    try:
        return f"fal answered {status_code} {HTTPStatus(status_code).phrase}"
    except ValueError:
        return f"fal answered {status_code}"


def _words(content: Any) -> str:
    """What fal wrote for people, out of any of its shapes."""
    if not isinstance(content, dict):
        return ""
    detail = content.get("detail")
    if isinstance(detail, str):
        return detail
    if lines := [_line(entry) for entry in _details(content)]:
        return "; ".join(line for line in lines if line)
    for words in (_get(content.get("error"), "message"), content.get("error")):
        if isinstance(words, str):
            return words
    return ""


def _line(detail: Any) -> str:
    """`image_url: image is too small (min_height=512)`."""
    if not isinstance(detail, dict):
        return str(detail)[:WORDS_CAP]
    location = detail.get("loc")
    path = [str(part) for part in location if part != "body"] if isinstance(location, list) else []
    message = str(detail.get("msg") or detail.get("type") or "")
    context = detail.get("ctx")
    bounds = ", ".join(f"{k}={v}" for k, v in context.items()) if isinstance(context, dict) else ""
    return (f"{'.'.join(path)}: " if path else "") + message + (f" ({bounds})" if bounds else "")


def _details(content: Any) -> list[Any]:
    """The list of details; a lone detail object counts as a list of one."""
    detail = _get(content, "detail")
    if isinstance(detail, dict):
        return [detail]
    return detail if isinstance(detail, list) else []


def _get(content: Any, name: str) -> Any:
    return content.get(name) if isinstance(content, dict) else None


def _json(body: bytes) -> Any:
    """The body read as JSON; None for anything else, or for JSON nested past reason."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
