"""A manifest's own words about itself, and where its rows come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from reelbatch.manifest.raw import RawRow


@dataclass(frozen=True, kw_only=True)
class Document:
    """What stands above the rows; the rows are read as they are asked for."""

    name: str
    archive: str | None = None
    budget_usd: Decimal | None = None
    rows: Iterable[RawRow] = ()
