"""Inbox: each new manifest becomes one batch, exactly once, and is then filed away.

Read it top to bottom: plan the manifest, reject it with a report if it has faults, else
generate it as any other, and file it under `done/` when its batch has ended. Whatever stops
early stays where it is, and the next inbox carries it on.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from prefect import flow, tags
from prefect.client.schemas.objects import State

from flows.desk import Desk, at_desk
from flows.generate import generate
from flows.naming import TAG
from flows.outcome import refused, state_of_inbox
from reelbatch.archive.inbox import Inbox, open_inbox
from reelbatch.errors import ReelbatchError
from reelbatch.run.handover import HANDOVER, Handover
from reelbatch.run.request import InboxRequest
from reelbatch.run.taken import Taken
from tasks.take_in import (
    Arrival,
    each_taken_in,
    faults_of,
    file_away,
    is_another,
    planned,
    reject,
)


@flow(name="inbox", validate_parameters=True, log_prints=False)
async def inbox(request: InboxRequest) -> State[Any]:
    """Make a batch of each manifest that has arrived, then file it under done/ or rejected/."""
    try:
        box = open_inbox(request.inbox)
        with at_desk(request.for_batch(None, None)) as desk:
            return state_of_inbox(await each_taken_in(box, partial(_taken, desk, request, box)))
    except ReelbatchError as error:
        return refused(error)


async def _taken(desk: Desk, request: InboxRequest, box: Inbox, arrival: Arrival) -> Taken:
    plan = await planned(arrival, request, box, desk.settings, desk.ledger)
    if plan and is_another(plan, arrival):
        return Taken(name=arrival.name, outcome="gone", words="has gone or changed meanwhile")
    desk.check(plan)
    if plan and (faults := faults_of(plan, request)):
        return await reject(box, arrival, faults)
    handover = Handover(settings=desk.settings, ledger=desk.ledger, plan=plan)
    HANDOVER.set(handover)
    place = plan.manifest.place if plan else None
    with tags(TAG):
        state = await generate(request.for_batch(arrival.batch, place), return_state=True)
    if handover.totals is None:
        raise handover.refusal or ReelbatchError(f"{state.message}")
    return await file_away(box, arrival, handover.totals)
