"""`reelbatch serve`: the webhook receiver."""

from __future__ import annotations

from typing import Annotated

import typer

from reelbatch.cli import options as o

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="8700")]
Ready = Annotated[bool, typer.Option("--json", help="Say where it listens as one JSON line.")]


def serve(
    ledger: o.LedgerUrl = None, host: Host = None, port: Port = None, json: Ready = False
) -> None:
    """Receive fal's webhooks until Ctrl-C or SIGTERM; several may share one Postgres ledger."""
    from reelbatch.config import read_settings
    from reelbatch.ledger import open_ledger
    from reelbatch.logs import open_log
    from reelbatch.service.server import serve_webhooks

    settings = read_settings(ledger=ledger, webhook_host=host, webhook_port=port)
    open_log(settings.log_level, everybody=True)
    opened = open_ledger(settings.ledger_url)
    try:
        serve_webhooks(settings, opened, as_json=json)
    finally:
        opened.close()
