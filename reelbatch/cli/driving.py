"""Drive the flow from the command line: progress while it runs, a clean Ctrl-C, the totals.

Exit status and report come from the ledger: Prefect may die, or be slow to end, without
changing either.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from reelbatch.cli.prefect_server import LocalPrefect
from reelbatch.errors import ReelbatchError, Refused
from reelbatch.logs import say
from reelbatch.run.handover import HANDOVER, Handover
from reelbatch.run.request import GenerateRequest
from reelbatch.run.totals import Totals

PREFECT_ENDS_WITHIN = 20.0
STOPPING = (
    "Stopping: no new submissions; what is on its way is written down. Once more to leave at once."
)
COMES_LATER = (
    "fastapi.encoders",  # when a flow begins
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "pyarrow.json",  # for the archive's index
    "pyarrow.parquet",
)
"""Imported by Prefect, and by us, only within the functions that use it."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger("reelbatch.run")


def drive(request: GenerateRequest, handover: Handover, server: LocalPrefect) -> Totals:
    """Run the flow `generate` in this process. Raises what refused or broke it."""
    with _collecting_nothing():
        generate = our_flow()  # The server starts meanwhile: this takes more than a second, too.
        import_what_comes_later()
    server.wait_ready()
    state = _driven(generate, request, handover)
    if handover.refusal:
        raise handover.refusal
    if handover.totals is None:
        raise _broken(state)
    return handover.totals


def our_flow() -> Any:
    """The flow of this package, and not one of a folder `flows` where the user stands."""
    import flows
    import reelbatch

    ours = Path(reelbatch.__file__).parent.parent
    found = Path(next(iter(flows.__path__)))
    if found.parent != ours:
        raise Refused(
            f"A folder named 'flows' hides Reelbatch's own: {found}.",
            advice="Run from another folder, or rename it.",
        )
    from flows.generate import generate

    return generate


@contextmanager
def _collecting_nothing() -> Iterator[None]:
    """What is imported stays; to look through it for garbage is an eighth of the work."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def import_what_comes_later() -> None:
    """Half a second, now or while a row, or the end of the run, waits for it."""
    for name in COMES_LATER:
        with suppress(ImportError):  # Whoever needs it says so.
            import_module(name)


def _driven(generate: Any, request: GenerateRequest, handover: Handover) -> Any:
    from prefect.exceptions import TerminationSignal

    try:
        return asyncio.run(_drive(generate, request, handover))
    except TerminationSignal:
        # SIGTERM in the moment between Prefect's own handler and the flow: nothing has begun.
        raise KeyboardInterrupt from None


async def _drive(generate: Any, request: GenerateRequest, handover: Handover) -> Any:
    HANDOVER.set(handover)
    _listen(handover)
    handover.in_flow = lambda: _listen(handover)
    with _tagged(handover):
        work = asyncio.ensure_future(generate(_to_be_shown(request, handover), return_state=True))
    while not work.done():
        await asyncio.wait({work}, timeout=0.2)
        if handover.totals and not work.done():
            await asyncio.wait({work}, timeout=PREFECT_ENDS_WITHIN)
            break
    if not work.done():
        work.cancel()
        return None
    return work.result()


def _tagged(handover: Handover) -> AbstractContextManager[object]:
    """Automations know our runs by their tag; nobody wants to be told of a rehearsal."""
    from prefect import tags

    from flows.naming import TAG

    return nullcontext() if handover.settings.emulated else tags(TAG)


def _to_be_shown(request: GenerateRequest, handover: Handover) -> GenerateRequest:
    """Prefect keeps parameters in clear; whatever signs a link stays with the plan."""
    if handover.plan is None:
        return request
    return request.model_copy(update={"manifest": handover.plan.manifest.place})


def _listen(handover: Handover) -> None:
    """The first signal asks to go, the second goes: what is in flight is in the ledger.

    Called again within the flow, for Prefect takes SIGTERM for itself when a flow begins.
    """
    loop = asyncio.get_running_loop()
    if handover.interrupted:
        _leave_at_the_next(loop)
        return

    def heard(number: signal.Signals) -> None:
        _leave_at_the_next(loop)
        if sys.stderr.isatty():
            print(f"\r\033[K{STOPPING}", file=sys.stderr, flush=True)
        else:
            say(log, logging.INFO, STOPPING)
        handover.interrupt(by_person=number is signal.SIGINT)

    for number in SIGNALS:
        loop.add_signal_handler(number, heard, number)


def _leave_at_the_next(loop: asyncio.AbstractEventLoop) -> None:
    for number in SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, lambda *_: os._exit(4))


def _broken(state: Any) -> BaseException:
    """The exception that ended the flow, for those who read it; a bug stays itself."""
    cause = getattr(state, "data", None)
    if isinstance(cause, BaseException):
        return cause
    message = getattr(state, "message", None) or "it did not say why"
    return ReelbatchError(
        f"The run broke off: {message}.", advice="Nothing is lost: run again to carry on."
    )
