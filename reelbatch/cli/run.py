"""`reelbatch run`: plan, ask, generate, archive. Run it again and it carries on."""

from __future__ import annotations

import typer

from reelbatch.cli import options as o


def run(
    manifest: o.Manifest,
    archive: o.Archive = None,
    ledger: o.LedgerUrl = None,
    batch: o.BatchName = None,
    where: o.Where = None,
    budget: o.Budget = None,
    budget_per_day: o.BudgetPerDay = None,
    max_in_flight: o.MaxInFlight = None,
    collect: o.Collect = None,
    submit_rate: o.SubmitRate = None,
    price: o.Price = None,
    in_doubt: o.InDoubt = "auto",
    fresh: o.Fresh = False,
    skip_invalid: o.SkipInvalid = False,
    strict: o.Strict = False,
    no_fetch: o.NoFetch = False,
    keep_going: o.KeepGoing = False,
    emulated: o.Emulated = False,
    yes: o.Yes = False,
    json: o.AsJson = False,
) -> None:
    """Plan, ask, generate, archive. Run it again and it carries on; nothing is paid twice."""
    from reelbatch.cli.asking import request_of
    from reelbatch.cli.session import session

    request = request_of(
        manifest=manifest,
        archive=archive,
        batch=batch,
        where=where or [],
        budget_usd=budget,
        budget_per_day_usd=budget_per_day,
        max_in_flight=max_in_flight,
        collect=collect,
        submit_rate=submit_rate,
        price_usd=price,
        in_doubt=in_doubt,
        fresh=fresh,
        skip_invalid=skip_invalid,
        strict=strict,
        no_fetch=no_fetch,
        keep_going=keep_going,
    )
    if emulated:
        request = request.model_copy(update={"archive": None})
    with session(request, {"ledger": ledger}, emulated=emulated) as at_hand:
        from reelbatch.cli.making import make  # A second, while Prefect's server starts.

        totals = make(request, at_hand, yes=yes or emulated, as_json=json)
    raise typer.Exit(totals.exit_status)
