"""Which failed takes a `retry` is for: chosen like rows, and by what they failed with."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping

from reelbatch.jobs import BatchId, JobId
from reelbatch.ledger import Ledger, retrying
from reelbatch.manifest.select import Cells, chosen, parse_where


def failed_takes(ledger: Ledger, batch_id: BatchId, where: Sequence[str]) -> list[JobId]:
    """In the manifest's order. Raises Refused for what is no condition, or an unknown column."""
    wheres = [parse_where(text) for text in where]
    failed = retrying.failed_jobs(ledger, batch_id)
    return [JobId(job["id"]) for job in chosen(failed, wheres, _cells_of)]


def _cells_of(job: RowMapping) -> Cells:
    """The columns of its row, of the take, and of its failure. Its seed is the take's own."""
    return {
        **{name: str(value) for name, value in job["arguments"].items()},
        **job["labels"],
        "id": job["row_id"],
        "take": str(job["take"]),
        "endpoint": job["endpoint_id"],
        "image": job["image_source"] or "",
        "line": str(job["line"]),
        "file": job["file"],
        "error": job["error_type"] or "error",
    }
