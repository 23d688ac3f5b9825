"""`reelbatch pause`: stop submitting, while runs are live."""

from __future__ import annotations

import typer

from reelbatch.cli import options as o


def pause(
    batch: o.BatchArgument,
    max_in_flight: o.OrderedWindow = None,
    ledger: o.LedgerUrl = None,
    emulated: o.RehearsedBatch = False,
) -> None:
    """Submit nothing more, in every run of the batch; what is in flight is still archived.

    A live run waits for `reelbatch resume` as long as something is in flight, then ends with 4.
    """
    from reelbatch.cli.ordering import order

    found = order(batch, "pause", max_in_flight, ledger, emulated=emulated)
    typer.echo(
        f"{batch} is paused: nothing new is submitted. {found.in_flight} in flight; "
        f"a live run still archives what it has at fal. `reelbatch resume {batch}` goes on."
    )
