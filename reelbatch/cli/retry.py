"""`reelbatch retry`: failed rows again, and only those."""

from __future__ import annotations

import typer

from reelbatch.cli import options as o


def retry(
    batch: o.BatchArgument,
    archive: o.MovedArchive = None,
    ledger: o.LedgerUrl = None,
    where: o.Where = None,
    budget: o.Budget = None,
    budget_per_day: o.BudgetPerDay = None,
    max_in_flight: o.MaxInFlight = None,
    collect: o.Collect = None,
    submit_rate: o.SubmitRate = None,
    price: o.Price = None,
    in_doubt: o.InDoubtOfRetry = "auto",
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
        archive=archive,
        where=where or [],
        budget_usd=budget,
        budget_per_day_usd=budget_per_day,
        max_in_flight=max_in_flight,
        collect=collect,
        submit_rate=submit_rate,
        price_usd=price,
        in_doubt=in_doubt,
        keep_going=keep_going,
    )
    totals = retry_batch(request, {"ledger": ledger}, emulated=emulated, yes=yes, as_json=json)
    raise typer.Exit(totals.exit_status)
