"""What a flow run's final state says, so that an automation can tell the cases apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from reelbatch.errors import ReelbatchError
from reelbatch.run.handover import HANDOVER
from reelbatch.run.stopping import ADVICE
from reelbatch.run.swept import Swept
from reelbatch.run.taken import Taken
from reelbatch.run.totals import Totals


def state_of(totals: Totals) -> State[Any]:
    """0 Completed; 3 Completed (`PartlyFailed`); 4 Failed (`Stopped`); Cancelled by a person."""
    handover = HANDOVER.get()
    if handover:
        handover.totals = totals
    message = totals.summary
    if totals.exit_status == 0:
        return Completed(message=message)
    if totals.exit_status == 3:
        return Completed(name="PartlyFailed", message=message)
    by_ctrl_c = totals.stopped == "interrupted" and handover and handover.by_person
    if by_ctrl_c or totals.stopped == "cancelled":
        return Cancelled(message=f"{message} Run again to carry on.")
    reason = f"{totals.stopped}: " if totals.stopped else ""
    return Failed(name="Stopped", message=f"{reason}{message} {_advice(totals)}")


def _advice(totals: Totals) -> str:
    return ADVICE[totals.stopped] if totals.stopped else "Run again to carry on."


def state_of_sweep(swept: Sequence[Swept]) -> State[Any]:
    """A batch that could not be swept fails the sweep: somebody has to mend what it says."""
    if not swept:
        return Completed(message="Nothing to do.")
    message = "; ".join(map(str, swept)).removesuffix(".") + "."
    if any(one.refusal for one in swept):
        return Failed(name="Refused", message=message)
    return Completed(message=message)


def state_of_inbox(taken: Sequence[Taken]) -> State[Any]:
    """The worst of them: what stays wants somebody's hand, what is rejected its author's."""
    if not taken:
        return Completed(message="Nothing to do.")
    message = "; ".join(map(str, taken))
    outcomes = {one.outcome for one in taken}
    if "refused" in outcomes:
        return Failed(name="Refused", message=message)
    if "stays" in outcomes:
        return Failed(name="Stopped", message=message)
    if outcomes & {"rejected", "partly"}:
        return Completed(name="PartlyFailed", message=message)
    return Completed(message=message)


def refused(refusal: ReelbatchError) -> State[Any]:
    """The run could not start; nothing was submitted."""
    if handover := HANDOVER.get():
        handover.refusal = refusal
    return Failed(name="Refused", message=str(refusal))
