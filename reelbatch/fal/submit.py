"""The one POST that may cost money: sent once, and its outcome told without wishful thinking.

`fal_client.submit` sends again after a lost answer, up to ten times, and each may become
a paid job (fal.md, section 11); so this POST is our own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from reelbatch.errors import Transient
from reelbatch.fal.answers import Accepted, Ambiguous, NotSent, Rejected, Submission, SubmitOutcome
from reelbatch.fal.constants import APP_NAMESPACES
from reelbatch.fal.reply import Reply
from reelbatch.fal.wire import NotConnected, Wire
from reelbatch.jobs import RequestId

GIVEN_UP_SECONDS = 30.0
MAYBE_ACCEPTED = (408, 409)
"""The only 4xx after which a request may run all the same (fal.md, section 10)."""


async def submit(
    wire: Wire,
    endpoint_id: str,
    body: Mapping[str, Any],
    *,
    token: str,
    start_timeout_seconds: float,
    webhook_url: str | None = None,
) -> SubmitOutcome:
    """POST `body` to the endpoint's queue, exactly once."""
    url = submit_url(wire.queue_url, endpoint_id, webhook_url)
    headers = _headers(token, start_timeout_seconds)
    content = json.dumps(body, ensure_ascii=False).encode()
    try:
        reply = await wire.call(
            "POST", url, headers=headers, content=content, seconds=GIVEN_UP_SECONDS
        )
    except NotConnected as error:
        return NotSent(reason=error.message)
    except Transient as error:
        return Ambiguous(reason=error.message)
    return _outcome(wire, endpoint_id, without_token(reply, token))


def without_token(reply: Reply, token: str) -> Reply:
    """The answer without what we sent as tag and in the URL: an error may repeat either."""
    body = reply.body
    for mark in (b"=", b"/", b"%2F"):
        body = body.replace(mark + token.encode(), mark + b"[token]")
    return replace(reply, body=body)


def submit_url(queue_url: str, endpoint_id: str, webhook_url: str | None) -> str:
    url = f"{queue_url}/{quote(endpoint_id)}"
    return url if webhook_url is None else f"{url}?fal_webhook={quote(webhook_url, safe='')}"


def submission_of(queue_url: str, endpoint_id: str, request_id: str) -> Submission:
    """The URLs of a request by its id: owner and app only, never the model's path."""
    url = f"{queue_url}/{_app(endpoint_id)}/requests/{quote(request_id, safe='')}"
    return Submission(
        request_id=RequestId(request_id),
        status_url=f"{url}/status",
        response_url=url,
        cancel_url=f"{url}/cancel",
    )


def _app(endpoint_id: str) -> str:
    segments = endpoint_id.split("/")
    return quote("/".join(segments[: 3 if segments[0] in APP_NAMESPACES else 2]))


def _headers(token: str, start_timeout_seconds: float) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "X-Fal-Request-Start-Timeout": str(float(start_timeout_seconds)),
        "x-app-fal-disable-fallback": "true",
        "X-Fal-Tags": f"reelbatch={token}",
    }


def _outcome(wire: Wire, endpoint_id: str, reply: Reply) -> SubmitOutcome:
    if 200 <= reply.status < 300:
        return _accepted(wire, endpoint_id, reply)
    if 300 <= reply.status < 500 and reply.status not in MAYBE_ACCEPTED:
        return Rejected(failure=reply.failure(), retry_after=reply.retry_after)
    failure = reply.failure()
    return Ambiguous(reason=f"fal answered {reply.status}: {failure.message}", failure=failure)


def _accepted(wire: Wire, endpoint_id: str, reply: Reply) -> SubmitOutcome:
    try:
        content = reply.json()
    except ValueError as error:
        return Ambiguous(reason=f"fal answered {reply.status}, and its answer is unusable: {error}")
    request_id = content.get("request_id")
    if not isinstance(request_id, str) or not request_id:
        return Ambiguous(reason=f"fal answered {reply.status} without a request_id")
    return Accepted(submission=_submission(wire, endpoint_id, request_id, content))


def _submission(
    wire: Wire, endpoint_id: str, request_id: str, content: Mapping[str, Any]
) -> Submission:
    """fal's URLs where all of them lie on the configured queue host; the key goes there later."""
    names = ("status_url", "response_url", "cancel_url")
    urls: dict[str, Any] = {name: content.get(name) for name in names}
    if all(wire.credentials.is_queue_url(url) for url in urls.values()):
        return Submission(request_id=RequestId(request_id), **urls)
    return submission_of(wire.queue_url, endpoint_id, request_id)
