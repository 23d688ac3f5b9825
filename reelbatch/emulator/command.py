"""`reelbatch emulator`: the options, and nothing heavy until it runs."""

from pathlib import Path
from typing import Annotated

import typer


def emulator(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 0,
    concurrency: Annotated[
        int, typer.Option(help="Requests that may run at once, as fal limits an account.")
    ] = 2,
    service_seconds: Annotated[float, typer.Option(help="How long one video takes.")] = 1.0,
    faults: Annotated[
        Path | None, typer.Option(help="Plan (YAML) of what goes wrong, and when.")
    ] = None,
    history_lag_seconds: Annotated[
        float, typer.Option(help="How late the request list shows a started request.")
    ] = 0.0,
    drop_private_webhooks: Annotated[
        bool,
        typer.Option("--drop-private-webhooks", help="Drop webhooks to loopback, as fal does."),
    ] = False,
    require_key: Annotated[
        str | None, typer.Option(help="The only FAL_KEY that is let in; default any id:secret.")
    ] = None,
    media: Annotated[
        str, typer.Option(help="'real' shows prompt and seed; 'tiny' costs no CPU, for benches.")
    ] = "real",
    media_bytes: Annotated[int, typer.Option(help="Pad each video to this many bytes.")] = 0,
    watch_stdin: Annotated[
        bool, typer.Option("--watch-stdin", help="End when stdin ends, so with the parent.")
    ] = False,
) -> None:
    """A local fal with faults on demand: real endpoints, real videos, no money."""
    from reelbatch.emulator.faults.plan import Plan
    from reelbatch.emulator.server import Options, serve
    from reelbatch.emulator.settings import Settings

    settings = Settings()
    settings.change(
        concurrency=concurrency,
        service_seconds=service_seconds,
        history_lag_seconds=history_lag_seconds,
        drop_private_webhooks=drop_private_webhooks,
        media=media,
        media_bytes=media_bytes,
    )
    plan = Plan.load(faults) if faults else Plan()
    serve(
        Options(
            host=host,
            port=port,
            settings=settings,
            plan=plan,
            only_key=require_key,
            watch_stdin=watch_stdin,
        )
    )
