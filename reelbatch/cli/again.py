"""Failed jobs, put back in line: chosen, asked about at fal, and only then made anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reelbatch.cli.asking import confirm
from reelbatch.cli.session import session, tell
from reelbatch.errors import Refused
from reelbatch.ledger import batches, retrying
from reelbatch.run.handover import Handover
from reelbatch.run.request import GenerateRequest
from reelbatch.run.totals import Totals


def retry_batch(
    request: GenerateRequest, flags: Mapping[str, Any], *, emulated: bool, yes: bool, as_json: bool
) -> Totals:
    """Choose, ask, run. Raises Refused where there is no such batch or nothing to retry."""
    with session(request, flags, emulated=emulated) as at_hand:
        batch = batches.find_batch(at_hand.ledger, request.batch or "")
        if batch is None:
            raise Refused(
                f"There is no batch named {request.batch!r} in {at_hand.ledger.url}.",
                advice="`reelbatch status` lists those there are.",
            )
        chosen = retrying.failed_jobs(at_hand.ledger, batch.id, request.where)
        if not chosen:
            raise Refused(f"Nothing of {batch.name} failed that way; nothing was submitted.")
        confirm(
            f"Try {len(chosen)} failed takes of {batch.name} again, and pay for them?",
            yes=yes or emulated,
        )
        retrying.put_back(at_hand.ledger, batch.id, chosen)
        batches.set_mark(at_hand.ledger, batch.id, None)
        settings = at_hand.settings.model_copy(update={"archive": batch.archive})
        handover = Handover(settings=settings, ledger=at_hand.ledger)
        return tell(request, handover, at_hand.server, as_json=as_json)
