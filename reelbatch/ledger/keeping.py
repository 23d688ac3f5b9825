"""A video's way into the archive: hash, size and key are committed before the one put.

After a crash a look at the archive is enough; the video is not downloaded twice for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping

from reelbatch.jobs import State
from reelbatch.ledger.answers import Why, move
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.reading import attempts_in
from reelbatch.ledger.schema import jobs
from reelbatch.ledger.writing import job_in


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What goes into the archive, checked."""

    key: str
    sha256: str
    bytes: int
    media: Mapping[str, Any]


def about_to_keep(ledger: Ledger, job_id: str, kept: Kept) -> list[RowMapping]:
    """Written down before the put; returns the job's attempts, of which the sidecar tells."""
    values = {**vars(kept), "media": dict(kept.media)}
    with ledger.writing() as tx:
        tx.execute(job_in(_COMPLETED), {"this_id": job_id, **values})
        return attempts_in(tx, job_id)


_COMPLETED = frozenset({State.COMPLETED})


def kept(ledger: Ledger, job_id: str, key: str) -> bool:
    """Video and sidecar are in the archive. False when somebody else said so first."""
    with ledger.writing() as tx:
        at = now(tx)
        return move(
            tx,
            job_id,
            {State.COMPLETED},
            State.ARCHIVED,
            at,
            key=key,
            archived_at=at,
            error_type=None,
            error_message=None,
        )


def source_lost(ledger: Ledger, job_id: str, why: Why) -> None:
    """The bytes a job should have been copied from are gone; it is never silently paid."""
    with ledger.writing() as tx:
        lost = move(
            tx, job_id, {State.COMPLETED}, State.FAILED, now(tx),
            error_type=why.error_type, error_message=why.message,
            cost_basis=None, reused_from=None,
        )  # fmt: skip
        if lost:
            for_nothing = jobs.c.id == job_id, jobs.c.cost_usd == Decimal(0)
            tx.execute(jobs.update().where(*for_nothing).values(cost_usd=None))
