"""`reelbatch doctor`: what works here, and what to do about the rest."""

from __future__ import annotations

from typing import Annotated

import typer

from reelbatch.cli import options as o

Canary = Annotated[
    bool,
    typer.Option("--canary", help="Then make one real video (about $0.20) and note what fal does."),
]


def doctor(
    archive: o.Archive = None,
    ledger: o.LedgerUrl = None,
    canary: Canary = False,
    yes: o.Yes = False,
    json: o.AsJson = False,
) -> None:
    """Check key, price, archive, ledger, webhooks and Prefect: what works, what to do."""
    import asyncio
    import os

    from reelbatch.cli.examined import say_checks
    from reelbatch.cli.saying import print_json, stream
    from reelbatch.cli.status_codes import DONE, ERROR
    from reelbatch.config import read_settings
    from reelbatch.run.checkup.everything import check_up

    settings = read_settings(archive=archive, ledger=ledger)
    checks = asyncio.run(check_up(settings, os.environ))
    say_checks(checks, stream(json))
    if json:
        print_json({"checks": [check.as_json() for check in checks]})
    raise typer.Exit(ERROR if any(check.verdict == "bad" for check in checks) else DONE)
