"""A row's takes as the ledger tells them, attempt by attempt."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping

from reelbatch.fal.error_types import advice_of
from reelbatch.jobs import State
from reelbatch.ledger import Ledger, reading
from reelbatch.ledger.batches import Batch
from reelbatch.money import as_text
from reelbatch.urls import without_query


def stories_of(ledger: Ledger, batch: Batch, row_id: str) -> list[dict[str, Any]]:
    """One document a take and revision, oldest revision first."""
    return [
        _story(reading.job(ledger, job_id), reading.attempts_of(ledger, job_id), batch)
        for job_id in reading.takes_of(ledger, batch.id, row_id)
    ]


def _story(job: RowMapping, attempts: list[RowMapping], batch: Batch) -> dict[str, Any]:
    image = job["image_source"]
    return {
        "take": job["take"],
        "revision": job["revision"],
        "state": job["state"],
        "withdrawn": job["withdrawn"],
        "file": job["file"],
        "line": job["line"],
        "endpoint": job["endpoint_id"],
        "arguments": job["arguments"],
        "image": without_query(image) if image else None,
        "labels": job["labels"],
        "error": job["error_type"],
        "message": job["error_message"],
        "advice": advice_of(job["error_type"]) if job["state"] == State.FAILED else None,
        "cost_usd": as_text(job["cost_usd"]) if job["cost_usd"] is not None else None,
        "cost_basis": job["cost_basis"],
        "video": f"{batch.archive.rstrip('/')}/{job['key']}" if job["archived_at"] else None,
        "sha256": job["sha256"],
        "attempts": [_attempt(attempt) for attempt in attempts],
    }


def _attempt(attempt: RowMapping) -> dict[str, Any]:
    times = ("claimed_at", "answered_at", "completed_at")
    return {
        "n": attempt["n"],
        "outcome": attempt["outcome"],
        "request_id": attempt["request_id"],
        **{name: attempt[name].isoformat() if attempt[name] else None for name in times},
        "inference_seconds": attempt["inference_seconds"],
        "error": attempt["error_type"],
        "message": attempt["error_message"],
        "cost_usd": as_text(attempt["cost_usd"]) if attempt["cost_usd"] is not None else None,
    }


def say_story(story: dict[str, Any]) -> None:
    """For people: the take, then a line for each attempt."""
    withdrawn = ", withdrawn" if story["withdrawn"] else ""
    print(
        f"take {story['take']}, revision {story['revision']}: {story['state']}{withdrawn} "
        f"({story['file']}:{story['line']}, {story['endpoint']})"
    )
    for name in ("image", "video", "sha256"):
        if story[name]:
            print(f"  {name}: {story[name]}")
    if story["cost_usd"] is not None:
        print(f"  cost: ${story['cost_usd']} ({story['cost_basis']})")
    if story["error"]:
        print(f"  {story['error']}: {story['message']}")
    if story["advice"]:
        print(f"  what to do: {story['advice']}")
    for attempt in story["attempts"]:
        words = f": {attempt['error']}: {attempt['message']}" if attempt["error"] else ""
        outcome = attempt["outcome"] or "no answer yet"
        request = f" {attempt['request_id']}" if attempt["request_id"] else ""
        print(f"  attempt {attempt['n']} at {attempt['claimed_at']}: {outcome}{request}{words}")
    for name, value in story["arguments"].items():
        print(f"  {name}: {value}")
