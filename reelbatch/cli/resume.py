"""`reelbatch resume`: go on submitting."""

from __future__ import annotations

import typer

from reelbatch.cli import options as o


def resume(
    batch: o.BatchArgument,
    max_in_flight: o.OrderedWindow = None,
    ledger: o.LedgerUrl = None,
    emulated: o.RehearsedBatch = False,
) -> None:
    """Go on submitting; --max-in-flight changes live runs, too, at their next submission.

    That window holds for every run of the account, until `auto` or a run's own --max-in-flight.
    """
    from reelbatch.cli.ordering import order

    found = order(batch, None, max_in_flight, ledger, emulated=emulated)
    typer.echo(f"{batch} goes on. If no run of it is live, run it again: {found.place}")
