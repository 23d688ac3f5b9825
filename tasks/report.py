"""Report: the batch's index and batch.json in the archive, tables for Prefect, the totals.

What the report says comes from the ledger, never from what this process remembers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.cache_policies import NO_CACHE

from reelbatch.archive.batch_file import BatchFile, read_batch_file, write_batch_file
from reelbatch.archive.index import write_index
from reelbatch.errors import Permanent, Refused, Transient
from reelbatch.fal.error_types import advice_of
from reelbatch.jobs import BatchId
from reelbatch.ledger import reading
from reelbatch.ledger.learning import remember_account
from reelbatch.money import as_text
from reelbatch.run.obeying import obey_now
from reelbatch.run.run import Run
from reelbatch.run.totals import Totals, read_totals
from reelbatch.urls import without_query

PATIENCE_SECONDS = 20.0
"""Prefect's client tries for more than a minute to reach a server that is gone."""
TABLE_ROWS = 500
"""Prefect's page gets slow with more; the index has all of them."""


@task(name="report", cache_policy=NO_CACHE)
async def report(run: Run) -> Totals:
    """Write down how the batch stands, and return it."""
    await obey_now(run)
    await run.book(
        remember_account,
        run.ledger,
        run.settings.account_id,
        slots=slots_shown_to(run),
        run_seconds=run.poller.schedule.run_times.median,
        since=run.started_at,
    )
    await run.carry(write_files, run)
    totals = await run.book(totals_of, run)
    await _publish(run, totals)
    run.journal.say(f"ended: {totals.summary}")
    return totals


def slots_shown_to(run: Run) -> int | None:
    """Who shares them sees only its part: the next run's window would be too small."""
    shares = run.request.join or run.request.workers > 1
    return None if shares else run.poller.slots


def totals_of(run: Run) -> Totals:
    return read_totals(
        run.ledger,
        run.batch,
        selected=run.selected,
        stopped=run.stopped,
        stop_detail=run.stop_detail,
        spent_before=run.batch.spent_usd,
        elapsed_seconds=(datetime.now(UTC) - run.started_at).total_seconds(),
        warnings=run.warnings,
    )


def write_files(run: Run) -> None:
    """index.parquet, index.csv, batch.json. They can be written again: failing is a warning."""
    name = BatchId(run.batch.name)
    try:
        write_index(run.archive, name, index_rows(run))
        before = read_batch_file(run.archive, name)
        totals = totals_of(run)
        attempts = reading.attempts_made(run.ledger, run.batch.id)
        write_batch_file(
            run.archive,
            BatchFile(
                batch=name,
                place=run.batch.place,
                ledger_id=run.ledger.id,
                created_at=run.batch.created_at,
                updated_at=datetime.now(UTC),
                manifests=_manifests(run, before),
                counts=_counts(totals) | {"attempts": attempts},
                spent_usd=totals.counts.spent_usd,
            ),
        )
    except (Transient, Permanent, Refused) as error:
        run.warn(f"The index could not be written: {error}")


def _manifests(run: Run, before: BatchFile | None) -> tuple[str, ...]:
    kept = before.manifests if before else ()
    return (*kept, *(key for key in run.manifest_keys if key not in kept))


def _counts(totals: Totals) -> dict[str, int]:
    names = ("jobs", "archived", "failed", "in_doubt", "cancelled", "remaining", "reused")
    return {name: getattr(totals.counts, name) for name in names}


def index_rows(run: Run) -> Iterator[Mapping[str, Any]]:
    """Results beside the input columns, one row a take, in the manifest's order."""
    for job in reading.everything(run.ledger, run.batch.id):
        archived = job["archived_at"] is not None
        yield {
            "row_id": job["row_id"],
            "take": job["take"],
            "revision": job["revision"],
            **job["arguments"],
            "image": without_query(job["image_source"] or "") or None,
            **job["labels"],
            "status": job["state"],
            "video": job["key"] if archived else None,
            "sha256": job["sha256"] if archived else None,
            "request_id": job["request_id"],
            "cost_usd": as_text(job["cost_usd"]) if job["cost_usd"] is not None else None,
            "error": job["error_type"],
        }


async def _publish(run: Run, totals: Totals) -> None:
    """Tables for the flow run's page. Without a reachable Prefect the run goes on."""
    page = run.archive.page_of(run.batch.name)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            if totals.failures:
                failed = _failures(totals)
                await create_table_artifact(failed, key="failures", description="Failed takes")  # type: ignore[misc]
            results = await run.book(_results, run)
            await create_table_artifact(results, key="results", description=_sum(totals))  # type: ignore[misc]
            await create_markdown_artifact(bill(totals), key="bill", description="Bill")  # type: ignore[misc]
            if page:
                await create_link_artifact(page, key="archive", link_text=totals.archive)  # type: ignore[misc]
    except Exception as error:
        run.warn(f"Prefect did not take the result tables: {type(error).__name__}")


def _failures(totals: Totals) -> list[dict[str, Any]]:
    return [
        {
            "row": failed.row_id,
            "take": failed.take,
            "line": failed.line,
            "error": failed.error,
            "message": failed.message,
            "what to do": advice_of(failed.error),
        }
        for failed in totals.failures[:TABLE_ROWS]
    ]


def _results(run: Run) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for row in index_rows(run):
        if len(rows) == TABLE_ROWS:
            break
        rows.append({name: row[name] for name in ("row_id", "take", "status", "video", "cost_usd")})
    return rows


def _sum(totals: Totals) -> str:
    counts = totals.counts
    return (
        f"{counts.archived} of {counts.jobs} archived in {totals.archive}; "
        f"${as_text(totals.spent_usd)} spent since this run began, "
        f"${as_text(counts.spent_usd)} in all."
    )


def bill(totals: Totals) -> str:
    """What was spent and what may still be, where the videos are, and why some rows failed."""
    counts = totals.counts
    lines = [
        f"# {totals.batch}",
        "",
        "| | |",
        "|---|---|",
        f"| archived | {counts.archived} of {counts.jobs} |",
        f"| of them copied from earlier batches, for nothing | {counts.reused} |",
        f"| spent since this run began | ${as_text(totals.spent_usd)} |",
        f"| spent for the batch | ${as_text(counts.spent_usd)} |",
        f"| set aside for what is at fal or in doubt | ${as_text(counts.reserved_usd)} |",
        *([f"| slots at fal, as last seen | {slots} |"] if (slots := totals.slots_seen) else []),
        f"| videos, sidecars and index | `{totals.archive}/{totals.batch}/` |",
    ]
    causes = [f"- {n} x `{kind}`: {advice_of(kind)}" for kind, n in totals.causes.items()]
    return "\n".join([*lines, *(["", "Failed:", "", *causes] if causes else [])])
