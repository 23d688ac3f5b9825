"""Uploaded images: once per content and account, trusted for six days."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import bindparam, select

from reelbatch.jobs import State
from reelbatch.ledger.answers import Why, move
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.schema import images
from reelbatch.ledger.writing import insert_or

TRUSTED_FOR = timedelta(days=6)
"""fal keeps uploads at least seven days (fal.md, section 3.7)."""


def uploaded(ledger: Ledger, account_id: str, sha256: str) -> str | None:
    """The URL of this content at fal, if it was uploaded lately."""
    with ledger.reading() as tx:
        lately = now(tx) - TRUSTED_FOR
        asked = {"account_id": account_id, "sha256": sha256, "lately": lately}
        return tx.execute(_UPLOADED, asked).scalar()


_UPLOADED = select(images.c.url).where(
    images.c.account_id == bindparam("account_id"),
    images.c.sha256 == bindparam("sha256"),
    images.c.uploaded_at > bindparam("lately"),
)


def remember_upload(ledger: Ledger, account_id: str, sha256: str, url: str) -> None:
    with ledger.writing() as tx:
        newest = {"url": url, "uploaded_at": now(tx)}
        tx.execute(
            insert_or(tx, images)
            .values(account_id=account_id, sha256=sha256, **newest)
            .on_conflict_do_update(
                index_elements=[images.c.account_id, images.c.sha256], set_=newest
            )
        )


def forget_upload(ledger: Ledger, account_id: str, sha256: str) -> None:
    """fal could not load it: the next attempt uploads it anew."""
    with ledger.writing() as tx:
        tx.execute(
            images.delete().where(images.c.account_id == account_id, images.c.sha256 == sha256)
        )


def failed(ledger: Ledger, job_id: str, why: Why) -> None:
    """The image cannot be brought to fal, so the job fails before anything was claimed."""
    with ledger.writing() as tx:
        move(
            tx,
            job_id,
            {State.PENDING},
            State.FAILED,
            now(tx),
            error_type=why.error_type,
            error_message=why.message,
        )
