"""What a manifest's columns mean: known ones by name or alias, every other one a label."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from reelbatch.manifest.rows import Fault

KNOWN = (
    "id",
    "prompt",
    "image",
    "speech",
    "audio",
    "negative_prompt",
    "audio_negative_prompt",
    "num_inference_steps",
    "seed",
    "resolution",
    "takes",
    "output",
)
ALIASES = {"image_url": "image", "image_path": "image", "text_prompt": "prompt", "row_id": "id"}
RESULTS = frozenset({"status", "video", "sha256", "request_id", "cost_usd", "error"})
"""Columns the index adds beside the input's own."""

_PLACES = frozenset({"batch", "take", "revision", "line", "job_id"})
"""Columns that say in sidecar and index which video it is."""

_OTHER_WORDS = {"steps": "num_inference_steps", "picture": "image", "negative": "negative_prompt"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    name: str
    is_label: bool


class Columns:
    """The columns of one file. What is odd about a name is said once, at its first line."""

    def __init__(self, file: str, found: list[Fault]) -> None:
        self._file = file
        self._found = found
        self._met: dict[str, Column] = {}

    def named(self, written: str, line: int) -> Column:
        column = self._met.get(written)
        if column is None:
            column = self._met[written] = self._meet(written.strip(), line)
        return column

    def twice(self, written: str, column: Column, line: int) -> None:
        """Say that two columns of the file mean the same."""
        self._found.append(
            Fault(
                file=self._file,
                line=line,
                column=column.name,
                code="column-twice",
                message=f"The column {written.strip()!r} is there twice"
                + ("." if written.strip() == column.name else f", also as {column.name!r}."),
                advice="Keep one of them.",
            )
        )

    def _meet(self, written: str, line: int) -> Column:
        plain = written.lower().replace(" ", "_").replace("-", "_")
        plain = ALIASES.get(plain, plain)
        if plain in KNOWN:
            return Column(name=plain, is_label=False)
        if plain in RESULTS or plain in _PLACES:
            self._warn_result(written, plain, line)
            return Column(name=f"label_{plain}", is_label=True)
        self._warn_nearly_known(written, plain, line)
        return Column(name=written, is_label=True)

    def _warn_result(self, written: str, plain: str, line: int) -> None:
        self._warn(
            written,
            line,
            "label-renamed",
            f"The label {written!r} has the name of a result column; it is kept as label_{plain}.",
            "Rename it to choose its name yourself.",
        )

    def _warn_nearly_known(self, written: str, plain: str, line: int) -> None:
        close = difflib.get_close_matches(plain, (*KNOWN, *ALIASES), n=1, cutoff=0.75)
        meant = _OTHER_WORDS.get(plain) or (close[0] if close else None)
        if meant:
            self._warn(
                written,
                line,
                "column-nearly-known",
                f"The column {written!r} is kept as a label: did you mean {meant!r}?",
                "Rename the column if you did.",
            )

    def _warn(self, written: str, line: int, code: str, message: str, advice: str) -> None:
        self._found.append(
            Fault(
                file=self._file,
                line=line,
                column=written,
                code=code,
                message=message,
                advice=advice,
                severity="warning",
            )
        )
