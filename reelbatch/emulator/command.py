"""`reelbatch emulator`: the options, and nothing heavy until it runs."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand


class WithFaults(TyperCommand):
    """Help that ends with every fault; they are read only when somebody asks."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from reelbatch.emulator.faults import registry

        for moment, faults in registry.by_moment().items():
            with formatter.section(f"Faults at {moment}"):
                formatter.write_dl([(fault.name, fault.line) for fault in faults])


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
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Show every fault with its parameters, and end.")
    ] = False,
    media: Annotated[
        str, typer.Option(help="'real' shows prompt and seed; 'tiny' costs no CPU, for benches.")
    ] = "real",
    media_bytes: Annotated[int, typer.Option(help="Pad each video to this many bytes.")] = 0,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve https, with a CA of our own (its path: ca_file).")
    ] = False,
    proxy: Annotated[
        bool, typer.Option("--proxy", help="With --tls: also a CONNECT proxy for fal's real names.")
    ] = False,
    watch_stdin: Annotated[
        bool, typer.Option("--watch-stdin", help="End when stdin ends, so with the parent.")
    ] = False,
) -> None:
    """A local fal with faults on demand: real endpoints, real videos, no money.

    When ready it prints one line of JSON: queue_url, rest_url, cdn_url, api_url, jwks_url, port,
    pid.

    Exit status: 0 when told to end (SIGTERM, Ctrl-C); 2 when an option or a plan cannot be used.
    """
    if list_faults:
        return show_faults()
    from reelbatch.emulator.faults.plan import Plan
    from reelbatch.emulator.server import Options, serve
    from reelbatch.emulator.settings import Settings

    try:
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
    except (OSError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    serve(
        Options(
            host=host,
            port=port,
            settings=settings,
            plan=plan,
            only_key=require_key,
            tls=tls or proxy,
            proxy=proxy,
            watch_stdin=watch_stdin,
        )
    )


def show_faults() -> None:
    """By the moment at which they strike."""
    import reelbatch.emulator.faults  # noqa: F401  (its import registers them)
    from reelbatch.emulator.faults.registry import by_moment

    for moment, faults in by_moment().items():
        typer.echo(f"{moment}:")
        for fault in faults:
            typer.echo(f"  {fault.shown()}")
    typer.echo(PLAN_HELP)


PLAN_HELP = """
A plan file (YAML) has a seed and rules; each rule names a fault, and when it strikes:
  seed: 7
  faults:
    - fault: accept_then_drop
      probability: 0.05            # of the occasions, drawn from the seed
    - fault: nginx_error
      nth: [3, 7]                  # the 3rd and 7th occasion of this rule
      with: {status: 503, accepted: true}
    - fault: status_missing
      first: 2                     # the first two occasions of each request body
    - fault: locked
      between: [10, 40]            # seconds after the rule was switched on
      times: 5                     # at most
    - fault: model_refusal
      prompt: forbidden            # only prompts that hold this word
      endpoint: fal-ai/ovi         # only this endpoint"""
