"""What a glance looks like in words."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import Any

from rich.console import Console

from reelbatch.cli.watch import as_line, as_table
from reelbatch.jobs import State
from reelbatch.ledger.glance import Glance

STATES = {State.ARCHIVED: 60_000, State.PENDING: 39_900, State.SUBMITTED: 80, State.FAILED: 20}


def seen(**changes: Any) -> Glance:
    told: dict[str, Any] = {
        "states": STATES,
        "mark": None,
        "window": None,
        "slots_seen": None,
        "parked_reason": None,
        "parked_until": None,
        "spent_usd": Decimal("12000"),
        "reserved_usd": Decimal("16"),
        "per_minute": 39.98,
        "run_seconds": tuple(float(n) for n in range(1, 101)),
        "causes": {"content_policy_violation": 20},
    }
    return Glance(**told | changes)


def test_a_line_tells_all_of_it() -> None:
    assert as_line("cats", seen(slots_seen=40)) == (
        "cats: 60000 of 100000 archived; waiting 39900; in flight 80; "
        "slots at fal 40, as last seen; rate 40.0 a minute; left 16.7 h; "
        "fal's run time p50 50.0 s, p95 95.0 s; "
        "money $12000.00 spent, $16.00 reserved; 20 failed with content_policy_violation"
    )


def test_what_nobody_can_tell_yet_is_left_out() -> None:
    early = seen(states={State.PENDING: 3}, per_minute=None, run_seconds=(), causes={})
    assert as_line("cats", early) == (
        "cats: 0 of 3 archived; waiting 3; in flight 0; money $12000.00 spent, $16.00 reserved"
    )


def test_the_slowest_of_a_few_is_the_p95() -> None:
    assert "p50 2.0 s, p95 9.0 s" in as_line("cats", seen(run_seconds=(1.0, 2.0, 9.0)))


def test_orders_and_doubts_are_told() -> None:
    ordered = seen(states={State.IN_DOUBT: 2, State.CANCELLED: 3}, mark="cancel", window=5)
    line = as_line("cats", ordered)
    assert "0 of 5 archived, cancelled; " in line
    assert "window 5, as ordered; in doubt 2; cancelled 3" in line


def test_the_table_is_a_dozen_lines_however_many_causes_there_are() -> None:
    causes = {f"cause_{n}": 1 for n in range(50)}
    drawn = StringIO()
    Console(file=drawn, width=80).print(as_table("cats", seen(causes=causes)))
    assert "60000 of 100000 archived" in drawn.getvalue()
    assert len(drawn.getvalue().splitlines()) < 20
