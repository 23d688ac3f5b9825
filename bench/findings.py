"""What reelbatch kept: each video against what fal made, its sidecar, its line in the index."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.counting import Submission, is_good, prompt_of
from bench.ordeal import Door
from bench.rows import prompts
from reelbatch.archive.sidecar import Sidecar
from reelbatch.errors import Permanent
from reelbatch.jobs import State


@dataclass(frozen=True, kw_only=True)
class Findings:
    """By prompt."""

    archived: frozenset[str]
    damaged: Mapping[str, str]
    states: Mapping[str, State]

    @property
    def in_doubt(self) -> frozenset[str]:
        return frozenset(one for one, state in self.states.items() if state is State.IN_DOUBT)

    @classmethod
    def of(
        cls,
        folder: Path,
        submissions: Sequence[Submission],
        states: Mapping[str, State],
        door: Door,
    ) -> Findings:
        """`states` by row id, as the ledger has them."""
        rows = prompts(folder / "storm.csv")
        made = {one["request_id"]: one for one in submissions if is_good(one)}
        index = index_of(folder)
        verdicts = {
            prompt: flaw(
                folder / "archive" / "storm" / row_id, prompt, made, index.get(row_id), door
            )
            for row_id, prompt in rows.items()
            if list((folder / "archive" / "storm" / row_id).glob("*.mp4"))
            or index.get(row_id, {}).get("status") == "archived"
        }
        return cls(
            archived=frozenset(prompt for prompt, why in verdicts.items() if why is None),
            damaged={prompt: why for prompt, why in verdicts.items() if why},
            states={rows[row_id]: state for row_id, state in states.items()},
        )


def flaw(
    folder: Path,
    prompt: str,
    made: Mapping[str, Submission],
    line: Mapping[str, str] | None,
    door: Door,
) -> str | None:
    """What is wrong with a row's video, its sidecar or its line in the index."""
    videos = sorted(folder.glob("*.mp4"))
    if len(videos) != 1:
        return f"{len(videos)} videos"
    content = videos[0].read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        sidecar = Sidecar.parse(videos[0].with_suffix(".json").read_bytes())
    except (OSError, Permanent) as error:
        return f"its sidecar: {error}"
    source = made.get(sidecar.provider.request_id or "")
    if source is None or prompt_of(source) != prompt:
        return f"its request {sidecar.provider.request_id} is not one that fal made for it"
    if content != door.content(source["answer"]["video"]["url"]):
        return "it is not what fal made"
    if sidecar.output.sha256 != sha256:
        return "its sidecar tells of another video"
    return flaw_of_line(line, sha256, sidecar)


def flaw_of_line(line: Mapping[str, str] | None, sha256: str, sidecar: Sidecar) -> str | None:
    held = line and (line["status"], line["sha256"], line["request_id"])
    if held != ("archived", sha256, sidecar.provider.request_id):
        return f"its line in the index says {held}"
    return None


def index_of(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / "archive" / "storm" / "index.csv"
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        return {line["row_id"]: line for line in csv.DictReader(file)}
