"""`status --watch`: a live table at a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, TextIO

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.batches import Batch
from reelbatch.ledger.glance import Glance, glance
from reelbatch.money import as_text
from reelbatch.run.progress import span

if TYPE_CHECKING:
    from rich.table import Table

TO_DO = (State.PENDING, State.SUBMITTING, State.SUBMITTED, State.COMPLETED)
SHOWN_CAUSES = 8


def watch(ledger: Ledger, batch: Batch, every_seconds: float, out: TextIO) -> None:
    """Show it again and again, until the batch is finished or somebody says Ctrl-C."""
    screen, show = _screen(batch, out)
    try:
        with screen:
            while True:
                seen = glance(ledger, batch.id)
                show(seen)
                if not seen.count(*TO_DO):
                    return
                time.sleep(every_seconds)
    except KeyboardInterrupt:
        return


def _screen(
    batch: Batch, out: TextIO
) -> tuple[AbstractContextManager[object], Callable[[Glance], None]]:
    if not out.isatty():
        return nullcontext(), lambda seen: print(as_line(batch.name, seen), file=out, flush=True)
    from rich.console import Console
    from rich.live import Live

    live = Live(console=Console(file=out), auto_refresh=False)
    return live, lambda seen: live.update(as_table(batch.name, seen), refresh=True)


def as_table(name: str, seen: Glance) -> Table:
    """A dozen lines, however many rows there are."""
    from rich.table import Table

    table = Table(title=f"{name}: {progress(seen)}", show_header=False, title_justify="left")
    table.add_column(style="dim")
    table.add_column()
    for word, told in figures(seen).items():
        table.add_row(word, told)
    for cause, n in list(seen.causes.items())[:SHOWN_CAUSES]:
        table.add_row("failed", f"{n} with {cause}")
    return table


def as_line(name: str, seen: Glance) -> str:
    """The same on one line, for logs."""
    told = [f"{word} {value}" for word, value in figures(seen).items()]
    failed = [f"{n} failed with {cause}" for cause, n in list(seen.causes.items())[:SHOWN_CAUSES]]
    return "; ".join([f"{name}: {progress(seen)}", *told, *failed])


def progress(seen: Glance) -> str:
    jobs = sum(seen.states.values())
    marks = {"pause": ", paused", "cancel": ", cancelled"}
    return f"{seen.count(State.ARCHIVED)} of {jobs} archived{marks.get(seen.mark or '', '')}"


def figures(seen: Glance) -> dict[str, str]:
    """What is known, in words; what nobody can tell yet is left out."""
    told = {
        "waiting": str(seen.count(State.PENDING)),
        "in flight": str(seen.count(State.SUBMITTING, State.SUBMITTED)),
        "slots at fal": f"{seen.slots_seen}, as last seen" if seen.slots_seen else "",
        "window": f"{seen.window}, as ordered" if seen.window else "",
        "to archive": _if_any(seen.count(State.COMPLETED)),
        "in doubt": _if_any(seen.count(State.IN_DOUBT)),
        "cancelled": _if_any(seen.count(State.CANCELLED)),
        "rate": f"{seen.per_minute:.1f} a minute" if seen.per_minute else "",
        "left": _left(seen),
        "fal's run time": _run_times(seen.run_seconds),
        "money": f"${as_text(seen.spent_usd)} spent, ${as_text(seen.reserved_usd)} reserved",
        "fal": _parked(seen),
    }
    return {word: value for word, value in told.items() if value}


def _if_any(count: int) -> str:
    return str(count) if count else ""


def _left(seen: Glance) -> str:
    to_do = seen.count(*TO_DO)
    return span(60 * to_do / seen.per_minute) if seen.per_minute and to_do else ""


def _run_times(seconds: tuple[float, ...]) -> str:
    if not seconds:
        return ""
    return f"p50 {_share(seconds, 0.5):.1f} s, p95 {_share(seconds, 0.95):.1f} s"


def _share(ordered: tuple[float, ...], share: float) -> float:
    """The smallest one that this share of them does not exceed."""
    return ordered[ceil(share * len(ordered)) - 1]


def _parked(seen: Glance) -> str:
    if seen.parked_reason is None or seen.parked_until is None:
        return ""
    left = (seen.parked_until - datetime.now(UTC)).total_seconds()
    when = f"asked again in {span(left)}" if left > 0 else "being asked again"
    return f"{seen.parked_reason}; {when}"
