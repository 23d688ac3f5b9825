"""The real parts tests are made of, each in a file of its own under `tests/parts`."""

from __future__ import annotations

pytest_plugins = [
    "tests.parts.command",
    "tests.parts.emulator",
    "tests.parts.ledger",
    "tests.parts.listener",
    "tests.parts.postgres",
    "tests.parts.prefect",
    "tests.parts.weed",
    "tests.parts.s3_trouble",
    "tests.parts.debian_postgres",
    # Last: it is made of those above, and a plugin must not have been imported before its turn.
    "tests.contracts.fal_parts",
]
