"""A batch is let in once it is known where it belongs: its manifest, its archive, its ledger."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from reelbatch.errors import Refused
from reelbatch.ledger import batches, open_ledger
from reelbatch.run.handover import HANDOVER, Handover
from reelbatch.run.request import GenerateRequest
from tasks.load import take_batch
from tasks.report import write_files
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
TOM = "tom,A cat,1"


async def test_the_manifest_as_given_is_the_first_thing_in_the_archive(studio: Studio) -> None:
    manifest = studio.write(HEADER, TOM)
    async with studio.open():
        (kept,) = (studio.archive / "cats" / "manifests").iterdir()
        assert kept.name.endswith("-cats.csv")
        assert kept.read_bytes() == manifest.read_bytes()
    assert studio.accepted == 0


async def test_entering_a_manifest_twice_changes_nothing(studio: Studio) -> None:
    studio.write(HEADER, TOM)
    async with studio.open():
        before = [dict(job) for job in studio.jobs()]
    async with studio.open():
        assert [dict(job) for job in studio.jobs()] == before


async def test_a_rerun_without_an_archive_uses_the_batchs_own(studio: Studio) -> None:
    studio.write(HEADER, TOM)
    await studio.make(archive=str(studio.folder / "first"))
    studio.write(HEADER, TOM, "felix,Another cat,2")
    await studio.make()
    assert sorted(path.name for path in (studio.folder / "first/cats").glob("*/take-1.mp4"))
    assert not studio.archive.exists()


async def test_another_archive_is_refused_unless_it_is_the_batchs_own_moved(
    studio: Studio,
) -> None:
    studio.write(HEADER, TOM)
    await studio.make()
    with pytest.raises(Refused, match="began in the archive"):
        await studio.make(archive=str(studio.folder / "elsewhere"))
    studio.archive.rename(studio.folder / "moved")
    await studio.make(archive=str(studio.folder / "moved"))
    batch = batches.find_batch(studio.ledger, "cats")
    assert batch is not None
    assert batch.archive == (studio.folder / "moved").as_uri()
    assert studio.accepted == 1


async def test_an_older_copy_of_the_ledger_is_noticed_before_anything_is_paid(
    studio: Studio,
) -> None:
    """A backup was restored: what was paid since, only the archive remembers."""
    studio.write(HEADER, TOM)
    await studio.make()
    backup = studio.folder / "backup.db"
    with closing(sqlite3.connect(studio.folder / "ledger.db")) as ledger:
        ledger.execute("VACUUM INTO ?", [str(backup)])
    studio.write(HEADER, TOM, "felix,Another cat,2")
    async with studio.open() as run:
        await studio.produce(run)
        write_files(run)
    assert studio.accepted == 2
    studio.ledger = open_ledger(f"sqlite:///{backup}")
    with pytest.raises(Refused, match="tells of 2 submissions for batch 'cats', the ledger of 1"):
        await studio.make()
    studio.ledger.close()
    assert studio.accepted == 2


async def test_an_unknown_batch_cannot_be_carried_on(studio: Studio) -> None:
    with pytest.raises(Refused, match="knows no batch named 'dogs'"):
        take_batch(None, GenerateRequest(batch="dogs"), studio.ledger)


async def test_labels_and_output_never_make_a_revision(studio: Studio) -> None:
    studio.write("id,prompt,seed,campaign", "tom,A cat,1,spring")
    await studio.make()
    studio.write("id,prompt,seed,campaign,output", "tom,A cat,1,autumn,{row_id}.mp4")
    await studio.make()
    assert (studio.job("tom")["revision"], studio.accepted) == (1, 1)


async def test_another_accounts_batch_is_not_carried_on_by_its_name(studio: Studio) -> None:
    """Its requests are at another fal, which would be asked in vain."""
    studio.write(HEADER, TOM)
    async with studio.open():
        pass
    elsewhere = studio.settings_of({"account": "another"})
    HANDOVER.set(Handover(settings=elsewhere, ledger=studio.ledger))
    with pytest.raises(Refused, match="not at the fal configured now"):
        take_batch(None, GenerateRequest(batch="cats"), studio.ledger)


async def test_a_batch_that_is_carried_on_follows_its_archive(studio: Studio) -> None:
    """Its videos are not in another one; moved with them, it is that archive."""
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        await studio.produce(run)
        write_files(run)
    HANDOVER.set(Handover(settings=studio.settings_of({}), ledger=studio.ledger))
    request = GenerateRequest(batch="cats", archive=str(studio.folder / "moved"))
    with pytest.raises(Refused, match="began in the archive"):
        take_batch(None, request, studio.ledger)
    shutil.move(studio.archive, studio.folder / "moved")
    _, settings = take_batch(None, request, studio.ledger)
    batch, later = take_batch(None, GenerateRequest(batch="cats"), studio.ledger)
    assert settings.archive == request.archive
    assert batch.archive == later.archive == (studio.folder / "moved").as_uri()
