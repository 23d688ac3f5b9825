"""`reelbatch plan`: what a run would do. Spends nothing, writes nothing."""

from __future__ import annotations

import typer

from reelbatch.cli import options as o
from reelbatch.cli.status_codes import REFUSED


def plan(
    manifest: o.Manifest,
    archive: o.Archive = None,
    ledger: o.LedgerUrl = None,
    batch: o.BatchName = None,
    where: o.Where = None,
    budget: o.Budget = None,
    price: o.Price = None,
    fresh: o.Fresh = False,
    skip_invalid: o.SkipInvalid = False,
    strict: o.Strict = False,
    no_fetch: o.NoFetch = False,
    json: o.AsJson = False,
) -> None:
    """Validate every row, compare, price, and say how long; spend nothing, write nothing."""
    from reelbatch.cli.asking import request_of
    from reelbatch.cli.looking import look_around
    from reelbatch.cli.saying import print_json, say_faults, say_plan, stream
    from reelbatch.config import read_settings
    from reelbatch.ledger import open_ledger_to_read
    from reelbatch.run.plan import as_json, make_plan

    request = request_of(
        manifest=manifest,
        archive=archive,
        batch=batch,
        where=where or [],
        budget_usd=budget,
        price_usd=price,
        fresh=fresh,
        skip_invalid=skip_invalid,
        strict=strict,
        no_fetch=no_fetch,
    )
    settings = read_settings(ledger=ledger, **request.settings_flags())
    made = make_plan(request, settings, open_ledger_to_read(settings.ledger_url))
    prices, notes = look_around(made.settings)
    out = stream(json)
    say_faults(made.faults, out)
    say_plan(made, prices, out)
    for note in notes:
        print(f"  not checked: {note}", file=out)
    if json:
        print_json(as_json(made, prices))
    if made.errors and not (skip_invalid and made.manifest.rows):
        raise typer.Exit(REFUSED)
