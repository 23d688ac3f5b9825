"""`reelbatch status`: rows by state, money, failures by cause."""

from __future__ import annotations

from typing import Annotated

import typer

from reelbatch.cli import options as o


def status(
    batch: Annotated[str | None, typer.Argument(help="The batch's name; all without it.")] = None,
    ledger: o.LedgerUrl = None,
    emulated: o.Rehearsed = False,
    json: o.AsJson = False,
) -> None:
    """Tell how a batch stands: rows by state, money, failures by cause. Reads only."""
    from reelbatch.cli.finding import batch_named, ledger_to_read
    from reelbatch.cli.saying import print_json, say_totals, stream
    from reelbatch.ledger import batches
    from reelbatch.money import as_text
    from reelbatch.run.totals import read_totals

    opened = ledger_to_read(ledger, emulated=emulated)
    if batch is not None:
        totals = read_totals(opened, batch_named(opened, batch))
        say_totals(totals, stream(json))
        if json:
            print_json(totals.as_json())
        raise typer.Exit(totals.exit_status)
    every = [read_totals(opened, one) for one in batches.all_batches(opened)]
    if json:
        print_json({"batches": [totals.as_json() for totals in every]})
        return
    if not every:
        typer.echo("No batch yet.")
    for totals in every:
        counts = totals.counts
        typer.echo(
            f"{totals.batch}: {counts.archived} of {counts.jobs} archived, "
            f"{counts.failed} failed, {counts.in_doubt} in doubt, "
            f"{counts.remaining} remaining, ${as_text(counts.spent_usd)}"
        )
