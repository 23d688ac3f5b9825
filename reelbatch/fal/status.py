"""Where a request stands. A status read never fails a job: whatever it cannot read is Transient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reelbatch.errors import Transient
from reelbatch.fal.answers import Completed, Gone, Queued, Running, Status, Submission
from reelbatch.fal.reply import Reply
from reelbatch.fal.wire import Wire

GONE = (404, 410)


async def read_status(wire: Wire, submission: Submission, *, logs: bool = False) -> Status:
    """One cheap call. Raises Transient for anything but a status, or 404 and 410."""
    reply = await wire.call("GET", f"{submission.status_url}?logs={int(logs)}")
    return status_in(reply)


def status_in(reply: Reply) -> Status:
    if reply.status in GONE:
        return Gone(status_code=reply.status)
    if not reply.ok:
        raise reply.transient("a status")
    try:
        return status_of(reply.json())
    except ValueError as error:
        raise Transient(f"fal's status cannot be read: {error}") from error


def status_of(content: Mapping[str, Any]) -> Status:
    """fal's status object as one of ours. Raises ValueError for a word fal does not document."""
    match content.get("status"):
        case "IN_QUEUE":
            return Queued(position=_whole(content.get("queue_position")))
        case "IN_PROGRESS":
            return Running(logs=_logs(content))
        case "COMPLETED":
            return _completed(content)
        case other:
            raise ValueError(f"{str(other)[:40]!r} is not a status we know")


def _completed(content: Mapping[str, Any]) -> Completed:
    metrics = content.get("metrics")
    seconds = metrics.get("inference_time") if isinstance(metrics, dict) else None
    return Completed(
        error=_text(content.get("error")),
        error_type=_text(content.get("error_type")),
        inference_seconds=float(seconds) if isinstance(seconds, int | float) else None,
        logs=_logs(content),
    )


def _logs(content: Mapping[str, Any]) -> tuple[str, ...]:
    entries = content.get("logs")
    if not isinstance(entries, list):
        return ()
    return tuple(str(entry.get("message", "")) for entry in entries if isinstance(entry, dict))


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: Any) -> str | None:
    return str(value)[:2000] if value else None
