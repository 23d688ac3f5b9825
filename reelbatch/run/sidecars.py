"""A job's sidecar, from what the ledger knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping

from reelbatch.archive import sidecar
from reelbatch.archive.contract import Stored
from reelbatch.archive.sidecar import MediaFacts, Sidecar
from reelbatch.ledger.batches import Batch


def sidecar_of(
    batch: Batch,
    account: str,
    job: Mapping[str, Any],
    attempts: Sequence[RowMapping],
    stored: Stored,
) -> Sidecar:
    """Everything that would be needed to rebuild the ledger's record of this video."""
    return Sidecar(
        batch=batch.name,
        row_id=job["row_id"],
        line=job["line"],
        take=job["take"],
        revision=job["revision"],
        job_id=job["id"],
        fingerprint=job["fingerprint"],
        labels=job["labels"],
        input=_input(job),
        provider=sidecar.Provider(
            account=account,
            queue_url=batch.queue_url,
            request_id=job["request_id"],
            endpoint=job["endpoint_id"],
        ),
        attempts=tuple(_attempt(attempt) for attempt in attempts),
        timing=_timing(job, attempts),
        cost=sidecar.Cost(usd=job["cost_usd"] or Decimal(0), basis=job["cost_basis"] or "priced"),
        output=sidecar.Output(uri=stored.uri, sha256=job["sha256"], bytes=job["bytes"]),
        media=MediaFacts.model_validate(job["media"]),
    )


def _input(job: Mapping[str, Any]) -> sidecar.Input:
    image = None
    if job["image_source"]:
        image = sidecar.Image(source=job["image_source"], sha256=job["image_sha256"] or "")
    return sidecar.Input(endpoint=job["endpoint_id"], arguments=job["arguments"], image=image)


def _attempt(attempt: RowMapping) -> sidecar.Attempt:
    return sidecar.Attempt(
        n=attempt["n"],
        submitted_at=attempt["answered_at"],
        outcome=attempt["outcome"] or "unknown",
        error=attempt["error_type"],
        request_id=attempt["request_id"],
    )


def _timing(job: Mapping[str, Any], attempts: Sequence[RowMapping]) -> sidecar.Timing:
    last = attempts[-1] if attempts else None
    return sidecar.Timing(
        submitted_at=last["answered_at"] if last else None,
        completed_at=job["completed_at"],
        archived_at=datetime.now(UTC),
        inference_seconds=last["inference_seconds"] if last else None,
    )
