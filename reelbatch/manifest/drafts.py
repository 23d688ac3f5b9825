"""From raw rows to rows: everything but what the images themselves say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reelbatch.errors import Permanent
from reelbatch.fal.endpoints import endpoint_for
from reelbatch.jobs import RowId, row_hash
from reelbatch.manifest import cells as read
from reelbatch.manifest.cells import Cells
from reelbatch.manifest.images import image_named
from reelbatch.manifest.output import render_output
from reelbatch.manifest.prompts import lint_prompt
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.rows import Fault, Row


class Ids:
    """The ids of one manifest: each once; rows without one are known by what they ask for."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, int]] = {}
        self._alike: dict[str, int] = {}

    def claim(self, row_id: str, raw: RawRow) -> Fault | None:
        """Take an id the user wrote; the fault if another row has it."""
        if row_id not in self._taken:
            self._taken[row_id] = (raw.file, raw.line)
            return None
        file, line = self._taken[row_id]
        if (file, line) == (raw.file, raw.line):
            message = f"The matrix makes the id {row_id!r} more than once."
            return raw.fault("id", "id-twice", message, "Put {column} of the matrix into the id.")
        where = f"line {line}" if file == raw.file else f"{file}:{line}"
        message = f"The id {row_id!r} of line {raw.line} is also that of {where}."
        return raw.fault("id", "id-twice", message, "Give each row its own id, or none.")

    def invent(self, raw: RawRow, arguments: Mapping[str, Any], seed: int | None) -> str:
        """An id made of the request; the k-th identical row gets `-k`."""
        asked = dict(arguments) if seed is None else {**arguments, "seed": seed}
        stem = name = row_hash(asked, raw.cells.get("image"))
        k = self._alike.get(stem, 1)
        while name in self._taken:
            k += 1
            name = RowId(f"{stem}-{k}")
        self._alike[stem] = k
        self._taken[name] = (raw.file, raw.line)
        return name


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A row that is sound, apart from its image, which nobody has looked at."""

    row: Row
    image_line: int


def drafted(raw: RawRow, ids: Ids, batch: str, found: list[Fault]) -> Draft | None:
    """The row, or None if something in it is wrong; `found` then says all of it."""
    cells = Cells(raw)
    row = _row(cells, ids, batch) if cells.check_text() else None
    found += cells.faults
    if row is None or cells.faults or not raw.is_sound:
        return None
    found += _warnings(raw, row)
    return Draft(row=row, image_line=raw.line_of("image"))


def _row(cells: Cells, ids: Ids, batch: str) -> Row:
    raw = cells.raw
    endpoint = endpoint_for(has_image="image" in raw.cells)
    image = cells.read("image", lambda text: image_named(text, raw.folder), about="image")
    seed = cells.read("seed", read.seed, about="seed")
    takes = cells.read("takes", read.takes, about="takes")
    arguments = cells.arguments(endpoint)
    row = Row(
        row_id=_row_id(cells, ids, arguments, seed),
        file=raw.file,
        line=raw.line,
        endpoint_id=endpoint.id,
        arguments=arguments,
        image=image,
        seed=seed,
        takes=takes or 1,
        output=raw.cells.get("output"),
        labels=raw.labels,
    )
    _check_output(cells, row, batch)
    return row


def _row_id(cells: Cells, ids: Ids, arguments: Mapping[str, Any], seed: int | None) -> RowId:
    written = cells.read("id", read.row_id, about="id")
    if written is None:
        return RowId("" if "id" in cells.raw.cells else ids.invent(cells.raw, arguments, seed))
    if fault := ids.claim(written, cells.raw):
        cells.faults.append(fault)
    return RowId(written)


def _check_output(cells: Cells, row: Row, batch: str) -> None:
    if not row.output or not row.row_id:
        return
    try:
        render_output(
            row.output,
            batch=batch,
            row_id=row.row_id,
            take=row.takes,
            revision=1,
            labels=row.labels,
        )
    except Permanent as problem:
        cells.faults.append(cells.raw.wrong("output", problem))


def _warnings(raw: RawRow, row: Row) -> list[Fault]:
    endpoint = endpoint_for(has_image=row.image is not None)
    return [
        raw.fault("prompt", lint.code, lint.message, lint.advice, "warning")
        for lint in lint_prompt(row.arguments["prompt"], endpoint.speech)
    ]
