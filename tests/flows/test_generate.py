"""The flow in this process, as the command line calls it: handed over, driven, reported."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.flow_engine import run_flow_async
from prefect.states import Scheduled

from flows.generate import generate
from flows.joining import invitation
from flows.naming import name_of_run
from flows.outcome import refused, state_of
from reelbatch.config import read_settings
from reelbatch.errors import Refused
from reelbatch.ledger import Ledger, open_ledger
from reelbatch.ledger.batches import all_batches
from reelbatch.ledger.reading import Counts
from reelbatch.run.handover import HANDOVER, Handover
from reelbatch.run.progress import Progress
from reelbatch.run.request import GenerateRequest
from reelbatch.run.totals import Totals
from tests.parts.emulator import Emulator
from tests.parts.waiting import wait_until

NOT_DEPLOYED = "00000000-0000-4000-8000-000000000000"
Run = Callable[..., Coroutine[Any, Any, State[Any]]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


@pytest.fixture
def handover(tmp_path: Path, ledger: Ledger, fal: Emulator) -> Handover:
    """What the command line hands to the flow."""
    fal.forget()
    fal.mend()
    settings = read_settings(**fal.settings, archive=str(tmp_path / "archive"))
    return Handover(settings=settings, ledger=ledger)


@pytest.fixture
def run_flow(tmp_path: Path, prefect_api: str, handover: Handover) -> Run:
    """`await run_flow("tom,A cat,1", batch="cats")`: the flow's final state."""

    async def run_flow(*rows: str, **wishes: Any) -> State[Any]:
        manifest = tmp_path / "cats.csv"
        manifest.write_text("\n".join(["id,prompt,seed", *rows]) + "\n")
        request = GenerateRequest(manifest=str(manifest), **wishes)
        HANDOVER.set(handover)
        state: State[Any] = await generate(request, return_state=True)
        return state

    return run_flow


def manifest_of(handover: Handover) -> str:
    """Where the batch's manifest lies."""
    (batch,) = all_batches(handover.ledger)
    return batch.place


def newest_run(api: str) -> dict[str, Any]:
    wanted = {"sort": "START_TIME_DESC", "limit": 1}
    (found,) = httpx.post(f"{api}/flow_runs/filter", json=wanted, trust_env=False).json()
    return dict(found)


async def test_a_run_gives_its_totals_back_to_whoever_handed_over(
    run_flow: Run, handover: Handover
) -> None:
    state = await run_flow("tom,A cat,1", "felix,Another cat,2")
    assert (state.name, state.message) == ("Completed", "2 of 2 archived; $0.40 spent.")
    assert handover.totals is not None
    assert handover.totals.counts.archived == 2
    assert handover.run is not None


async def test_a_run_tells_its_listeners_how_it_goes(run_flow: Run, handover: Handover) -> None:
    heard: list[Progress] = []
    handover.listeners.append(heard.append)
    await run_flow("tom,A cat,1", "felix,Another cat,2")
    assert {progress.counts.jobs for progress in heard} == {2}


async def test_a_run_from_the_command_line_has_a_name_too(run_flow: Run, prefect_api: str) -> None:
    await run_flow("tom,A cat,1", batch="by-hand")
    assert newest_run(prefect_api)["name"] == "by-hand: 1 row"


async def test_the_next_run_takes_away_what_a_killed_one_left_half_written(
    run_flow: Run, tmp_path: Path
) -> None:
    part = tmp_path / f"archive/cats/tom/.{'0a' * 8}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half a video")
    os.utime(part, (0, 0))
    await run_flow("tom,A cat,1")
    wait_until(lambda: not part.exists(), description="it is gone")


async def test_the_same_run_again_pays_nothing(run_flow: Run, fal: Emulator) -> None:
    await run_flow("tom,A cat,1")
    state = await run_flow("tom,A cat,1")
    assert state.message == "1 of 1 archived; $0.00 spent."
    assert fal.state()["accepted"]["total"] == 1


async def test_a_flow_run_that_is_rescheduled_makes_all_of_it_anew_only_once(
    run_flow: Run, handover: Handover, fal: Emulator
) -> None:
    """`fresh` stays among its parameters, however often Prefect starts it."""
    await run_flow("tom,A cat,1", "felix,Another cat,2")
    request = {"request": GenerateRequest(batch="cats", fresh=True, manifest=manifest_of(handover))}
    async with get_client() as prefect:
        order = await prefect.create_flow_run(generate, parameters=request)
        for _ in range(2):
            flow_run = await prefect.read_flow_run(order.id)
            state: Any = await run_flow_async(
                generate, flow_run=flow_run, parameters=request, return_type="state"
            )
            assert state.name == "Completed", state.message
            await prefect.set_flow_run_state(order.id, Scheduled(), force=True)
    assert fal.state()["accepted"]["total"] == 4


async def test_a_batch_is_carried_on_by_its_name_alone(run_flow: Run) -> None:
    await run_flow("tom,A cat,1")
    state = await generate(GenerateRequest(batch="cats"), return_state=True)
    assert state.message == "1 of 1 archived; $0.00 spent."


async def test_a_refusal_is_given_back_and_nothing_is_submitted(
    run_flow: Run, handover: Handover, fal: Emulator
) -> None:
    state = await run_flow("tom,A cat,abc")
    assert (state.name, state.is_failed()) == ("Refused", True)
    assert "cats.csv:2: seed 'abc'" in str(handover.refusal)
    assert fal.state()["accepted"]["total"] == 0


async def test_only_runs_of_a_deployment_are_joined_by_others(
    run_flow: Run, handover: Handover, fal: Emulator
) -> None:
    state = await run_flow("tom,A cat,1", workers=2)
    assert (state.name, "this run is of none" in str(state.message)) == ("Refused", True)
    assert fal.state()["accepted"]["total"] == 0


async def test_a_chosen_part_of_a_batch_is_made_by_one(
    run_flow: Run, handover: Handover, fal: Emulator, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", NOT_DEPLOYED)
    with closing(open_ledger(postgres)) as handover.ledger:
        state = await run_flow("tom,A cat,1", "felix,A cat,2", workers=2, where=["id=tom"])
    assert (state.name, "some rows were chosen" in str(state.message)) == ("Refused", True)
    assert fal.state()["accepted"]["total"] == 0


async def test_who_cannot_be_started_is_done_without(
    run_flow: Run, handover: Handover, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect knows no such deployment: one process makes all of it, and says so."""
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", NOT_DEPLOYED)
    with closing(open_ledger(postgres)) as handover.ledger:
        state = await run_flow("tom,A cat,1", "felix,A cat,2", workers=2)
    assert state.message == "2 of 2 archived; $0.40 spent."
    assert handover.totals is not None
    assert [text.partition(":")[0] for text in handover.totals.warnings] == [
        "Worker 2 was not started"
    ]


def test_those_who_join_keep_the_limits_and_enter_nothing() -> None:
    """What a person said once, `fresh` or `resubmit`, is not said again by each of them."""
    request = GenerateRequest(
        manifest="cats.csv", archive="s3://cats", fresh=True, workers=4, in_doubt="resubmit",
        budget_usd=Decimal("20"), max_in_flight=40, submit_rate=2, collect="webhook",
        keep_going=True,
    )  # fmt: skip
    joining = GenerateRequest(**invitation(request, "cats"))
    assert joining == GenerateRequest(
        batch="cats", join=True, budget_usd=Decimal("20"), max_in_flight=40, submit_rate=2,
        collect="webhook", keep_going=True,
    )  # fmt: skip


async def test_an_interruption_before_the_run_began_buys_nothing(
    run_flow: Run, handover: Handover, fal: Emulator
) -> None:
    handover.interrupt(by_person=True)
    state = await run_flow("tom,A cat,1")
    assert (state.name, state.is_cancelled()) == ("Cancelled", True)
    assert "Run again to carry on." in str(state.message)
    assert fal.state()["accepted"]["total"] == 0


async def test_a_server_that_takes_no_artifacts_changes_nothing(
    run_flow: Run, handover: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> Any:
        raise httpx.ConnectError("Prefect is gone")

    for name in (
        "flows.watching.acreate_progress_artifact",
        "tasks.report.create_table_artifact",
        "flows.naming.get_client",
    ):
        monkeypatch.setattr(name, unreachable)
    state = await run_flow("tom,A cat,1")
    assert state.name == "Completed"
    assert handover.totals is not None
    assert handover.totals.exit_status == 0


NOTHING = Counts(
    jobs=4, archived=0, failed=0, in_doubt=0, cancelled=0, in_flight=0, pending=0, completed=0,
    reused=0, spent_usd=Decimal(0), reserved_usd=Decimal(0),
)  # fmt: skip


def totals(stopped: Any = None, **counts: Any) -> Totals:
    counted = replace(NOTHING, **counts)
    return Totals(
        batch="cats", archive="file:///archive", counts=counted, chosen=counted, failures=[],
        causes={}, stopped=stopped, stop_detail="", spent_usd=Decimal("0.80"), elapsed_seconds=1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "kind", "name", "said"),
    [
        (totals(archived=4), "COMPLETED", "Completed", "4 of 4 archived; $0.80 spent."),
        (totals(archived=3, failed=1), "COMPLETED", "PartlyFailed", "1 failed"),
        (totals(archived=3, in_doubt=1), "COMPLETED", "PartlyFailed", "1 in doubt"),
        (totals("budget", archived=3, pending=1), "FAILED", "Stopped", "budget: 3 of 4"),
        (totals("locked", archived=3, pending=1), "FAILED", "Stopped", "Top up"),
        (totals("archive", archived=3, completed=1), "FAILED", "Stopped", "1 to do"),
        (totals("failing", failed=3, pending=1), "FAILED", "Stopped", "--keep-going"),
        (totals("paused", archived=3, pending=1), "FAILED", "Stopped", "resume"),
        (totals("interrupted", archived=3, pending=1), "FAILED", "Stopped", "interrupted: 3 of 4"),
        (totals("cancelled", archived=3, cancelled=1), "CANCELLED", "Cancelled", "1 cancelled"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_final_state_tells_the_cases_apart(
    outcome: Totals, kind: str, name: str, said: str
) -> None:
    state = state_of(outcome)
    assert (state.type.value, state.name) == (kind, name)
    assert said in str(state.message)


def test_a_stop_that_left_nothing_undone_is_no_failure() -> None:
    """The budget was used up by the very last row."""
    assert state_of(totals("budget", archived=4)).name == "Completed"


def test_rows_left_to_do_are_told_even_where_nobody_knows_why() -> None:
    state = state_of(totals(archived=3, completed=1))
    assert (state.name, "None" in str(state.message)) == ("Stopped", False)


def test_a_refusal_is_the_whole_sentence() -> None:
    state = refused(Refused("There is no fal key.", advice="Set FAL_KEY=id:secret."))
    assert state.message == "There is no fal key. Set FAL_KEY=id:secret."


def test_a_run_without_a_manifest_is_named_by_its_batch() -> None:
    assert name_of_run(None, GenerateRequest(batch="cats")) == "cats: carried on"
    assert name_of_run(None, GenerateRequest(batch="cats", join=True)) == "cats: joined"
