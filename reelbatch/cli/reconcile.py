"""`reelbatch reconcile`: what fal says it ran and billed, against what we hold."""

from __future__ import annotations

from typing import Annotated

import typer

from reelbatch.cli import options as o

Adopt = Annotated[
    bool, typer.Option("--adopt", help="Bring strays home: the next run collects them.")
]


def reconcile(
    batch: o.BatchArgument,
    ledger: o.LedgerUrl = None,
    adopt: Adopt = False,
    json: o.AsJson = False,
) -> None:
    """Compare fal's list and bill with the ledger: nothing may be left over."""
    from reelbatch.cli.comparing import compare, say_reconciled
    from reelbatch.cli.saying import print_json, stream
    from reelbatch.cli.status_codes import DONE, PARTLY

    found = compare(batch, ledger, adopt=adopt)
    say_reconciled(found, stream(json))
    if json:
        print_json(found.as_json())
    raise typer.Exit(PARTLY if found.left_over else DONE)
