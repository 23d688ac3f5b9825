"""Rows of a JSONL file: one object a line, every value as it is written."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

from reelbatch.config import ROW_CAP_BYTES
from reelbatch.manifest.encoding import Encoding
from reelbatch.manifest.faults import Unreadable, shown
from reelbatch.manifest.keyed import KeyedRows, keyed_rows
from reelbatch.manifest.places import Source
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.rows import Fault
from reelbatch.media.remote import megabytes


class _Pairs(list[tuple[str, Any]]):
    """An object's keys and values, those that are there twice included."""


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str
)


def jsonl_rows(source: Source, encoding: Encoding, found: list[Fault]) -> Iterator[RawRow]:
    """The rows; a line that is no object becomes a fault. Raises Unreadable if all is blank."""
    rows = keyed_rows(source.file, source.folder, found)
    stream = io.TextIOWrapper(io.BytesIO(source.content), encoding=encoding.name)
    is_blank = True
    for number, line in enumerate(stream, 1):
        if line.isspace():
            continue
        is_blank = False
        pairs = _pairs(rows, number, line)
        if pairs is not None:
            values = _values(rows, number, pairs)
            yield rows.row(values, number, {}, is_sound=len(values) == len(pairs))
    if is_blank:
        raise Unreadable(
            "The manifest is empty.",
            error="manifest-empty",
            advice="`reelbatch init --example` writes a first one to edit.",
        )


def _values(rows: KeyedRows, number: int, pairs: _Pairs) -> dict[str, str]:
    """Every key once, with its one text; what is left out becomes a fault."""
    values: dict[str, str] = {}
    for key, value in pairs:
        if isinstance(value, list):
            what = f"{key} has several values, a cell has one."
            rows.wrong(number, "cell-not-single", what, "Write one value.")
        elif key in values:
            what = f"The key {shown(key)} is there twice."
            rows.wrong(number, "key-twice", what, "Keep one of them.")
        else:
            values[key] = _text(value)
    return values


def _pairs(rows: KeyedRows, number: int, line: str) -> _Pairs | None:
    if len(line) > ROW_CAP_BYTES:
        what = f"The row has {megabytes(len(line))}; {megabytes(ROW_CAP_BYTES)} is the most."
        rows.wrong(number, "row-too-large", what, "Put a large image into a file.")
        return None
    advice = 'Each line is one object: {"prompt": "..."}.'
    try:
        pairs = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deep"
        rows.wrong(number, "row-not-json", f"The line is no JSON: {reason}.", advice)
        return None
    if isinstance(pairs, _Pairs):
        return pairs
    rows.wrong(number, "row-not-object", "The line is no JSON object.", advice)
    return None


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
