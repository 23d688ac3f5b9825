"""`reelbatch doctor`: what works here, and what to do about the rest."""

from __future__ import annotations

from typing import Annotated, Any

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
    import os

    from reelbatch.cli.canary import send_canary
    from reelbatch.cli.examined import examine, say_checks
    from reelbatch.cli.saying import print_json, stream
    from reelbatch.cli.status_codes import DONE, ERROR
    from reelbatch.config import read_settings

    settings = read_settings(archive=archive, ledger=ledger)
    checks = examine(settings, os.environ, canary=canary)
    say_checks(checks, stream(json))
    document: dict[str, Any] = {"checks": [check.as_json() for check in checks]}
    is_well = all(check.verdict != "bad" for check in checks)
    if canary and is_well:
        document["canary"] = send_canary(settings, stream(json), yes=yes)
    if json:
        print_json(document)
    raise typer.Exit(DONE if is_well else ERROR)
