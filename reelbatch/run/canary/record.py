"""What a canary has learned, on disk after every step: what is paid must not be forgotten."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE = "canary.json"
VIDEO = "canary.mp4"


def canary_folder() -> Path:
    """Beside the default ledger: what one machine has learned holds for all of its runs."""
    return Path.home() / ".reelbatch"


@dataclass
class Record:
    """A document that is written whole with each `note`."""

    folder: Path
    content: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Record:
        """The last canary's, or an empty one."""
        try:
            return cls(folder, json.loads((folder / FILE).read_text("utf-8")))
        except (OSError, ValueError):
            return cls(folder)

    @property
    def path(self) -> Path:
        return self.folder / FILE

    @property
    def request_id(self) -> str | None:
        return self.content.get("request_id")

    def is_paid_and_open(self, queue_url: str) -> bool:
        """Whether that fal has a canary of ours whose end nobody has seen."""
        same = self.content.get("queue_url") == queue_url
        return same and self.request_id is not None and "finished_at" not in self.content

    def is_in_doubt(self, queue_url: str) -> bool:
        """Whether a POST of ours left for that fal, and nobody knows what became of it."""
        same = self.content.get("queue_url") == queue_url
        return same and self.request_id is None and "refused" not in self.about("submit")

    @property
    def began_at(self) -> datetime:
        return datetime.fromisoformat(self.content["began_at"])

    def seconds(self) -> float:
        """Since it began, to the hundredth."""
        return round((datetime.now(UTC) - self.began_at).total_seconds(), 2)

    def note(self, **found: Any) -> None:
        """Add this to the file; times and decimals as text."""
        self.content |= json.loads(json.dumps(found, default=str))
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        with open(part, "w", encoding="utf-8") as file:
            json.dump(self.content, file, indent=2, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self.path)

    def about(self, topic: str) -> Mapping[str, Any]:
        """What was noted of it; nothing where nothing was."""
        found = self.content.get(topic)
        return found if isinstance(found, dict) else {}
