"""Load a manifest: validate, compare, refuse what cannot run; then let it into the ledger.

All of it happens before anything is bought. The first put of a run is the manifest as given:
it shows that the archive takes what we will bring.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from reelbatch.archive.batch_file import BatchFile, claim_batch, manifest_key, read_batch_file
from reelbatch.archive.contract import Archive, as_refusal
from reelbatch.archive.open import open_archive
from reelbatch.config import Settings, for_manifest, read_settings
from reelbatch.errors import Permanent, Refused, Transient
from reelbatch.jobs import BatchId
from reelbatch.ledger import Ledger, batches, entering, reading
from reelbatch.ledger.batches import Batch
from reelbatch.run.handover import HANDOVER
from reelbatch.run.journal import Journal
from reelbatch.run.opening import open_the_batch
from reelbatch.run.plan import Plan, make_plan
from reelbatch.run.request import GenerateRequest
from reelbatch.run.run import Run

SHOWN_FAULTS = 20


@task(name="load", cache_policy=NO_CACHE)
async def load(request: GenerateRequest, settings: Settings, ledger: Ledger) -> Plan | None:
    """The plan of this run, already made by the command line or made now. Raises Refused.

    None where the request names a batch and no manifest: the ledger has all of it.
    """
    if request.manifest is None and request.batch is not None:
        return None
    handover = HANDOVER.get()
    plan = handover.plan if handover else None
    plan = plan or make_plan(request, settings, ledger)
    refuse_faults(plan)
    Journal(plan.batch_name).say(f"planned: {plan.summary}")
    return plan


def refuse_faults(plan: Plan) -> None:
    """Nothing is submitted unless all rows are sound, or `--skip-invalid` says which."""
    if plan.manifest.rows and plan.request.skip_invalid and not plan.request.strict:
        return
    if not plan.errors:
        return
    shown = "\n".join(str(fault) for fault in plan.errors[:SHOWN_FAULTS])
    more = len(plan.errors) - SHOWN_FAULTS
    rest = f"\n... and {more} more: `reelbatch plan` shows all." if more > 0 else ""
    raise Refused(f"{shown}{rest}\nNothing was submitted.")


def take_batch(
    plan: Plan | None, request: GenerateRequest, ledger: Ledger
) -> tuple[Batch, Settings]:
    """The batch's row in the ledger, and the settings with the archive it uses.

    Raises Refused where the archive is another than the one this batch began with, or the
    ledger knows no batch of this name.
    """
    if plan is None:
        return _known_batch(request, ledger)
    asked, settings = plan.request.archive or plan.manifest.archive, plan.settings
    if plan.batch:
        settings = _with_archive(settings, plan.batch, asked, ledger)
    batch = open_the_batch(
        settings,
        ledger,
        plan.batch_name,
        place=plan.manifest.place,
        named_by_hand=request.batch is not None,
        budget_usd=plan.manifest.budget_usd,
    )
    return batch, settings


def _known_batch(request: GenerateRequest, ledger: Ledger) -> tuple[Batch, Settings]:
    handover = HANDOVER.get()
    settings = handover.settings if handover else read_settings(**request.settings_flags())
    batch = batches.find_batch(ledger, request.batch or "")
    if batch is None:
        raise Refused(
            f"The ledger {ledger.url} knows no batch named {request.batch!r}.",
            advice="`reelbatch status` lists those it knows.",
        )
    batches.check_batch(
        batch, account_id=settings.account_id, place=batch.place, named_by_hand=True
    )
    settings = for_manifest(settings, {}, archive=None, budget_usd=batch.budget_usd)
    settings = _with_archive(settings, batch, request.archive, ledger)
    batch = open_the_batch(
        settings,
        ledger,
        batch.name,
        place=batch.place,
        named_by_hand=True,
        budget_usd=batch.budget_usd,
    )
    return batch, settings


def _with_archive(settings: Settings, batch: Batch, asked: str | None, ledger: Ledger) -> Settings:
    """A rerun uses the batch's own archive; another one must be that archive, moved."""
    if settings.emulated:
        return settings
    if asked is None:
        return settings.model_copy(update={"archive": batch.archive})
    archive = open_archive(asked)
    if archive.uri != batch.archive and reading.counts(ledger, batch.id).archived:
        _refuse_strange_archive(archive, batch, ledger)
    return settings.model_copy(update={"archive": asked})


def _refuse_strange_archive(archive: Archive, batch: Batch, ledger: Ledger) -> None:
    file = read_batch_file(archive, BatchId(batch.name))
    if file is None or file.ledger_id != ledger.id:
        raise Refused(
            f"Batch {batch.name!r} began in the archive {batch.archive}, not in {archive.uri}.",
            advice="Leave --archive out to go on there; or move the archive's files first.",
        )


async def enter(run: Run, plan: Plan | None) -> None:
    """Leave our mark and the manifest in the archive, then bring the ledger up to date."""
    if plan is None:
        await run.carry(refuse_older_ledger, run.archive, run.batch, run.ledger)
        return
    key = await run.carry(keep_manifest, run.archive, run.batch, run.ledger.id, plan)
    run.manifest_keys.append(key)
    await run.carry(refuse_older_ledger, run.archive, run.batch, run.ledger)
    remote = {
        row.image.location: row.image.sha256
        for row in plan.manifest.rows
        if row.image and row.image.is_remote and row.image.sha256
    }
    await run.book(batches.remember_images, run.ledger, remote)
    await run.book(
        entering.enter,
        run.ledger,
        run.batch,
        plan.manifest.rows,
        selected=set(plan.selected) if plan.selected is not None else None,
        complete=plan.complete,
        fresh_key=fresh_key(plan.request),
    )


def refuse_older_ledger(archive: Archive, batch: Batch, ledger: Ledger) -> None:
    """Raises Refused where the archive remembers more than the ledger: that is an old copy."""
    try:
        file = read_batch_file(archive, BatchId(batch.name))
    except (Transient, Permanent) as error:
        raise as_refusal(error) from error
    told = file.counts.get("attempts", 0) if file else 0
    known = reading.attempts_made(ledger, batch.id)
    if told > known:
        raise Refused(
            f"The archive {archive.uri} tells of {told} submissions for batch {batch.name!r}, the "
            f"ledger of {known}: it is an older copy of itself, and would pay the rest again.",
            advice="Bring the newest ledger back, or take another --batch: what this ledger "
            "knows is reused there.",
        )


def fresh_key(request: GenerateRequest) -> str | None:
    """What makes one `--fresh` one, even if its flow run is rescheduled."""
    if not request.fresh:
        return None
    from prefect.runtime import flow_run

    return str(flow_run.id or datetime.now(UTC).isoformat())


def keep_manifest(archive: Archive, batch: Batch, ledger_id: str, plan: Plan) -> str:
    """Keep the manifest as given; returns its key.

    Raises Refused where the archive cannot be written, or belongs to another ledger.
    """
    content = plan.manifest.content
    name = BatchId(batch.name)
    key = manifest_key(name, content, plan.manifest.file_name)
    now = datetime.now(UTC)
    mark = BatchFile(
        batch=name,
        place=plan.manifest.place,
        ledger_id=ledger_id,
        created_at=batch.created_at,
        updated_at=now,
        manifests=(key,),
        counts={},
        spent_usd=batch.spent_usd,
    )
    try:
        archive.probe()
        claim_batch(archive, mark)
        archive.put_once(
            key,
            content,
            sha256=hashlib.sha256(content).hexdigest(),
            content_type="application/octet-stream",
        )
    except (Transient, Permanent) as error:
        raise as_refusal(error) from error
    return key
