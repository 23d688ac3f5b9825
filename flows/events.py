"""Events of our own on a flow run, for the automations in automations.yaml."""

from __future__ import annotations

from prefect.events import emit_event
from prefect.runtime import flow_run

BUDGET_NEARLY_SPENT = "reelbatch.budget.nearly-spent"
RUN_ENDED = "reelbatch.run.ended"
"""No more heartbeats are to be expected. Prefect's own states would do, but where its database
is locked it weighs such an event again or never, and with it whoever is to be told of the end."""


def emit(event: str, *, name: str = "", message: str = "") -> None:
    """It only joins a queue; without a reachable Prefect nobody hears of it.

    Prefect adds the tags of the run's deployment, and not those of the run that it is about.
    """
    resource = {
        "prefect.resource.id": f"prefect.flow-run.{flow_run.id}",
        "prefect.resource.name": name,
    }
    tags = [
        {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"}
        for tag in flow_run.tags
    ]
    emit_event(event, resource=resource, related=tags, payload={"message": message})
