"""`reelbatch status`: rows by state, money, failures by cause."""

from __future__ import annotations

from typing import Annotated

import typer

from reelbatch.cli import options as o

Watch = Annotated[
    bool, typer.Option("--watch", help="Show it live until the batch is finished, or Ctrl-C.")
]
Every = Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How often --watch looks.")]


def status(
    batch: Annotated[str | None, typer.Argument(help="The batch's name; all without it.")] = None,
    ledger: o.LedgerUrl = None,
    watch: Watch = False,
    every: Every = 2.0,
    emulated: o.Rehearsed = False,
    json: o.AsJson = False,
) -> None:
    """Tell how a batch stands: rows by state, money, failures by cause. Reads only."""
    from reelbatch.cli.finding import batch_named, ledger_to_read
    from reelbatch.cli.saying import print_json, say_totals, stream
    from reelbatch.cli.watch import watch as watched
    from reelbatch.errors import Refused
    from reelbatch.ledger import batches
    from reelbatch.money import as_text
    from reelbatch.run.totals import totals_without_run

    opened = ledger_to_read(ledger, emulated=emulated)
    if watch and batch is None:
        raise Refused("--watch wants a batch.", advice="`reelbatch status` lists them.")
    if batch is not None:
        found = batch_named(opened, batch)
        if watch:
            watched(opened, found, every, stream(json))
            found = batch_named(opened, batch)
        totals = totals_without_run(opened, found)
        say_totals(totals, stream(json))
        if json:
            print_json(totals.as_json())
        raise typer.Exit(totals.exit_status)
    found_all = [totals_without_run(opened, one) for one in batches.all_batches(opened)]
    if json:
        print_json({"batches": [totals.as_json() for totals in found_all]})
        return
    if not found_all:
        typer.echo("No batch yet.")
    for totals in found_all:
        counts = totals.counts
        stopped = f"{totals.stopped}, " if totals.stopped else ""
        typer.echo(
            f"{totals.batch}: {stopped}{counts.archived} of {counts.jobs} archived, "
            f"{counts.failed} failed, {counts.in_doubt} in doubt, "
            f"{counts.remaining} remaining, ${as_text(counts.spent_usd)}"
        )
