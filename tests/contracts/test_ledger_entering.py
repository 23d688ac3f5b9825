"""Entering: a manifest is in the ledger once, and only what it asks for anew is new."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from reelbatch.errors import Refused
from reelbatch.jobs import State
from reelbatch.ledger import Ledger, open_ledger
from reelbatch.ledger.batches import (
    Batch,
    all_batches,
    find_batch,
    images_read_before,
    open_batch,
    remember_images,
)
from reelbatch.ledger.claims import Moved, Reused, claim
from reelbatch.ledger.comparing import Comparison
from reelbatch.ledger.entering import preview
from reelbatch.ledger.reading import counts, job
from reelbatch.ledger.results import settle_failed
from reelbatch.ledger.schema import jobs
from reelbatch.manifest.rows import Image, Row
from tests.contracts.ledger_parts import (
    ACCOUNT,
    CRASHED,
    PRICE,
    QUEUE_URL,
    archive_all,
    archived,
    batch_named,
    claimed,
    entered,
    jobs_of,
    only,
    put_job,
    row,
    rows,
    submitted,
    terms,
    told,
    wanted,
)


def _photo(sha256: str | None, source: str = "cat.png") -> Image:
    return Image(source=source, location=f"/work/{source}", sha256=sha256)


def test_every_take_of_every_row_becomes_one_job(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    found = entered(ledger, batch, [row("a", takes=2), row("b", seed=None)])
    assert told(found) == (3, 0, 0, 0, 0)
    assert wanted(ledger, batch) == [("a", 1, 1), ("a", 2, 1), ("b", 1, 1)]
    first, second, _ = jobs_of(ledger, batch)
    assert (first["arguments"]["seed"], second["arguments"]["seed"]) == (7, 8)
    assert [one["position"] for one in jobs_of(ledger, batch)] == [1, 2, 3]


def test_the_same_manifest_twice_enters_once(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    entered(ledger, batch, rows(3))
    before = jobs_of(ledger, batch)
    assert told(entered(ledger, batch, rows(3))) == (0, 0, 3, 0, 0)
    assert jobs_of(ledger, batch) == before


def test_eight_runs_at_the_same_time_enter_it_once(ledger: Ledger, ledger_url: str) -> None:
    """Account, batch and rows: whoever comes second finds them."""
    ledgers = [open_ledger(ledger_url) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda one: entered(one, batch_named(one), rows(40)), ledgers))
    for one in ledgers:
        one.close()
    assert sorted(len(comparison.new) for comparison in found) == [0] * 7 + [40]
    assert len(wanted(ledger, batch_named(ledger))) == 40


def test_entering_and_claiming_at_once_never_stand_in_each_other_s_way(
    ledger: Ledger, ledger_url: str
) -> None:
    """A run joins while another submits: locks are taken in one order, so nobody is thrown out."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(60))
    waiting = [one["id"] for one in jobs_of(ledger, batch)]
    others = [open_ledger(ledger_url) for _ in range(4)]

    def enter_again(n: int) -> None:
        for version in range(4):
            edited = [replace(one, labels={"n": f"{n}-{version}"}) for one in rows(60)]
            entered(others[n], batch, [*edited, row(f"more-{n}-{version}")], complete=version > 1)

    def claim_some(n: int) -> None:
        for job_id in waiting[n::2]:
            claim(others[2 + n], job_id, {}, terms(window=500))

    with ThreadPoolExecutor(4) as threads:
        ran = [threads.submit(enter_again, n) for n in range(2)]
        ran += [threads.submit(claim_some, n) for n in range(2)]
        for one in ran:
            one.result()
    for other in others:
        other.close()
    assert counts(ledger, batch.id).in_flight == 60


def test_moving_rows_changes_nothing(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    entered(ledger, batch, rows(3))
    moved = [replace(one, line=90 + n) for n, one in enumerate(reversed(rows(3)))]
    assert told(entered(ledger, batch, moved)) == (0, 0, 3, 0, 0)
    last = jobs_of(ledger, batch)[-1]
    assert job(ledger, last["id"])["line"] == 90, "errors name the line it stands on now"


def test_labels_and_names_never_make_a_revision(ledger: Ledger) -> None:
    """They travel to sidecar and index; nothing is paid for them."""
    batch = batch_named(ledger)
    entered(ledger, batch, [row("a", campaign="spring")])
    found = entered(ledger, batch, [row("a", output="{campaign}/{row_id}.mp4", campaign="fall")])
    assert told(found) == (0, 0, 1, 0, 0)
    now = job(ledger, only(ledger, batch)["id"])
    assert (now["labels"], now["output"]) == ({"campaign": "fall"}, "{campaign}/{row_id}.mp4")


def test_an_edited_prompt_is_a_job_of_its_own(ledger: Ledger) -> None:
    """The old revision is withdrawn, and stays in the books."""
    batch = batch_named(ledger)
    entered(ledger, batch, [row("a", "A cat."), row("b")])
    found = entered(ledger, batch, [row("a", "A dog."), row("b")])
    assert told(found) == (0, 1, 1, 0, 0)
    old, new, _ = sorted(jobs_of(ledger, batch), key=lambda one: (one["row_id"], one["revision"]))
    assert (old["withdrawn"], new["withdrawn"]) == (True, False)
    assert (new["revision"], new["roll"], new["arguments"]["seed"]) == (2, 0, 7)
    assert claim(ledger, old["id"], {}, terms()) == Moved()
    assert told(entered(ledger, batch, [row("a", "A dog."), row("b")])) == (0, 0, 2, 0, 0)


def test_an_edit_taken_back_is_served_from_the_first_revision(ledger: Ledger) -> None:
    """It is a third revision, and costs nothing."""
    batch = batch_named(ledger)
    entered(ledger, batch, [row("a", "A cat.")])
    first = only(ledger, batch)["id"]
    archived(ledger, first)
    entered(ledger, batch, [row("a", "A dog.")])
    found = entered(ledger, batch, [row("a", "A cat.")])
    assert (told(found), found.reused) == ((0, 1, 0, 0, 0), 1)
    third = only(ledger, batch)
    assert third["revision"] == 3
    assert claim(ledger, third["id"], {}, terms()) == Reused(source_id=first)


@pytest.mark.parametrize(
    ("image", "edited"),
    [
        (_photo("b" * 64), 1),
        (_photo("a" * 64, "renamed.png"), 0),
        (_photo(None), 0),
        (_photo(None, "another.png"), 1),
    ],
    ids=["other bytes", "same bytes elsewhere", "same name unread", "other name unread"],
)
def test_an_image_is_edited_when_its_bytes_are_others(
    ledger: Ledger, image: Image, edited: int
) -> None:
    """Where nobody has read them, its name has to tell."""
    batch = batch_named(ledger)
    entered(ledger, batch, [row("a", image=_photo("a" * 64))])
    found = entered(ledger, batch, [row("a", image=image)])
    assert len(found.edited) == edited


def test_an_image_put_beside_a_prompt_is_an_edit(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    entered(ledger, batch, [row("a")])
    assert len(entered(ledger, batch, [row("a", image=_photo("a" * 64))]).edited) == 1
    assert len(entered(ledger, batch, [row("a")]).edited) == 1


def test_a_row_that_is_gone_is_withdrawn_and_comes_back_as_the_same_job(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2))
    before = jobs_of(ledger, batch)
    assert told(entered(ledger, batch, rows(1))) == (0, 0, 1, 0, 1)
    assert wanted(ledger, batch) == [("row-1", 1, 1)]
    assert told(entered(ledger, batch, rows(1))) == (0, 0, 1, 0, 0), "withdrawn once"
    assert told(entered(ledger, batch, rows(2))) == (0, 0, 1, 1, 0)
    assert jobs_of(ledger, batch) == before


def test_an_archived_job_that_comes_back_is_archived_still(ledger: Ledger) -> None:
    """Nothing is paid again for a row that was taken out and put back."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2))
    archive_all(ledger, batch)
    entered(ledger, batch, rows(1))
    entered(ledger, batch, rows(2))
    assert counts(ledger, batch.id).archived == 2


def test_a_cancelled_job_that_comes_back_waits_for_a_place_again(ledger: Ledger) -> None:
    """Withdrawn, it was cancelled at fal; wanted again, it is bought like any job."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2))
    second = jobs_of(ledger, batch)[1]["id"]
    attempt_id = submitted(ledger, second)
    entered(ledger, batch, rows(1))
    settle_failed(ledger, attempt_id, CRASHED, ending="cancelled", charge="none", price=PRICE)
    entered(ledger, batch, rows(1))
    assert jobs_of(ledger, batch)[1]["state"] == State.CANCELLED, "withdrawn: not wanted"
    entered(ledger, batch, rows(2))
    assert claimed(ledger, second).n == 2


def test_what_was_cancelled_is_wanted_again_by_the_next_run(ledger: Ledger) -> None:
    """By one that chose it: a selection leaves the others cancelled."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2))
    for one in jobs_of(ledger, batch):
        put_job(ledger, one["id"], state=State.CANCELLED)
    entered(ledger, batch, rows(2), selected={"row-2"})
    assert [one["state"] for one in jobs_of(ledger, batch)] == [State.CANCELLED, State.PENDING]
    entered(ledger, batch, rows(2))
    assert {one["state"] for one in jobs_of(ledger, batch)} == {State.PENDING}


def test_takes_are_raised_lowered_and_raised_again(ledger: Ledger) -> None:
    """The third take that comes back is the job it was."""
    batch = batch_named(ledger)
    steps = [told(entered(ledger, batch, [row("a", takes=n)])) for n in (1, 3, 2, 3)]
    assert steps == [(1, 0, 0, 0, 0), (2, 0, 1, 0, 0), (0, 0, 2, 0, 1), (0, 0, 2, 1, 0)]
    assert wanted(ledger, batch) == [("a", 1, 1), ("a", 2, 1), ("a", 3, 1)]


def test_a_selection_enters_new_rows_and_withdraws_nothing(ledger: Ledger) -> None:
    """`--where` and `--skip-invalid` are about this run, not about what the batch is."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2))
    found = entered(ledger, batch, [row("row-2"), row("new")], selected={"row-2"})
    assert told(found) == (1, 0, 1, 0, 0)
    found = entered(ledger, batch, rows(1), complete=False)
    assert told(found) == (0, 0, 1, 0, 0)
    assert len(wanted(ledger, batch)) == 3


def test_a_selection_edits_only_what_it_chose(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    entered(ledger, batch, [row("a", "A cat."), row("b", "A cat.")])
    both = [row("a", "A dog."), row("b", "A dog.")]
    assert told(entered(ledger, batch, both, selected={"a"})) == (0, 1, 1, 0, 0)
    assert told(entered(ledger, batch, both)) == (0, 1, 1, 0, 0)


def test_a_preview_tells_what_entering_does_and_writes_nothing(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    manifest = [row("a", "A cat."), row("b", "A cat.")]

    def looked(at: Sequence[Row], known: Batch | None = batch) -> Comparison:
        return preview(ledger, known, QUEUE_URL, at, selected=None, complete=True, fresh=False)

    assert (told(looked(manifest)), looked(manifest).reused) == ((2, 0, 0, 0, 0), 1)
    assert jobs_of(ledger, batch) == []
    entered(ledger, batch, manifest)
    assert told(looked(manifest[:1])) == (0, 0, 1, 0, 1)
    assert told(looked(manifest, None)) == (2, 0, 0, 0, 0)
    nowhere = preview(None, None, QUEUE_URL, manifest, selected=None, complete=True, fresh=True)
    assert (told(nowhere), nowhere.reused) == ((2, 0, 0, 0, 0), 1)


def test_what_is_archived_elsewhere_is_counted_as_reused(ledger: Ledger) -> None:
    """Unless a reviewer threw it out: that one is paid again."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2))
    archive_all(ledger, batch)
    put_job(ledger, jobs_of(ledger, batch)[0]["id"], review="rejected")
    assert entered(ledger, batch_named(ledger, "again"), rows(2)).reused == 1


def test_ten_thousand_rows_are_entered_and_counted(ledger: Ledger) -> None:
    """More than any database takes in one statement."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(10_000))
    with ledger.reading() as tx:
        assert tx.execute(select(func.count()).select_from(jobs)).scalar() == 10_000
    half = {f"row-{n}" for n in range(1, 5_001)}
    assert counts(ledger, batch.id, selected=half).pending == 5_000  # type: ignore[arg-type]
    assert len(entered(ledger, batch, rows(1)).withdrawn) == 9_999
    assert counts(ledger, batch.id).jobs == 1


def test_a_name_belongs_to_one_manifest(ledger: Ledger) -> None:
    """Two folders with a cats.csv each are two batches; --batch says that it was moved."""
    batch_named(ledger)

    def at(place: str, by_hand: bool) -> Batch:
        return open_batch(ledger, "cats", account_id=ACCOUNT, place=place, archive="s3://b/p",
                          named_by_hand=by_hand)  # fmt: skip

    with pytest.raises(Refused, match=r"already made from /work/cats\.csv.*--batch cats"):
        at("/elsewhere/cats.csv", by_hand=False)
    moved = at("/elsewhere/cats.csv", by_hand=True)
    assert (moved.place, moved.archive) == ("/elsewhere/cats.csv", "s3://b/p")
    assert find_batch(ledger, "cats") == moved
    assert [one.name for one in all_batches(ledger)] == ["cats"]
    assert find_batch(ledger, "dogs") is None


def test_two_runs_remember_the_same_image_at_once(ledger: Ledger, ledger_url: str) -> None:
    ledgers = [open_ledger(ledger_url) for _ in range(4)]
    facts = {f"https://example.com/{n}.png": "ab" * 32 for n in range(50)}
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda one: remember_images(one, facts), ledgers))
    for one in ledgers:
        one.close()
    assert images_read_before(ledger) == facts


def test_a_batch_keeps_its_manifests_budget_for_a_retry(ledger: Ledger) -> None:
    """`retry` reads no manifest, and must not spend more than one said."""
    batch_named(ledger, "cats")
    open_batch(
        ledger,
        "cats",
        account_id=ACCOUNT,
        place="/work/cats.csv",
        archive="s3://b/p",
        named_by_hand=True,
        budget_usd=Decimal(5),
    )
    kept = find_batch(ledger, "cats")
    assert kept is not None
    assert kept.budget_usd == Decimal(5)
