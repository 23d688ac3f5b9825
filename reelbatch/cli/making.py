"""Make the rows of a manifest: plan, show, ask, run, tell."""

from __future__ import annotations

import sys
from functools import partial

from reelbatch.cli.asking import confirm
from reelbatch.cli.driving import drive
from reelbatch.cli.looking import prices_if_all_is_well
from reelbatch.cli.prefect_server import LocalPrefect
from reelbatch.cli.progress_line import progress_line
from reelbatch.cli.saying import print_json, say_faults, say_plan, say_totals, stream
from reelbatch.cli.session import Session
from reelbatch.errors import Refused
from reelbatch.ledger import batches, orders
from reelbatch.ledger.batches import Batch
from reelbatch.money import as_text
from reelbatch.run.handover import Handover
from reelbatch.run.passing import in_container, refuse_passing_places
from reelbatch.run.plan import Plan, make_plan
from reelbatch.run.request import GenerateRequest
from reelbatch.run.totals import Totals
from reelbatch.urls import without_query


def make(request: GenerateRequest, at_hand: Session, *, yes: bool, as_json: bool) -> Totals:
    """Plan, show, ask, run, tell."""
    plan = _planned(request, at_hand, as_json=as_json, yes=yes)
    handover = Handover(settings=at_hand.settings, ledger=at_hand.ledger, plan=plan)
    handover.opened = partial(lift_orders, request, at_hand, plan.batch)
    return tell(request, handover, at_hand.server, as_json=as_json)


def _planned(request: GenerateRequest, at_hand: Session, *, as_json: bool, yes: bool) -> Plan:
    out = stream(as_json)
    plan = make_plan(request, at_hand.settings, at_hand.ledger)
    say_faults(plan.faults, out=sys.stderr)
    if plan.errors and not (request.skip_invalid and plan.manifest.rows and not request.strict):
        n = len(plan.errors)
        raise Refused(
            f"{n} fault{'s' if n > 1 else ''} in {without_query(request.manifest or '')}; "
            "nothing was submitted.",
            advice="Mend them, or say --skip-invalid.",
        )
    if in_container() and plan.batch is None:
        refuse_passing_places(plan.settings)
    prices = prices_if_all_is_well(plan)
    say_plan(plan, prices, out)
    confirm(f"Spend ${as_text(plan.cost_usd(prices))}?", yes=yes)
    return plan


def lift_orders(request: GenerateRequest, at_hand: Session, batch: Batch | None) -> None:
    """A person who runs a batch again means it to go on, and with the window he says."""
    if batch:
        batches.set_mark(at_hand.ledger, batch.id, None)
    if request.max_in_flight is not None:
        orders.set_window(at_hand.ledger, at_hand.settings.account_id, None)


def tell(
    request: GenerateRequest, handover: Handover, server: LocalPrefect, *, as_json: bool
) -> Totals:
    """Run the flow with a progress line, then say how the batch stands."""
    with progress_line(handover.listeners):
        totals = drive(request, handover, server)
    say_totals(totals, stream(as_json))
    if as_json:
        print_json(totals.as_json())
    return totals
