"""The peer: a plain asyncio loop with fal_client, a download and a put. No state, no checks.

`python -m bench.peer_loop MANIFEST BUCKET --in-flight 80`. It is what fal's own examples lead
to: submit, `get`, fetch the file, hand it to boto3. fal_client polls each request ten times a
second. REELBATCH_FAL_QUEUE_URL and REELBATCH_FAL_CDN_URL say where its fal is, AWS_* where S3 is.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import os
from pathlib import Path
from typing import Any

import boto3
import fal_client.client
import httpx

ENDPOINT = "fal-ai/ovi"


class Loop:
    def __init__(self, bucket: str, in_flight: int) -> None:
        fal_client.client.QUEUE_URL_FORMAT = f"{os.environ['REELBATCH_FAL_QUEUE_URL']}/"
        self.fal = fal_client.AsyncClient(key=os.environ["FAL_KEY"])
        self.http = httpx.AsyncClient(timeout=60)
        self.s3 = boto3.client("s3")
        self.bucket = bucket
        self.places = asyncio.Semaphore(in_flight)

    async def run(self, rows: list[dict[str, str]]) -> None:
        await asyncio.gather(*(self._one(row) for row in rows))

    async def _one(self, row: dict[str, str]) -> None:
        async with self.places:
            handle = await self.fal.submit(ENDPOINT, {"prompt": row["prompt"]})
            result = await handle.get()
        answer = (await self.http.get(_here(result["video"]["url"]))).raise_for_status()
        await asyncio.to_thread(self._put, f"{row['id']}.mp4", answer.content)

    def _put(self, key: str, content: bytes) -> None:
        self.s3.upload_fileobj(io.BytesIO(content), self.bucket, key)


def _here(url: str) -> Any:
    """The same file on the emulator."""
    return httpx.URL(os.environ["REELBATCH_FAL_CDN_URL"]).join(httpx.URL(url).raw_path.decode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("bucket")
    parser.add_argument("--in-flight", type=int, default=80)
    asked = parser.parse_args()
    with asked.manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    asyncio.run(Loop(asked.bucket, asked.in_flight).run(rows))


if __name__ == "__main__":
    main()
