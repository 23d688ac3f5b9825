"""What people read: a plan, the totals of a run. On stderr when stdout is for JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

from reelbatch.fal.error_types import advice_of
from reelbatch.ledger.parking import Parked
from reelbatch.manifest.rows import Fault
from reelbatch.money import as_text
from reelbatch.run.plan import Plan
from reelbatch.run.prices import Prices
from reelbatch.run.progress import span
from reelbatch.run.stopping import ADVICE
from reelbatch.run.totals import SHOWN_FAILURES, Totals


def stream(as_json: bool) -> TextIO:
    return sys.stderr if as_json else sys.stdout


def print_json(document: dict[str, Any]) -> None:
    """One document on stdout, and nothing else there."""
    print(json.dumps(document, ensure_ascii=False), flush=True)


def say_faults(faults: Iterable[Fault], out: TextIO) -> None:
    """Every fault on a line of its own: where, what, what to do."""
    for fault in faults:
        mark = "warning: " if fault.severity == "warning" else ""
        print(f"{mark}{fault}", file=out)


def say_plan(plan: Plan, prices: Prices, out: TextIO) -> None:
    """What would be made, what it costs, how long it takes."""
    found = plan.comparison
    rows = len(plan.manifest.rows)
    print(
        f"{plan.manifest.file_name}: batch {plan.batch_name!r}, {_n(rows, 'sound row')}, "
        f"{_n(plan.jobs, 'video')}",
        file=out,
    )
    kept = len(found.kept) + len(found.back)
    print(
        f"  new {len(found.new)}, edited {len(found.edited)}, "
        f"withdrawn {len(found.withdrawn)}, kept {kept}, reused {found.reused}",
        file=out,
    )
    if found.reused:
        print(
            "  reused: the same request is made already or asked for twice; paid once, "
            "delivered to each",
            file=out,
        )
    count = len(plan.to_pay) + plan.waiting
    print(
        f"  to buy: {_n(count, 'video')}, ${as_text(plan.cost_usd(prices))} at {prices.describe()}",
        file=out,
    )
    if plan.settings.emulated:
        print("  a rehearsal on the emulator: nothing is paid", file=out)
    print(f"  time: {_hours(plan)}", file=out)


def _hours(plan: Plan) -> str:
    spans = [f"{span(hours * 3600)} at {_n(n, 'slot')}" for n, hours in plan.hours().items()]
    seen = " (as fal last gave this account)" if plan.slots_seen else ""
    return f"about {', '.join(spans)}{seen}"


def say_totals(totals: Totals, out: TextIO) -> None:
    """How the batch stands, the first failures, and how to go on."""
    counts = totals.counts
    for warning in totals.warnings:
        print(f"warning: {warning}", file=out)
    _say_failures(totals, out)
    print(
        f"{totals.batch}: {counts.archived} of {counts.jobs} archived in {totals.archive}", file=out
    )
    rest = {
        "reused": counts.reused,
        "failed": counts.failed,
        "in doubt": counts.in_doubt,
        "cancelled": counts.cancelled,
        "remaining": counts.remaining,
    }
    if any(rest.values()):
        print("  " + ", ".join(f"{n} {word}" for word, n in rest.items() if n), file=out)
    print(f"  {_money(totals)}", file=out)
    if totals.slots_seen:
        print(f"  fal last gave this account {_n(totals.slots_seen, 'slot')}", file=out)
    if counts.in_doubt:
        _say_doubts(totals, out)
    for cause in totals.unkept:
        print(f"  {cause.jobs} made, but not archived yet: {cause.message}", file=out)
    if totals.parked and not totals.by_run:
        _say_parked(totals.parked, out)
    if totals.stopped:
        detail = f" ({totals.stop_detail.rstrip('.')})" if totals.stop_detail else ""
        print(f"Stopped: {totals.stopped}{detail}. {ADVICE[totals.stopped]}", file=out)
    elif counts.remaining and totals.by_run:
        print(f"{counts.remaining} not finished: run again to carry on.", file=out)
    if totals.results_until and (totals.by_run or totals.stopped):
        _say_until(totals.at_fal, totals.results_until, out)


def _say_parked(parked: Parked, out: TextIO) -> None:
    """Why nothing is bought now, and when fal is asked again."""
    then = parked.until.astimezone()
    when = f"at {then:%H:%M}" if parked.until > datetime.now(UTC) else "by the next submission"
    detail = f" ({parked.detail.rstrip('.')})" if parked.detail else ""
    print(
        f"Parked: {parked.reason}{detail}, since {parked.since.astimezone():%Y-%m-%d %H:%M}; "
        f"fal is asked again {when}, and once by every run that starts.",
        file=out,
    )


def _say_until(count: int, until: datetime, out: TextIO) -> None:
    """How long what is paid and not archived is safe where it is."""
    then = until.astimezone()
    if until > datetime.now(UTC):
        words = f"which keeps their results until {then:%H:%M} at least: run again before then"
    else:
        words = f"which kept their results until {then:%Y-%m-%d %H:%M} at least: run again at once"
    print(f"  {count} still at fal, {words}", file=out)


def _money(totals: Totals) -> str:
    batch = f"${as_text(totals.counts.spent_usd)} for the batch"
    run = f"${as_text(totals.spent_usd)} spent since this run began, " if totals.by_run else ""
    return f"{run}{batch}{' (a rehearsal: nothing was paid)' if totals.rehearsal else ''}"


def _say_doubts(totals: Totals, out: TextIO) -> None:
    when = totals.doubts_until
    since = f"; from {when.astimezone():%Y-%m-%d %H:%M} on a run can settle them" if when else ""
    print(
        f"  up to ${as_text(totals.doubted_usd)} may have been paid for submissions without "
        f"an answer{since}",
        file=out,
    )


def _say_failures(totals: Totals, out: TextIO) -> None:
    for failed in totals.failures[:SHOWN_FAILURES]:
        take = f" take {failed.take}" if failed.take > 1 else ""
        print(
            f"{failed.file}:{failed.line}: {failed.row_id}{take}: {failed.error}: {failed.message}",
            file=out,
        )
    more = len(totals.failures) - SHOWN_FAILURES
    if more > 0:
        print(f"... and {more} more: reelbatch status {totals.batch} --json", file=out)
    for kind, n in totals.causes.items():
        print(f"{n} failed with {kind}. {advice_of(kind)}", file=out)
    if totals.causes:
        retry = f"`reelbatch retry {totals.batch}`"
        print(f"{retry} tries all of them again, --where error=TYPE some.", file=out)


def _n(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
