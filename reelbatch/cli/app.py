"""The commands and their order in `reelbatch --help`."""

from __future__ import annotations

from typing import Annotated

import typer

from reelbatch import __version__
from reelbatch.cli.alerts import alerts
from reelbatch.cli.cancel import cancel
from reelbatch.cli.doctor import doctor
from reelbatch.cli.init import init
from reelbatch.cli.ledger import ledger_commands
from reelbatch.cli.pause import pause
from reelbatch.cli.plan import plan
from reelbatch.cli.reconcile import reconcile
from reelbatch.cli.resume import resume
from reelbatch.cli.retry import retry
from reelbatch.cli.run import run
from reelbatch.cli.serve import serve
from reelbatch.cli.show import show
from reelbatch.cli.status import status
from reelbatch.cli.status_codes import (
    DOCTOR_EPILOG,
    EPILOG,
    LOOKING_EPILOG,
    RECONCILE_EPILOG,
)
from reelbatch.emulator.command import WithFaults, emulator

app = typer.Typer(
    name="reelbatch",
    help="A manifest goes in; every row becomes one paid submission and one archived video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (run, status, retry, cancel):
    app.command(epilog=EPILOG)(command)
for looking in (plan, show, pause, resume, init, alerts):
    app.command(epilog=LOOKING_EPILOG)(looking)
app.command(epilog=RECONCILE_EPILOG)(reconcile)
app.command()(serve)
app.command(epilog=DOCTOR_EPILOG)(doctor)
app.command(cls=WithFaults)(emulator)
app.add_typer(ledger_commands, name="ledger")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"reelbatch {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """A manifest goes in; every row becomes one paid submission and one archived video."""
