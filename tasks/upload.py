"""Bring an image to where fal can fetch it: a web address as it is, anything else uploaded.

Shortly before its first submission, once per content: two rows with one image share it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

from reelbatch.errors import Permanent, Transient
from reelbatch.ledger import images
from reelbatch.manifest.rows import Image
from reelbatch.media.images import check_image, read_image
from reelbatch.media.remote import file_name
from reelbatch.run.run import Run

TRIES = 8
LONGEST_PAUSE_SECONDS = 30.0


async def image_url(run: Run, job: Mapping[str, Any]) -> str:
    """The URL to send to fal. Raises Transient or Permanent where there is none to be had."""
    image = Image(
        source=job["image_source"], location=job["image_location"], sha256=job["image_sha256"]
    )
    if image.is_remote or image.sha256 is None:
        return image.location
    known = await run.book(images.uploaded, run.ledger, run.settings.account_id, image.sha256)
    return known or await _once(run, image, image.sha256)


async def _once(run: Run, image: Image, sha256: str) -> str:
    """Whoever comes while it is being uploaded waits for that upload."""
    if sha256 not in run.image_urls:
        run.image_urls[sha256] = asyncio.create_task(_upload(run, image, sha256))
        run.image_urls[sha256].add_done_callback(lambda _: run.image_urls.pop(sha256, None))
    return await asyncio.shield(run.image_urls[sha256])


async def _upload(run: Run, image: Image, sha256: str) -> str:
    url = await _patiently(run, image, sha256)
    await run.book(images.remember_upload, run.ledger, run.settings.account_id, sha256, url)
    return url


async def _patiently(run: Run, image: Image, sha256: str) -> str:
    """An upload costs nothing, so it is tried again where that may help."""
    for n in range(1, TRIES):
        try:
            return await _brought(run, image, sha256)
        except Transient as error:
            await asyncio.sleep(error.retry_after or min(LONGEST_PAUSE_SECONDS, 0.5 * 2**n))
    return await _brought(run, image, sha256)


async def _brought(run: Run, image: Image, sha256: str) -> str:
    """One try, with a place that others have while this one pauses."""
    async with run.uploading:
        content = await run.carry(read_image, image.location, remote=run.remote)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Permanent(
                f"The image {image.source} has changed since it was planned.",
                advice="Run again: the row counts as edited.",
                error="image_changed",
            )
        kind = check_image(content).content_type
        return await run.fal.upload(content, kind, file_name(image.source))
