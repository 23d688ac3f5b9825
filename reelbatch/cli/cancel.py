"""`reelbatch cancel`: stop submitting, cancel at fal what is still queued."""

from __future__ import annotations

import typer

from reelbatch.cli import options as o


def cancel(
    batch: o.BatchArgument,
    ledger: o.LedgerUrl = None,
    emulated: o.RehearsedBatch = False,
    json: o.AsJson = False,
) -> None:
    """Stop submitting, in every run of the batch, and cancel at fal what still waits there.

    What runs at fal already is paid, and a live run or the next one archives it. The next
    `reelbatch run` makes the rest.
    """
    from reelbatch.cli.ordering import call_off
    from reelbatch.cli.saying import print_json, say_totals, stream

    totals = call_off(batch, ledger, emulated=emulated)
    say_totals(totals, stream(json))
    if json:
        print_json(totals.as_json())
    raise typer.Exit(totals.exit_status)
