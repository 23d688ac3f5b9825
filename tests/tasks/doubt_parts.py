"""What both chapters on doubts need: lost answers, runs to their end, deadlines that pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.schema import accounts, attempts
from tasks.doubts import settled_doubts
from tests.parts.emulator import Emulator
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
TOM = "tom,A cat,1"
FELIX = "felix,Another cat,2"
NOTHING = Decimal(0)

IN_DOUBT, ARCHIVED, PENDING = State.IN_DOUBT, State.ARCHIVED, State.PENDING


def wait_briefly(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks: a run waits a fifth of a second for its doubts, and looks some times."""
    studio.settings["in_doubt_grace"] = 0.2
    monkeypatch.setattr("tasks.doubts.FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("tasks.doubts.LONGEST_PAUSE_SECONDS", 0.05)


async def run_to_its_end(studio: Studio, **wishes: Any) -> dict[str, State]:
    """As the flow does it: produce, and again whenever a doubt was settled."""
    async with studio.open(**wishes) as run:
        await studio.produce(run)
        async for _ in settled_doubts(run):
            await studio.produce(run)
    return studio.states()


def as_if_later(ledger: Ledger, by: timedelta) -> None:
    """Everything that was submitted, and every deadline, was so much earlier."""
    with ledger.writing() as tx:
        for attempt in tx.execute(attempts.select()).mappings().all():
            moved = {name: attempt[name] - by for name in ("claimed_at", "deadline_at")}
            tx.execute(attempts.update().where(attempts.c.id == attempt["id"]).values(moved))


def past_its_deadline(studio: Studio, row_id: str = "tom") -> None:
    """Only its deadline is moved: the list still speaks of the same minutes."""
    studio.change_attempt(row_id, deadline_at=datetime.now(UTC) - timedelta(minutes=5))


def reserved(studio: Studio) -> Decimal:
    with studio.ledger.reading() as tx:
        return Decimal(tx.execute(accounts.select()).mappings().one()["reserved_usd"])


async def lose_tom(studio: Studio, fal: Emulator, fault: str = "drop_before_accept") -> None:
    """felix is made; nobody knows whether tom has arrived."""
    fal.break_(fault, prompt="A cat")
    studio.write(HEADER, TOM, FELIX)
    assert await studio.make() == {"tom": IN_DOUBT, "felix": ARCHIVED}
