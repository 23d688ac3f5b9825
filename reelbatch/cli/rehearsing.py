"""Where rehearsals keep what they make: an archive and a ledger of their own, beside the user."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path("emulated")


def rehearsal_ledger() -> str:
    return f"sqlite:///{FOLDER.absolute() / 'ledger.db'}"


def rehearsal_archive() -> str:
    return str(FOLDER / "archive")
