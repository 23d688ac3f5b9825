"""`reelbatch retry`: failed rows again, and only those."""

from __future__ import annotations

import typer

from reelbatch.cli import options as o


def retry(
    batch: o.BatchArgument,
    ledger: o.LedgerUrl = None,
    where: o.Where = None,
    budget: o.Budget = None,
    price: o.Price = None,
    max_in_flight: o.MaxInFlight = None,
    collect: o.Collect = None,
    keep_going: o.KeepGoing = False,
    emulated: o.Emulated = False,
    yes: o.Yes = False,
    json: o.AsJson = False,
) -> None:
    """Try failed rows again, and only those: --where error=TYPE, or any column."""
    from reelbatch.cli.again import retry_batch
    from reelbatch.cli.asking import request_of

    request = request_of(
        batch=batch,
        budget_usd=budget,
        price_usd=price,
        max_in_flight=max_in_flight,
        collect=collect,
        keep_going=keep_going,
        where=where or [],
    )
    totals = retry_batch(request, {"ledger": ledger}, emulated=emulated, yes=yes, as_json=json)
    raise typer.Exit(totals.exit_status)
