"""Forget what an emulator had in flight when it ended: it is gone with it, and cost nothing."""

from __future__ import annotations

from sqlalchemy import select

from reelbatch.jobs import State
from reelbatch.ledger import bills
from reelbatch.ledger.answers import move
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.posts import lock_post
from reelbatch.ledger.schema import jobs

IN_THE_AIR = {State.SUBMITTING, State.IN_DOUBT, State.SUBMITTED, State.COMPLETED}


def forget_in_flight(ledger: Ledger, account_id: str) -> int:
    """Put every job of a rehearsal's account back in line. Never for a fal that takes money."""
    with ledger.writing() as tx:
        at = now(tx)
        found = tx.execute(
            select(jobs).where(jobs.c.account_id == account_id, jobs.c.state.in_(IN_THE_AIR))
        )
        lost = found.mappings().all()
        for job in lost:
            if job["attempt_id"]:
                bills.release(tx, lock_post(tx, job["attempt_id"]))
            move(tx, job["id"], IN_THE_AIR, State.PENDING, at, reused_from=None)
        return len(lost)
