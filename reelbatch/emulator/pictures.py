"""The image of an image-to-video request: fetched when it runs, as fal does (fal.md, 8.2)."""

import asyncio
import base64
import binascii
import hashlib
import io
from concurrent.futures import Executor
from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes, urljoin, urlsplit

import httpx
from PIL import Image, ImageOps

from reelbatch.emulator.errors import model_error
from reelbatch.emulator.inputs import Refused, grid_size
from reelbatch.emulator.storage import Storage
from reelbatch.emulator.wire import Hosts

MOST_BYTES = 50 * 2**20
MOST_REDIRECTS = 5
AGENT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.8; rv:21.0) Gecko/20100101 Firefox/21.0"


@dataclass(frozen=True)
class Picture:
    image: Image.Image
    sha256: str

    @property
    def film_size(self) -> tuple[int, int]:
        return grid_size(*self.image.size)


class Pictures:
    def __init__(self, storage: Storage, threads: Executor) -> None:
        self.storage = storage
        self.threads = threads
        self._http = httpx.AsyncClient(headers={"User-Agent": AGENT}, timeout=30)

    async def open(self, url: str, hosts: Hosts) -> Picture:
        """Raises Refused with file_download_error, file_too_large or image_load_error."""
        content = await self._content(url, hosts)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.threads, decode, content)
        except Exception as error:
            raise refused("image_load_error", "The image could not be loaded.", url) from error

    async def _content(self, url: str, hosts: Hosts) -> bytes:
        parts = urlsplit(url)
        if parts.scheme == "data":
            return data_bytes(url)
        if parts.scheme not in ("http", "https"):
            raise refused("file_download_error", "Only http, https and data URLs are read.", url)
        if is_ours(parts.hostname or "", parts.netloc, hosts):
            return self._stored(unquote(parts.path), url)
        try:
            return await self._download(url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise not_downloaded(url) from error

    def _stored(self, path: str, url: str) -> bytes:
        content = self.storage.content(path)
        if content is None:
            raise not_downloaded(url)
        return content

    async def _download(self, url: str) -> bytes:
        for _ in range(MOST_REDIRECTS + 1):
            async with self._http.stream("GET", url) as answer:
                if not answer.has_redirect_location:
                    answer.raise_for_status()
                    return await capped(answer)
                url = urljoin(url, answer.headers["location"])
        raise not_downloaded(url)

    async def close(self) -> None:
        await self._http.aclose()


async def capped(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > MOST_BYTES:
            raise Refused(
                model_error(
                    "file_too_large",
                    "The file is too large.",
                    loc=("body", "image_url"),
                    ctx={"max_size": MOST_BYTES},
                    given=str(answer.url),
                )
            )
    return bytes(content)


def is_ours(host: str, netloc: str, hosts: Hosts) -> bool:
    return host.endswith(".fal.media") or netloc == urlsplit(hosts.media).netloc


def data_bytes(url: str) -> bytes:
    head, _, data = url.partition(",")
    try:
        return base64.b64decode(data) if head.endswith(";base64") else unquote_to_bytes(data)
    except (binascii.Error, ValueError) as error:
        raise not_downloaded(url[:100]) from error


def decode(content: bytes) -> Picture:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    return Picture(image.convert("RGB"), hashlib.sha256(content).hexdigest())


def refused(error_type: str, sentence: str, url: str) -> Refused:
    return Refused(model_error(error_type, sentence, loc=("body", "image_url"), given=url))


def not_downloaded(url: str) -> Refused:
    return refused(
        "file_download_error", "Failed to download the file. Check that its URL is public.", url
    )
