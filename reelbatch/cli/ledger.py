"""`reelbatch ledger upgrade`: for ledgers that several machines share."""

from __future__ import annotations

import typer

from reelbatch.cli.options import LedgerUrl
from reelbatch.cli.status_codes import LOOKING_EPILOG

ledger_commands = typer.Typer(help="Look after the record of what was paid.", no_args_is_help=True)


@ledger_commands.command(epilog=LOOKING_EPILOG)
def upgrade(ledger: LedgerUrl = None) -> None:
    """Bring a shared ledger to this release's schema. Do it while no run is live."""
    from reelbatch.config import read_settings
    from reelbatch.ledger import open_ledger

    opened = open_ledger(read_settings(ledger=ledger).ledger_url, upgrade=True)
    typer.echo(f"{opened.url} is up to date.")
    opened.close()


@ledger_commands.callback()
def about() -> None:
    """Look after the record of what was paid."""
