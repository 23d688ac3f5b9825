"""What the ledger's contract is told with: rows, terms, answers, and the books to check."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping, select

from reelbatch.jobs import IN_FLIGHT, Arguments, RowId, State
from reelbatch.ledger import Ledger, open_ledger
from reelbatch.ledger.answers import Accepted, Why, accepted
from reelbatch.ledger.batches import Batch, open_account, open_batch
from reelbatch.ledger.claims import Claim, Claimed, Terms, claim
from reelbatch.ledger.comparing import Comparison
from reelbatch.ledger.entering import enter
from reelbatch.ledger.keeping import Kept, about_to_keep, kept
from reelbatch.ledger.results import Good, settle_good
from reelbatch.ledger.schema import accounts, attempts, batches, jobs, money_events
from reelbatch.manifest.rows import Image, Row

QUEUE_URL = "https://queue.fal.run"
ACCOUNT = "queue.fal.run"
PRICE = Decimal("0.20")
REFUSED_PROMPT = Why(error_type="content_policy_violation", message="Not this.", http_status=422)
THROTTLED = Why(error_type="rate_limited", message="Too many requests.", http_status=429)
CRASHED = Why(error_type="runner_error", message="The runner went away.", http_status=500)


def row(
    row_id: str,
    prompt: str | None = None,
    *,
    takes: int = 1,
    seed: int | None = 7,
    line: int = 2,
    image: Image | None = None,
    output: str | None = None,
    **labels: str,
) -> Row:
    """A sound line of a manifest; its prompt is its own unless another is given."""
    return Row(
        row_id=RowId(row_id),
        file="cats.csv",
        line=line,
        endpoint_id="fal-ai/ovi/image-to-video" if image else "fal-ai/ovi",
        arguments={"prompt": prompt or f"A cat called {row_id}."},
        image=image,
        seed=seed,
        takes=takes,
        output=output,
        labels=labels,
    )


def rows(count: int) -> list[Row]:
    return [row(f"row-{n}", line=n + 1) for n in range(1, count + 1)]


def terms(
    *,
    window: int | None = 80,
    pace: float | None = None,
    price: Decimal = PRICE,
    budget: str | None = None,
    budget_per_day: str | None = None,
    fal_answers: bool = True,
) -> Terms:
    return Terms(
        window=window,
        pace_per_second=pace,
        price=price,
        budget=None if budget is None else Decimal(budget),
        budget_per_day=None if budget_per_day is None else Decimal(budget_per_day),
        start_timeout=timedelta(hours=2),
        grace=timedelta(minutes=15),
        fal_answers=fal_answers,
    )


def batch_named(ledger: Ledger, name: str = "cats") -> Batch:
    """A batch with nothing in it yet."""
    open_account(ledger, ACCOUNT, QUEUE_URL)
    return open_batch(
        ledger,
        name,
        account_id=ACCOUNT,
        place=f"/work/{name}.csv",
        archive="./archive",
        named_by_hand=False,
    )


def entered(
    ledger: Ledger,
    batch: Batch,
    manifest: Iterable[Row],
    *,
    selected: set[str] | None = None,
    complete: bool = True,
    fresh_key: str | None = None,
) -> Comparison:
    chosen = None if selected is None else {RowId(name) for name in selected}
    return enter(
        ledger, batch, list(manifest), selected=chosen, complete=complete, fresh_key=fresh_key
    )


def pending(ledger: Ledger, count: int = 1, *, name: str = "cats") -> list[str]:
    """The ids of as many jobs that wait for a place."""
    batch = batch_named(ledger, name)
    entered(ledger, batch, rows(count) if name == "cats" else _rows_of(name, count))
    return [job["id"] for job in jobs_of(ledger, batch)]


def _rows_of(name: str, count: int) -> list[Row]:
    return [row(f"{name}-{n}") for n in range(1, count + 1)]


def jobs_of(ledger: Ledger, batch: Batch) -> list[RowMapping]:
    with ledger.reading() as tx:
        query = select(jobs).where(jobs.c.batch_id == batch.id)
        ordered = query.order_by(jobs.c.position, jobs.c.row_id, jobs.c.take, jobs.c.revision)
        return list(tx.execute(ordered).mappings())


def told(found: Comparison) -> tuple[int, int, int, int, int]:
    """(new, edited, kept, back, withdrawn)"""
    return (
        len(found.new), len(found.edited), len(found.kept), len(found.back), len(found.withdrawn)
    )  # fmt: skip


def wanted(ledger: Ledger, batch: Batch) -> list[tuple[str, int, int]]:
    """(row, take, revision) of every job that is not withdrawn."""
    found = [one for one in jobs_of(ledger, batch) if not one["withdrawn"]]
    return sorted((one["row_id"], one["take"], one["revision"]) for one in found)


def only(ledger: Ledger, batch: Batch) -> RowMapping:
    (found,) = (one for one in jobs_of(ledger, batch) if not one["withdrawn"])
    return found


def archive_all(ledger: Ledger, batch: Batch) -> None:
    for one in jobs_of(ledger, batch):
        if one["state"] == State.PENDING and not one["withdrawn"]:
            archived(ledger, one["id"])


def job(ledger: Ledger, job_id: str) -> RowMapping:
    with ledger.reading() as tx:
        return tx.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one()


def state(ledger: Ledger, job_id: str) -> State:
    return State(job(ledger, job_id)["state"])


def attempt(ledger: Ledger, attempt_id: str) -> RowMapping:
    with ledger.reading() as tx:
        return tx.execute(select(attempts).where(attempts.c.id == attempt_id)).mappings().one()


def account(ledger: Ledger) -> RowMapping:
    with ledger.reading() as tx:
        return tx.execute(select(accounts).where(accounts.c.id == ACCOUNT)).mappings().one()


def body(job_id: str) -> Arguments:
    return {"prompt": "A cat.", "seed": 7, "for": job_id}


def claimed(ledger: Ledger, job_id: str, on: Terms | None = None) -> Claimed:
    answer = claim(ledger, job_id, body(job_id), on or terms())
    assert isinstance(answer, Claimed), answer
    return answer


def handle(request_id: str) -> Accepted:
    url = f"{QUEUE_URL}/fal-ai/ovi/requests/{request_id}"
    return Accepted(
        request_id=request_id,
        status_url=f"{url}/status",
        response_url=url,
        cancel_url=f"{url}/cancel",
    )


def submitted(ledger: Ledger, job_id: str) -> str:
    """The id of the attempt that fal accepted."""
    attempt_id = claimed(ledger, job_id).attempt_id
    assert accepted(ledger, attempt_id, handle(f"request-{attempt_id}"))
    return attempt_id


def good(name: str = "reel") -> Good:
    return Good(
        payload={"video": {"url": f"https://v3.fal.media/files/{name}.mp4"}},
        output_url=f"https://v3.fal.media/files/{name}.mp4",
        output_bytes=1000,
        inference_seconds=41.5,
        billable_units="1",
    )


def archived(ledger: Ledger, job_id: str) -> str:
    """Bring a job all the way; returns the attempt that paid for it."""
    attempt_id = submitted(ledger, job_id)
    assert settle_good(ledger, attempt_id, good(job_id), PRICE)
    keep(ledger, job_id)
    return attempt_id


def keep(ledger: Ledger, job_id: str) -> None:
    key = f"cats/{job_id}.mp4"
    about_to_keep(ledger, job_id, Kept(key=key, sha256="ab" * 32, bytes=1000, media={}))
    assert kept(ledger, job_id, key)


def put(ledger: Ledger, table: Any, where: Any, **values: object) -> None:
    """Write into the database behind everybody's back, for instance to move a clock."""
    with ledger.writing() as tx:
        tx.execute(table.update().where(where).values(values))


def put_job(ledger: Ledger, job_id: str, **values: object) -> None:
    put(ledger, jobs, jobs.c.id == job_id, **values)


def put_account(ledger: Ledger, **values: object) -> None:
    put(ledger, accounts, accounts.c.id == ACCOUNT, **values)


def unpark(ledger: Ledger) -> None:
    """As if the trouble had never been."""
    put_account(
        ledger,
        parked_reason=None,
        parked_detail=None,
        parked_until=None,
        parked_since=None,
        parked_seconds=None,
        probe_attempt_id=None,
        probe_at=None,
    )


def age(ledger: Ledger, job_id: str, seconds: float) -> None:
    """Let a job have been in its state for longer."""
    since = job(ledger, job_id)["state_at"] - timedelta(seconds=seconds)
    put_job(ledger, job_id, state_at=since)


def race(ledger_url: str, job_ids: Iterable[str], on: Terms, *, openers: int) -> list[Claim]:
    """Claim all of them at once: each opener brings an engine and five connections."""
    ledgers = [open_ledger(ledger_url) for _ in range(openers)]
    wanted = list(enumerate(job_ids))
    try:
        with ThreadPoolExecutor(openers * 5) as threads:
            return list(
                threads.map(
                    lambda place: claim(ledgers[place[0] % openers], place[1], body(place[1]), on),
                    wanted,
                )
            )
    finally:
        for ledger in ledgers:
            ledger.close()


def check_books(ledger: Ledger, *, window: int | None = None) -> None:
    """Totals, attempts, jobs and events tell the same story about money, to the millionth."""
    with ledger.reading() as tx:
        found_jobs = list(tx.execute(select(jobs)).mappings())
        found_attempts = list(tx.execute(select(attempts)).mappings())
        events = list(tx.execute(select(money_events).order_by(money_events.c.id)).mappings())
        totals = list(tx.execute(select(batches)).mappings())
        owners = list(tx.execute(select(accounts)).mappings())
    batch_of = {one["id"]: one["batch_id"] for one in found_jobs}
    last = {event["attempt_id"]: event for event in events}
    for batch in totals:
        mine = [one for one in found_attempts if batch_of[one["job_id"]] == batch["id"]]
        told = [event for event in last.values() if event["batch_id"] == batch["id"]]
        assert batch["reserved_usd"] == _sum(one["reserved_usd"] for one in mine)
        assert batch["spent_usd"] == _sum(one["cost_usd"] for one in mine)
        assert batch["reserved_usd"] == _sum(e["usd"] for e in told if e["kind"] == "reserve")
        assert batch["spent_usd"] == _sum(e["usd"] for e in told if e["kind"] == "settle")
        paid_jobs = (one["cost_usd"] for one in found_jobs if one["batch_id"] == batch["id"])
        assert batch["spent_usd"] == _sum(paid_jobs)
    for owner in owners:
        mine_too = [one for one in totals if one["account_id"] == owner["id"]]
        assert owner["reserved_usd"] == _sum(one["reserved_usd"] for one in mine_too) >= 0
        assert owner["spent_usd"] == _sum(one["spent_usd"] for one in mine_too) >= 0
        assert owner["day_usd"] >= 0
    if window is not None:
        assert sum(one["state"] in IN_FLIGHT for one in found_jobs) <= window


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount or Decimal(0) for amount in amounts), Decimal(0))
