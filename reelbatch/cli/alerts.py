"""`reelbatch alerts`: be told how runs end, by automations in your Prefect server."""

from __future__ import annotations

from typing import Annotated

import typer

Form = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="text|teams|json",
        help="What it takes: text (Slack, Mattermost, Google Chat), a Teams card, or JSON with "
        "subject and body.",
    ),
]
Test = Annotated[bool, typer.Option("--test", help="Send one message now, to see it arrive.")]
Remove = Annotated[bool, typer.Option("--remove", help="Take all of it away again.")]


def alerts(form: Form = "text", test: Test = False, remove: Remove = False) -> None:
    """Have a webhook told when a batch ends, fails, stops or dies, or nears its budget.

    The webhook's address is a secret: REELBATCH_ALERTS_URL, else standard input. It is kept in
    your Prefect server (PREFECT_API_URL). Twice changes nothing.
    """
    import asyncio
    import os

    from reelbatch.cli.alert_channel import read_channel
    from reelbatch.config import read_settings
    from reelbatch.errors import Refused

    if not os.environ.get("PREFECT_API_URL"):
        raise Refused(
            "PREFECT_API_URL is not set, and alerts want a Prefect server that outlives a run.",
            advice="Start one (`prefect server start`) and export PREFECT_API_URL; "
            "what `prefect config set` wrote is not read.",
        )
    channel = None if remove else read_channel(form, read_settings().alerts_url)
    from reelbatch.cli.automations import install, remove_all, send_test

    if channel is None:
        count = asyncio.run(remove_all())
        typer.echo(f"{count} automations removed, and the address with them.")
        return
    if test:
        asyncio.run(send_test(channel))
    done = asyncio.run(install(channel))
    typer.echo(f"Automations: {done.new} new, {done.changed} changed, {done.alike} as they were.")
