"""What became of a manifest in the inbox."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reelbatch.manifest import Fault

Outcome = Literal["done", "partly", "rejected", "stays", "refused", "gone"]
"""`stays`: its batch stopped early, and the next inbox carries it on; `refused`: it could not
begin; `gone`: another inbox was first, or it has changed since it was seen."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One manifest after an inbox run."""

    name: str
    outcome: Outcome
    words: str

    def __str__(self) -> str:
        return f"{self.name}: {self.words}"


def faults_as_csv(faults: Sequence[Fault]) -> bytes:
    """The report that lies beside a rejected manifest, for whoever opens it in Excel."""
    columns = ("file", "line", "column", "code", "severity", "message", "advice")
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(columns)
    table.writerows([getattr(fault, name) for name in columns] for fault in faults)
    return text.getvalue().encode("utf-8-sig")
