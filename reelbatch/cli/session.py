"""One sitting of `run` or `retry`: its servers started early, its ledger open, all of it ended.

What it needs before Prefect's server starts is imported here, the rest only then: the server
takes four seconds, and imports one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reelbatch.cli.emulated import EmulatedFal
from reelbatch.cli.prefect_server import LocalPrefect
from reelbatch.cli.rehearsing import rehearsal_archive, rehearsal_ledger
from reelbatch.config import Settings, read_settings
from reelbatch.errors import Refused
from reelbatch.logs import open_log
from reelbatch.run.passing import in_container, refuse_passing_places
from reelbatch.run.request import GenerateRequest

if TYPE_CHECKING:
    from reelbatch.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a command has at hand while it runs."""

    settings: Settings
    ledger: Ledger
    server: LocalPrefect


@contextmanager
def session(
    request: GenerateRequest, flags: Mapping[str, Any], *, emulated: bool
) -> Iterator[Session]:
    """Start Prefect's server in the background first: it needs four seconds, planning uses them."""
    overrides = {**flags, **request.settings_flags()}
    if not emulated and read_settings(**overrides).fal_key is None:
        raise Refused("There is no fal key.", advice="Set FAL_KEY=id:secret and run again.")
    with ExitStack() as stack:
        server = LocalPrefect.start(say=lambda text: print(text, file=sys.stderr))
        stack.callback(server.stop)
        from reelbatch.ledger import open_ledger
        from reelbatch.ledger.forgetting import forget_in_flight

        if emulated:
            fal = EmulatedFal.start()
            stack.callback(fal.stop)
            overrides |= rehearsal(fal)
        settings = read_settings(**overrides)
        open_log(settings.log_level)
        if in_container() and not settings.ledger:
            refuse_passing_places(settings)
        ledger = open_ledger(settings.ledger_url)
        stack.callback(ledger.close)
        if emulated:
            forget_in_flight(ledger, settings.account_id)
        yield Session(settings=settings, ledger=ledger, server=server)


def rehearsal(fal: EmulatedFal) -> dict[str, Any]:
    """A rehearsal has an archive and a ledger of its own, and costs nothing."""
    return {
        **fal.settings,
        "emulated": True,
        "archive": rehearsal_archive(),
        "ledger": rehearsal_ledger(),
        "collect": "stream",
    }
