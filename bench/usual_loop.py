"""The usual loop: fal_client, threads, a retry around it, a CSV of the rows that are done.

`python usual_loop.py MANIFEST FOLDER [--remember-ids]`. It is written with care, as a person who
is going to run it over thousands of rows would: downloads are checked for their length and
renamed into place, a row is noted as done only after that, a second start skips what is done,
and nothing waits for ever. With `--remember-ids` it also notes each request id as soon as it
knows it, and asks for that request first when it starts again.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fal_client
import httpx

WORKERS = 12
TRIES = 4
TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.5
TEXT, IMAGE = "fal-ai/ovi", "fal-ai/ovi/image-to-video"

Row = dict[str, str]


class Loop:
    def __init__(self, manifest: Path, folder: Path, remember_ids: bool) -> None:
        self.manifest = manifest
        self.folder = folder
        self.remember_ids = remember_ids
        self.done = folder / "done.csv"
        self.ids = folder / "request_ids.jsonl"
        self.lock = threading.Lock()
        self.uploaded: dict[str, str] = {}
        self.known = self._known_ids() if remember_ids else {}

    def run(self) -> int:
        """How many rows are not done at the end."""
        with self.manifest.open(newline="") as file:
            rows = list(csv.DictReader(file))
        done = self._done_ids()
        todo = [row for row in rows if row["id"] not in done]
        print(f"{len(todo)} of {len(rows)} rows to make", file=sys.stderr, flush=True)
        with ThreadPoolExecutor(WORKERS) as threads:
            return list(threads.map(self._with_retries, todo)).count(False)

    def _with_retries(self, row: Row) -> bool:
        for attempt in range(TRIES):
            try:
                result = self._result(row)
                video = self._download(row, result["video"])
            except Exception as error:
                print(f"{row['id']}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                time.sleep(2**attempt)
            else:
                self._note_done(row, video)
                return True
        return False

    def _result(self, row: Row) -> Any:
        endpoint = IMAGE if row["image"] else TEXT
        if row["id"] in self.known:
            return self._result_of_known(row, endpoint)
        return fal_client.subscribe(
            endpoint,
            arguments=self._arguments(row),
            interval=POLL_SECONDS,
            on_enqueue=lambda request_id: self._note_id(row, request_id),
            client_timeout=TIMEOUT_SECONDS,
        )

    def _result_of_known(self, row: Row, endpoint: str) -> Any:
        """What was sent before a restart or a failed poll; if fal says it failed, forget it."""
        try:
            return fal_client.result(endpoint, self.known[row["id"]])
        except fal_client.FalClientHTTPError:
            del self.known[row["id"]]
            raise

    def _arguments(self, row: Row) -> dict[str, Any]:
        arguments: dict[str, Any] = {"prompt": row["prompt"], "seed": int(row["seed"])}
        if row["image"]:
            arguments["image_url"] = self._upload(row["image"])
        return arguments

    def _upload(self, name: str) -> str:
        if name not in self.uploaded:
            self.uploaded[name] = fal_client.upload_file(self.manifest.parent / name)
        return self.uploaded[name]

    def _download(self, row: Row, file: dict[str, Any]) -> Path:
        answer = httpx.get(file["url"], timeout=TIMEOUT_SECONDS).raise_for_status()
        if len(answer.content) != file["file_size"]:
            raise ValueError(f"{len(answer.content)} bytes, not {file['file_size']}")
        video = self.folder / "videos" / f"{row['id']}.mp4"
        video.parent.mkdir(exist_ok=True)
        video.with_suffix(".part").write_bytes(answer.content)
        return video.with_suffix(".part").rename(video)

    def _note_done(self, row: Row, video: Path) -> None:
        with self.lock, self.done.open("a", newline="") as file:
            csv.writer(file).writerow([row["id"], video.name])

    def _done_ids(self) -> set[str]:
        if not self.done.exists():
            return set()
        with self.done.open(newline="") as file:
            return {line[0] for line in csv.reader(file) if line}

    def _note_id(self, row: Row, request_id: str) -> None:
        if not self.remember_ids:
            return
        with self.lock, self.ids.open("a") as file:
            file.write(json.dumps([row["id"], request_id]) + "\n")
            self.known[row["id"]] = request_id

    def _known_ids(self) -> dict[str, str]:
        """The last line may have been cut off by a kill."""
        lines = self.ids.read_text().split("\n")[:-1] if self.ids.exists() else []
        return dict(json.loads(line) for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--remember-ids", action="store_true")
    asked = parser.parse_args()
    missing = Loop(asked.manifest, asked.folder, asked.remember_ids).run()
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
